"""Search: ranked by formula, never short, exact in its statistics, clear about bad input."""

from __future__ import annotations

import math
import random

import pytest

from ragdb.errors import RagdbError

FRUIT = {
    "apple": "Apples grow on trees in orchards. An apple a day keeps the doctor away.",
    "banana": "Bananas grow in bunches in the tropics. Monkeys like bananas.",
    "key": "Keys rotate every ninety days. Rotate keys in the vault.",
    "vault": "The vault stores secrets. Access to the vault is logged.",
}


@pytest.fixture
def fruit(acme):
    acme.put_many(
        [
            {"external_id": name, "title": name.title(), "content": text}
            for name, text in FRUIT.items()
        ]
    )
    return acme


def titles(rows) -> list[str]:
    return [row["title"] for row in rows]


def test_modes(fruit):
    assert titles(fruit.search("monkeys in the tropics"))[0] == "Banana"
    assert titles(fruit.search("monkeys", p_mode="keyword")) == ["Banana"]
    vector = fruit.search("fruit for chimpanzees", p_mode="vector")
    assert len(vector) == 4
    assert set(titles(vector)[:2]) == {"Banana", "Apple"}
    assert all(row["lexical_score"] is None for row in vector)
    assert [row["rank"] for row in vector] == [1, 2, 3, 4]


def test_keyword_score_is_bm25(acme):
    """The definition, computed here from the texts: title words three times, k1 1.2, b .75."""
    texts = [
        ("alpha", "beta gamma"),
        ("", "alpha alpha delta"),
        ("", "delta delta epsilon zeta eta"),
    ]
    acme.put_many(
        [{"external_id": str(n), "title": t or "!", "content": c} for n, (t, c) in enumerate(texts)]
    )
    lengths = [3 * len(t.split()) + len(c.split()) for t, c in texts]
    average = sum(lengths) / 3
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    expected = sorted(
        (
            idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * length / average))
            for tf, length in ((3, lengths[0]), (2, lengths[1]))
        ),
        reverse=True,
    )
    rows = acme.search("alpha", p_mode="keyword")
    assert [row["score"] for row in rows] == pytest.approx(expected)


def test_hybrid_score_is_the_formula(fruit):
    explained, *rows = fruit.call("explain_search", p_query="rotate keys in the vault", p_limit=4)
    top = max(row["lexical"] or 0 for row in rows)
    for row in rows:
        base = (row["lexical"] or 0) / top + row["cosine"]
        assert row["score"] == pytest.approx(base + 0.35 * row["phrase"] + 0.6 * row["sentence"])
    assert rows[0]["title"] == "Key"
    assert rows[0]["sentence"] == pytest.approx(1)
    assert rows[0]["phrase"] > 0
    assert explained["trace"]["vector_strategy"] == "exact"
    assert explained["trace"]["chunks_in_scope"] == 4
    assert titles(rows) == titles(fruit.search("rotate keys in the vault", p_limit=4))


def test_stems_and_parts_of_words_match(acme):
    acme.put("We upgraded node.js/express in config_file.yaml; mail ops@acme.test.", p_title="Ops")
    for query in ("upgrade", "node", "express", "yaml", "config file", "ops", "acme"):
        assert acme.search(query, p_mode="keyword"), query


def test_languages(acme):
    acme.put("Die Häuser der Verträge wurden verkauft.", p_title="Haus", p_language="de")
    acme.put("Las cuentas de los clientes fueron cerradas.", p_title="Cuentas", p_language="es")
    assert titles(acme.search("Vertrag Haus", p_mode="keyword", p_language="de")) == ["Haus"]
    assert titles(acme.search("cliente cuenta", p_mode="keyword", p_language="spanish")) == [
        "Cuentas"
    ]
    with pytest.raises(RagdbError) as error:
        acme.search("x", p_language="klingon")
    assert error.value.problem.code == "unknown_language"


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_pages_are_stable_and_complete(acme, mode):
    random.seed(7)
    words = [
        "river",
        "stone",
        "cloud",
        "ember",
        "frost",
        "maple",
        "canyon",
        "harbor",
        "meadow",
        "lantern",
    ]
    acme.put_many(
        [
            {"external_id": str(n), "content": f"{n} " + " ".join(random.choices(words, k=12))}
            for n in range(170)
        ]
    )
    whole = [row["chunk_id"] for row in acme.search("river harbor", p_limit=170, p_mode=mode)]
    assert len(set(whole)) == 170
    first = acme.search("river harbor", p_limit=10, p_mode=mode)
    assert [row["chunk_id"] for row in first] == whole[:10]
    pages = [
        row["chunk_id"]
        for offset in range(0, 40, 10)
        for row in acme.search("river harbor", p_limit=10, p_offset=offset, p_mode=mode)
    ]
    assert len(set(pages)) == 40


