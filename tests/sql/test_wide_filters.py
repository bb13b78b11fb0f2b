"""Filters that most documents of a large tenant pass: right, complete, and not resolved for all."""

from __future__ import annotations

import random

import pytest

WORDS = [f"word{n}" for n in range(300)]
QUERIES = ["word3 word17 word250", "word0 word1", "word299 word5", "word40 word40 word80 word120"]
WIDE = {"metadata.half": {"in": [0, 1]}}


@pytest.fixture
def library(acme):
    """3,600 sealed chunks, two thirds of them of the halves 0 and 1, and a few in the tail."""
    random.seed(7)
    weights = [1 / (n + 3) for n in range(len(WORDS))]
    documents = [
        {
            "external_id": str(n),
            "content": f"{n} " + " ".join(random.choices(WORDS, weights, k=random.randint(5, 30))),
            "metadata": {"half": random.randrange(3), "number": n},
        }
        for n in range(3_650)
    ]
    for first in range(0, 3_600, 600):
        acme.put_many(documents[first : first + 600])
    acme.put_many(documents[3_600:])
    return acme


def found(library, query: str, **arguments) -> list[tuple[int, float]]:
    rows = library.search(query, **arguments)
    return [(row["chunk_id"], round(row["score"], 6)) for row in rows]


def strategy(library, query: str, filters: object) -> str:
    rows = library.call("explain_search", read_only=True, p_query=query, p_filters=filters)
    return rows[0]["trace"]["filter_strategy"]


def matching(db) -> set[int]:
    rows = db.execute(
        "select c.chunk_no from ragdb_data.chunk c join ragdb_data.document d"
        " on d.org_no = c.org_no and d.body_no = c.body_no"
        " where d.metadata ->> 'half' in ('0', '1')"
    )
    return {chunk for (chunk,) in rows}


def test_wide_filters_find_what_resolving_them_would(library, db):
    right = matching(db)
    for query in QUERIES:
        assert strategy(library, query, WIDE) == "candidates"
        every = found(library, query, p_mode="keyword", p_limit=1000)
        expected = [row for row in every if row[0] in right][:20]
        assert found(library, query, p_mode="keyword", p_limit=20, p_filters=WIDE) == expected
        for mode in ("hybrid", "vector"):
            for limit, offset in ((10, 0), (10, 60), (100, 0)):
                chunks = [
                    chunk
                    for chunk, _ in found(
                        library, query, p_mode=mode, p_limit=limit, p_offset=offset, p_filters=WIDE
                    )
                ]
                assert len(set(chunks)) == limit
                assert set(chunks) <= right


def test_conditions_hold_for_candidates_as_for_all(library):
    """Whatever can be asked, of candidates the same is true as of everything."""
    conditions = [
        {"metadata.half": {"ne": 2}},
        {"not": {"metadata.half": 2}},
        {"metadata.half": {"lt": 2}},
        {"metadata.number": {"gte": 900}},
        {"document": {"gt": "3"}},
        {"metadata.half": {"exists": True}, "metadata.number": {"lt": 3_000}},
        {"metadata.nobody": {"exists": False}},
        {"or": [{"metadata.half": [0]}, {"document": {"contains": "1"}}]},
        {"lang": "en"},
    ]
    query = QUERIES[0]
    every = found(library, query, p_mode="keyword", p_limit=1000)
    for condition in conditions:
        assert strategy(library, query, condition) == "candidates"
        # A limit beyond three hundred resolves the filter for all documents.
        resolved = library.search(query, p_mode="keyword", p_limit=400, p_filters=condition)
        expected = [(row["chunk_id"], round(row["score"], 6)) for row in resolved][:20]
        assert found(library, query, p_mode="keyword", p_limit=20, p_filters=condition) == expected
        assert expected[0] in every


def test_narrow_filters_are_resolved(library):
    narrow = {"metadata.number": {"lt": 100}}
    assert strategy(library, QUERIES[1], narrow) == "resolved"
    assert len(found(library, QUERIES[1], p_limit=100, p_filters=narrow)) == 100
    assert strategy(library, QUERIES[1], None) == "none"


def test_deleted_documents_pass_no_filter(library, db):
    before = found(library, QUERIES[0], p_limit=20, p_filters=WIDE)
    gone = {chunk for chunk, _ in before[:10]}
    ids = [row["document_id"] for row in library.search(QUERIES[0], p_limit=20, p_filters=WIDE)]
    library.call("delete_documents", p_document_ids=ids[:10])
    after = found(library, QUERIES[0], p_limit=20, p_filters=WIDE)
    assert strategy(library, QUERIES[0], WIDE) == "candidates"
    assert len(after) == 20
    assert not gone & {chunk for chunk, _ in after}
    assert {chunk for chunk, _ in after} <= matching(db)


def test_a_query_at_odds_with_a_wide_filter_is_asked_for_more(library):
    """Of the best chunks a fifth matches, of all chunks more than half."""
    library.put_many(
        [
            {"content": f"zebra number {n}", "metadata": {"half": 2 if n % 5 else 0}}
            for n in range(640)
        ]
    )
    every = library.search("zebra", p_mode="keyword", p_limit=1000)
    right = [row for row in every if int(row["content"].split()[-1]) % 5 == 0]
    assert len(right) == 128
    assert strategy(library, "zebra", WIDE) == "candidates"
    for mode in ("keyword", "hybrid"):
        rows = library.search("zebra", p_mode=mode, p_limit=20, p_filters=WIDE)
        assert len(rows) == 20
        assert {row["chunk_id"] for row in rows} <= {row["chunk_id"] for row in right}
    best = library.search("zebra", p_mode="keyword", p_limit=20, p_filters=WIDE)
    assert [row["score"] for row in best] == [row["score"] for row in right[:20]]
