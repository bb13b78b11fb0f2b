"""Phrases that must occur and words that must not: exact, inside the legs, in every mode.

In a sentence, and where nothing has them, phrases are words like others.
"""

from __future__ import annotations

import pytest
from sealing import seal

MODES = ("hybrid", "keyword", "vector")

TEXTS = {
    "order": "The new order of the day was posted. York was quiet.",
    "york": "New York is a city on the Hudson. The city never sleeps.",
    "jersey": "New Jersey is a state beside the Hudson.",
    "apart": "York is old. New is the other one, in the state across the sea.",
    "river": "A river without a city.",
}


@pytest.fixture
def places(acme):
    acme.put_many([{"external_id": name, "content": text} for name, text in TEXTS.items()])
    return acme


@pytest.fixture
def told(acme) -> list[str]:
    """What the database has said in notices."""
    return acme.database.notices


def found(tenant, query: str, **arguments: object) -> set[str]:
    rows = tenant.search(query, p_limit=100, **arguments)
    texts = {text: name for name, text in TEXTS.items()}
    return {texts[row["content"]] for row in rows}


@pytest.mark.parametrize("mode", MODES)
def test_a_phrase_must_occur_word_after_word(places, mode):
    assert found(places, '"New York"', p_mode=mode) == {"york"}
    assert found(places, "“new york” hudson", p_mode=mode) == {"york"}
    assert found(places, '"new" "hudson"', p_mode=mode) == {"york", "jersey"}
    assert found(places, '+"quiet city"', p_mode=mode) == set()


@pytest.mark.parametrize("mode", MODES)
def test_a_phrase_that_nothing_has_is_words(places, mode, told):
    assert found(places, '"quiet city"', p_mode=mode) == found(places, "quiet city", p_mode=mode)
    assert len(told) == 1
    assert "as words" in told[0]
    assert found(places, '"new york" "quiet city"', p_mode=mode) == found(
        places, "new york quiet city", p_mode=mode
    )
    assert found(places, '+"new york" "quiet city"', p_mode=mode) == {"york"}
    assert "york" not in found(places, '"quiet city" -york', p_mode=mode)
    del told[:]
    assert found(places, '"New York"', p_mode=mode) == {"york"}
    assert found(places, '+"quiet city"', p_mode=mode) == set()
    assert told == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "around",
    [
        "where is the {}",
        "what did {} do?",
        "{} hudson?",
        "Der Hudson neben {}\uff1f",
        "hudson: is {}",
    ],
)  # fmt: skip
def test_who_writes_a_sentence_quotes(places, mode, around, told):
    quoted = found(places, around.format('"New York"'), p_mode=mode)
    assert quoted == found(places, around.format("New York"), p_mode=mode)
    assert len(quoted) > 1
    assert found(places, around.format('+"New York"'), p_mode=mode) == {"york"}
    assert found(places, around.format('+"New York" "the sea"'), p_mode=mode) == {"york"}
    assert told == []


def test_a_phrase_that_nothing_has_within_a_filter(acme, told):
    acme.put_many(
        [
            {
                "external_id": str(n),
                "content": f"Report {n}: the blue {'whale' if n % 40 == 0 else 'sky'} was seen.",
                "labels": [f"l{n % 2}"],
            }
            for n in range(400)
        ]
    )
    for mode in MODES:
        rows = acme.search('report "blue whale"', p_filters={"label": "l1"}, p_mode=mode)
        assert len(rows) == 10
        assert all(int(row["content"].split()[1][:-1]) % 2 for row in rows)
        assert told.pop()
        assert acme.search('report +"blue whale"', p_filters={"label": "l1"}, p_mode=mode) == []
        assert told == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_excluded_does_not_occur(places, mode):
    everything = found(places, "new city hudson", p_mode=mode)
    without = found(places, 'new city hudson -york -"a state"', p_mode=mode)
    assert without == everything - {"order", "york", "jersey", "apart"}
    assert found(places, 'new city hudson -"new york"', p_mode=mode) == everything - {"york"}
    assert "york" not in found(places, '"hudson" -york', p_mode=mode)


def test_stems_and_stop_words(places):
    assert found(places, '"cities on Hudson"') == {"york"}, "the words as they are indexed"
    assert found(places, '"is a" york') == found(places, "york"), "stop words ask for nothing"
    assert found(places, "york -the") == found(places, "york")


def test_a_phrase_does_not_span_sentences(acme):
    acme.put("We rotate. Keys are old.")
    assert acme.search('+"rotate keys"') == []
    assert len(acme.search('"rotate. Keys"')) == 1