def test_never_short_under_a_filter(acme):
    acme.put_many(
        [
            {
                "external_id": str(n),
                "content": f"Report {n} about rivers.",
                "labels": [f"l{n % 50}"],
            }
            for n in range(400)
        ]
    )
    for mode in ("hybrid", "vector", "keyword"):
        rows = acme.search("rivers", p_filters={"label": "l7"}, p_mode=mode)
        assert len(rows) == 8, mode
        assert {int(row["content"].split()[1]) % 50 for row in rows} == {7}
    assert len(acme.search("rivers", p_filters={"label": ["l1", "l2"]}, p_limit=16)) == 16


def test_large_scope_uses_the_index_and_is_never_short(acme, db):
    """Above 10,000 chunks the vector leg asks HNSW; under a filter too few rows are made up for."""
    random.seed(11)
    words = [f"w{n}" for n in range(300)]
    text = "\n\n".join(" ".join(random.choices(words, k=2)) for _ in range(10_400))
    acme.put(
        text, p_chunking={"chunker": "recursive", "size": 12, "overlap": 0, "unit": "characters"}
    )
    acme.put("Walruses eat clams in cold water.", p_title="Walrus", p_labels=["sea"])
    acme.call("maintain")
    db.execute("analyze")
    explained, *rows = acme.call("explain_search", p_query="w1 w2 walruses", p_limit=10)
    assert explained["trace"]["vector_strategy"] == "hnsw"
    assert explained["trace"]["chunks_in_scope"] > 10_000
    assert len(rows) == 10
    assert rows[0]["title"] == "Walrus"
    assert titles(acme.search("w1 w2", p_filters={"label": "sea"}, p_mode="vector")) == ["Walrus"]
    exact = {
        row["chunk_id"] for row in acme.search("cold water animals", p_limit=100, p_mode="vector")
    }
    assert len(exact) == 100


def test_workspaces_and_visibility(acme):
    acme.call("create_workspace", p_slug="labs")
    acme.put("Walruses at home.", p_title="default")
    acme.put("Walruses in labs.", p_title="labs", p_workspace="labs")
    acme.put("Walruses everywhere.", p_title="all", p_workspace="labs", p_visibility="organization")
    acme.put("Walruses of mine.", p_title="mine", p_visibility="private")
    assert sorted(titles(acme.search("walruses"))) == ["all", "default", "labs", "mine"]
    assert sorted(titles(acme.search("walruses", p_workspace="labs"))) == ["all", "labs"]
    assert sorted(titles(acme.search("walruses", p_workspace="default"))) == [
        "all",
        "default",
        "mine",
    ]
    visibilities = {d["title"]: d["visibility"] for d in acme.read("documents")}
    assert visibilities == {
        "default": "workspace", "labs": "workspace", "all": "organization", "mine": "private",
    }  # fmt: skip


def test_bad_input_has_a_name(fruit):
    for arguments, code in (
        ({"p_query": ""}, "empty_query"),
        ({"p_query": " \t\n"}, "empty_query"),
        ({"p_query": None}, "empty_query"),
        ({"p_query": "x" * 2_000_000}, "query_too_long"),
        ({"p_query": "a\0b"}, "nul_character"),
        ({"p_query": "x", "p_limit": 0}, "invalid_limit"),
        ({"p_query": "x", "p_limit": 1001}, "invalid_limit"),
        ({"p_query": "x", "p_limit": None}, "invalid_limit"),
        ({"p_query": "x", "p_offset": -1}, "invalid_limit"),
        ({"p_query": "x", "p_mode": "psychic"}, "unknown_search_mode"),
        ({"p_query": "x", "p_workspace": "nowhere"}, "workspace_not_found"),
        ({"p_query": "x", "p_filters": {"colour": "red"}}, "unknown_filter_key"),
    ):
        with pytest.raises(RagdbError) as error:
            fruit.call("search", **arguments)
        assert error.value.problem.code == code, arguments
        assert error.value.problem.status in (404, 422)
        assert error.value.problem.hint


ANY_TEXT = [
    "the of and", "!!! ???", "'; drop table x; --", "\\", "%_*", "a:* & | !b <-> (", "🗝️🔑",
    "日本語の文書",
    "e\u0301\u0301\u0301", "\u202e\u200d\ufeff", "x" * 10_000, "[[(({{", "$1 %s {}",
]  # fmt: skip


def test_any_text_is_a_query(fruit, subtests):
    for query in ANY_TEXT:
        with subtests.test(query=query[:30]):
            for mode in ("hybrid", "keyword", "vector"):
                fruit.search(query, p_mode=mode)
            fruit.call("ask", p_question=query)


def test_nothing_known_finds_nothing(acme):
    assert acme.search("anything at all") == []
    (explained,) = acme.call("explain_search", p_query="anything at all")
    assert explained["trace"]["chunks_in_scope"] == 0
