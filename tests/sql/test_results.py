"""What is shown of the ranking: several queries, boosts, variety, surroundings, pages."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from ragdb.errors import RagdbError

WORDS = ["river", "stone", "cloud", "ember", "frost", "maple", "canyon", "harbor", "meadow"]


def contents(rows) -> list[str]:
    return [row["content"] for row in rows]


def ids(rows) -> list[int]:
    return [row["chunk_id"] for row in rows]


@pytest.fixture
def many(acme):
    chance = random.Random(7)
    acme.put_many(
        [
            {"external_id": str(n), "content": f"{n} " + " ".join(chance.choices(WORDS, k=12))}
            for n in range(260)
        ]
    )
    return acme


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "vector"])
@pytest.mark.parametrize(
    "options", [{}, {"p_diversity": 0.4}, {"p_boosts": {"recency": {}}, "p_min_score": -1.0}]
)
def test_pages_neither_repeat_nor_skip(many, mode, options):
    arguments = {"p_mode": mode, **options}
    pages = [
        many.search("river harbor", p_limit=30, p_offset=n, **arguments) for n in range(0, 300, 30)
    ]
    listed = [id_ for page in pages for id_ in ids(page)]
    assert len(listed) == len(set(listed))
    if mode == "keyword":
        assert len(listed) == len(many.search("river harbor", p_limit=1000, p_mode=mode))
    else:
        assert len(listed) == 260
    ranks = [row["rank"] for page in pages for row in page]
    assert ranks == list(range(1, len(listed) + 1))
    assert ids(many.search("river harbor", p_limit=20, p_offset=20, **arguments)) == listed[20:40]


def test_several_queries_make_one_ranking(acme):
    acme.put("A lion sleeps in the grass of the savanna.")
    acme.put("A shark swims in the sea.")
    acme.put("The lion and the shark are both predators.")
    acme.put("Accounts are closed in December.")
    rows = acme.search("lion", p_queries=["shark", "predators"])
    assert rows[0]["content"].startswith("The lion and the shark")
    assert len(rows) == 4
    same = acme.search("lion", p_queries=["lion", "lion"])
    assert [(r["chunk_id"], pytest.approx(r["score"])) for r in acme.search("lion")] == [
        (r["chunk_id"], r["score"]) for r in same
    ]
    assert acme.search("lion", p_queries=[]) == acme.search("lion")


def test_boosts(acme):
    now = datetime.now(UTC)
    for days in (0, 30, 3000):
        acme.put(
            "The policy on travel expenses.", p_external_id=str(days), p_title=f"{days} days",
            p_date=now - timedelta(days=days), p_labels=["policy"] if days == 30 else [],
        )  # fmt: skip
    plain = acme.search("travel expenses", p_mode="keyword")
    assert len(plain) == 1, "one text is one chunk"
    for days in (0, 30, 3000):
        acme.put(
            f"The policy on travel expenses, edition {days}.", p_external_id=f"e{days}",
            p_date=now - timedelta(days=days), p_labels=["policy"] if days == 30 else ["old"],
        )  # fmt: skip

    def boosted(**boosts: object) -> dict[str, float]:
        rows = acme.search("edition", p_mode="keyword", p_boosts=boosts)
        return {row["content"].split()[-1].rstrip("."): row["score"] for row in rows}

    base = acme.search("edition", p_mode="keyword")[0]["score"]
    assert boosted() == pytest.approx({"0": base, "30": base, "3000": base})
    recent = boosted(recency={"half_life_days": 30, "weight": 0.2})
    assert recent == pytest.approx({"0": base * 1.2, "30": base * 1.1, "3000": base}, rel=1e-4)
    assert boosted(labels={"policy": 0.3, "old": -0.5, "absent": 5}) == pytest.approx(
        {"0": base * 0.5, "30": base * 1.3, "3000": base * 0.5}
    )
    assert set(boosted(labels={"policy": 0.3})) == {"0", "30", "3000"}


def test_results_of_one_document(acme):
    acme.put(
        "\n\n".join(f"Part {n} of the guide to rivers. " * 30 for n in range(12)), p_title="Guide"
    )
    for n in range(8):
        acme.put(f"Note {n}: rivers, seen from afar.")
    assert len({row["document_id"] for row in acme.search("guide to rivers", p_limit=9)}) < 9
    rows = acme.search("guide to rivers", p_limit=9, p_per_document=1)
    assert len({row["document_id"] for row in rows}) == len(rows) == 9
    rows = acme.search("guide to rivers", p_limit=20, p_per_document=2)
    assert len(rows) == 10


def test_copies_and_variety(acme):
    for n in range(4):
        acme.put(
            "The annual report of the harbour master lists ships, cargo, tides, storms, tolls,"
            " pilots, cranes, ropes, sailors, fish, lamps, buoys, anchors, sails, nets, boats,"
            f" docks, flags, coal, timber and whales. Copy {n}"
        )
    acme.put("The harbour master plays chess.")
    acme.put("A report on cargo and storms at sea.")
    query = "annual report of the harbour master"
    assert len(acme.search(query, p_limit=6)) == 6
    distinct = contents(acme.search(query, p_limit=6, p_distinct=True))
    assert len(distinct) == 3
    assert sum(text.startswith("The annual report") for text in distinct) == 1
    first = contents(acme.search(query, p_limit=3))
    assert all(text.startswith("The annual report") for text in first)
    varied = contents(acme.search(query, p_limit=3, p_diversity=0.7))
    assert varied[0] == first[0]
    assert not all(text.startswith("The annual report") for text in varied)


def test_least_score(many):
    rows = many.search("river harbor", p_limit=50)
    least = rows[10]["score"]
    kept = many.search("river harbor", p_limit=50, p_min_score=least)
    assert ids(kept) == ids(rows)[:11]
    assert many.search("river harbor", p_min_score=1000) == []


def test_surroundings(acme):
    paragraphs = [
        f"Paragraph {n} on keys and vaults. " + "They rotate at night. " * 60 for n in range(6)
    ]
    document = "\n\n".join(
        [
            *("# Guide", "Introduction. " * 90, "## Keys", *paragraphs),
            *("### Exceptions", "The skeleton key never rotates.", "## Doors", "Doors are shut."),
        ]
    )
    id_ = acme.put(document, p_mime="text/markdown", p_title="Guide")["document_id"]
    [[text]] = [[row["content"]] for row in acme.call("get_document", p_document_id=id_)]

    def shown(**arguments: object):
        [row] = acme.search('"paragraph 3" keys', p_limit=1, **arguments)
        assert text[row["char_start"] : row["char_end"]] == row["content"]
        return row

    alone = shown()
    assert alone["content"].count("Paragraph") == 1
    wider = shown(p_neighbours=1)
    assert wider["chunk_id"] == alone["chunk_id"]
    assert wider["char_start"] < alone["char_start"]
    assert wider["char_end"] > alone["char_end"]
    assert {f"Paragraph {n}" for n in (2, 3, 4)} <= {
        wider["content"][i : i + 11] for i in range(len(wider["content"]))
    }
    section = shown(p_section=True)["content"]
    assert "Paragraph 0" in section
    assert "skeleton key" in section, "what is below its heading is of it"
    assert "Introduction" not in section
    assert "Doors are shut" not in section


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"p_diversity": 1.5}, "invalid_option"),
        ({"p_diversity": float("nan")}, "invalid_option"),
        ({"p_min_score": float("nan")}, "invalid_option"),
        ({"p_per_document": 0}, "invalid_option"),
        ({"p_neighbours": 21}, "invalid_option"),
        ({"p_queries": ["x"] * 11}, "too_many_queries"),
        ({"p_queries": [" "]}, "empty_query"),
        ({"p_boosts": {"age": 1}}, "invalid_boosts"),
        ({"p_boosts": {"recency": 1}}, "invalid_boosts"),
        ({"p_boosts": {"recency": {"half_life_days": 0}}}, "invalid_boosts"),
        ({"p_boosts": {"recency": {"weight": "much"}}}, "invalid_boosts"),
        ({"p_boosts": {"labels": {"a": -1}}}, "invalid_boosts"),
        ({"p_boosts": {"labels": {"a": 1e300}}}, "invalid_boosts"),
        ({"p_boosts": {"labels": []}}, "invalid_boosts"),
        ({"p_limit": 0}, "invalid_limit"),
        ({"p_limit": 1001}, "invalid_limit"),
    ],
)
def test_what_is_refused(acme, arguments, code):
    with pytest.raises(RagdbError) as error:
        acme.search("anything", **arguments)
    assert error.value.problem.code == code


def test_a_list_goes_on_where_its_cursor_was_deleted(acme):
    acme.put_many([{"external_id": str(n), "content": f"Number {n}"} for n in range(10)])
    page = acme.call("list_documents", p_limit=3)
    acme.call("delete_documents", p_document_ids=[row["document_id"] for row in page])
    acme.put("Number 11")
    listed = []
    after = page[-1]["cursor"]
    while page := acme.call("list_documents", p_limit=3, p_after=after):
        listed += [row["external_id"] for row in page]
        after = page[-1]["cursor"]
    assert listed == [str(n) for n in range(6, -1, -1)]
    for wrong in ("", "x", page[0]["document_id"] if page else "d", "d" + "f" * 16, "d-1"):
        with pytest.raises(RagdbError) as error:
            acme.call("list_documents", p_after=str(wrong))
        assert error.value.problem.code == "invalid_cursor"