@pytest.mark.parametrize(
    "query",
    [
        '"', '""', '" "', '"""', 'york "', '"york', 'york"', 'a"b"c', '5" pipe and 3" hose', "-",
        "--", " - ", "- york", "york -", "-york", "--york", "-5", "york -5", 'york -"', 'york -""',
        "well-known york", "york — -", "(york", "[york] {", "york\\", '-"new york"', "'york'",
        '"new york" -"new york"', "york " * 500, '"' * 1000 + "york", "-a " * 300 + "york",
        "„york” «new»", '+"', '+""', "+york", 'york +"city', '+"york" -"york"', '++"york"',
        '+-"york"', "york ﻿-", "\u0301 york",
    ],
)  # fmt: skip
def test_any_text_is_a_query(places, query):
    for mode in MODES:
        places.search(query, p_mode=mode)
    places.call("ask", p_question=query, read_only=True)


@pytest.mark.parametrize(
    ("query", "same"),
    [
        ("well-known york", "well known york"),
        ("york - city", "york city"),
        ("-york", "york"),
        ('-"new york"', "new york"),
        ('5" york 3"', "5 york 3"),
        ("york -5", "york 5"),
        ("york -v", "york v"),
        ("+york", "york"),
        ("--york", "york"),
    ],
)
def test_other_dashes_and_quotation_marks_are_text(places, query, same):
    for mode in ("keyword", "vector"):
        assert found(places, query, p_mode=mode) == found(places, same, p_mode=mode)


def test_never_short_and_within_a_filter(acme):
    acme.put_many(
        [
            {
                "external_id": str(n),
                "content": f"Report {n}: the blue {'whale' if n % 40 == 0 else 'sky'} was seen.",
                "labels": [f"l{n % 2}"],
            }
            for n in range(400)
        ]
    )
    for mode in MODES:
        rows = acme.search('sky report "blue whale"', p_mode=mode)
        assert len(rows) == 10, mode
        assert all("blue whale" in row["content"] for row in rows)
        rows = acme.search('report "blue whale"', p_filters={"label": "l1"}, p_mode=mode)
        assert len(rows) == 10
        rows = acme.search('report +"blue whale"', p_filters={"label": "l1"}, p_mode=mode)
        assert rows == []
        rows = acme.search("report -whale", p_mode=mode, p_limit=1000)
        assert len(rows) == 390, mode
        rows = acme.search("report -sky", p_filters={"label": "l0"}, p_mode=mode, p_limit=100)
        assert len(rows) == 10, mode


def test_statistics_do_not_change_with_a_phrase(places):
    """A phrase filters; it does not change what a word is worth."""
    plain = {row["chunk_id"]: row["score"] for row in places.search("new york", p_mode="keyword")}
    for row in places.search('"new york"', p_mode="keyword"):
        assert row["score"] == pytest.approx(plain[row["chunk_id"]])
    for row in places.search("new york -jersey", p_mode="keyword"):
        assert row["score"] == pytest.approx(plain[row["chunk_id"]])


@pytest.fixture
def sealed(acme, db):
    """410 chunks, of which 400 are sealed, some of them deleted since."""
    rows = acme.put_many(
        [
            {
                "external_id": str(n),
                "content": f"Entry {n} on {'fox, red' if n % 10 else 'red fox'} {'fur' * (n % 3)}",
            }
            for n in range(410)
        ]
    )
    seal(db, acme.key, 400)
    acme.call("delete_documents", p_document_ids=[rows[0]["document_id"], rows[10]["document_id"]])
    return acme


@pytest.mark.parametrize("mode", MODES)
def test_sealed_chunks(sealed, mode):
    def contents(query: str) -> list[str]:
        return [row["content"] for row in sealed.search(query, p_mode=mode, p_limit=1000)]

    assert len(contents('entry "red fox"')) == 39
    assert all("red fox" in content for content in contents('entry "red fox"'))
    assert len(contents('entry -"red fox"')) == 410 - 41
    assert not any("red fox" in content for content in contents('entry -"red fox"'))
    without = [content for content in contents('entry "red fox"') if "furfur" not in content]
    assert 0 < len(without) < 39
    assert sorted(contents('entry "red fox" -furfur')) == sorted(without)
    assert len(contents('entry "quick fox" "red fox"')) == 408
    assert sorted(contents('entry "quick fox" -"red fox"')) == sorted(
        contents('entry quick fox -"red fox"')
    )
    assert contents('entry +"quick fox"') == []
    assert len(contents("entry -furfur")) == sum("furfur" not in c for c in contents("entry"))


def test_answers_keep_to_it(places):
    question = "Which city is on the Hudson?"
    [answer] = places.call("ask", p_question=question, read_only=True)
    assert "New York" in answer["answer"]
    [answer] = places.call("ask", p_question=f"{question} -york", read_only=True)
    assert "New York" not in answer["answer"]
