"""The plans of a search at a few thousand chunks: what is read, and by which way."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

PLENTY = [
    "posting", "segment_posting", "slot", "chunk_word", "chunk_vector", "chunk", "document", "body",
    "document_fact",
]  # fmt: skip
SETTINGS = {
    "log_min_duration": "0", "log_nested_statements": "on", "log_analyze": "on",
    "log_timing": "off", "log_format": "json", "log_level": "notice",
}  # fmt: skip


@pytest.fixture
def library(acme, globex, db):
    """2,100 chunks indexed and sealed, 150 since, and another organization's."""
    rng = random.Random(1)
    words = [f"word{n}" for n in range(300)]

    def put(who, count: int) -> None:
        for _ in range(0, count, 150):
            who.put_many(
                [
                    {"content": " ".join(rng.choices(words, k=20)), "labels": [f"l{n % 20}"]}
                    for n in range(150)
                ]
            )

    put(acme, 2_100)
    put(globex, 300)
    acme.call("maintain")
    put(acme, 150)
    db.execute("analyze")
    return acme


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that ran."""
    if plan.get("Actual Loops"):
        yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


@pytest.fixture
def explain(library, db):
    """The plans of all statements inside a search, as a service that is warm runs it."""
    found: list[dict[str, Any]] = []
    db.add_notice_handler(
        lambda notice: (
            found.append(json.loads(text.partition("plan:\n")[2]))
            if "plan:\n" in (text := notice.message_primary or "")
            else None
        )
    )

    def run(mode: str, filters: str | None = None) -> list[dict[str, Any]]:
        query = "'word3 word40 word200', p_mode => %s, p_filters => %s"
        statement = f"select * from ragdb.search({query})"
        db.execute("load 'auto_explain'")
        with db.transaction():
            db.execute("set local role ragdb_service")
            db.execute("select ragdb.begin_context(%s)", [library.key])
            for _ in range(6):
                assert len(db.execute(statement, [mode, filters]).fetchall()) == 10
            db.execute("reset role")
            for name, value in SETTINGS.items():
                db.execute(f"set local auto_explain.{name} = {value!r}")
            db.execute("set local role ragdb_service")
            db.execute("select ragdb.begin_context(%s)", [library.key])
            found.clear()
            db.execute(statement, [mode, filters])
        return list(found)

    return run


def tables(plan: dict[str, Any]) -> set[str]:
    return {node["Relation Name"] for node in nodes(plan["Plan"]) if "Relation Name" in node}


def test_a_search_reads_by_key(explain):
    for mode in ("hybrid", "keyword", "vector"):
        for filters in (None, '{"label": "l3"}', '{"label": {"ne": "l3"}}'):
            plans = explain(mode, filters)
            assert len(plans) > 5
            for plan in plans:
                for node in nodes(plan["Plan"]):
                    table = node.get("Relation Name", "").rstrip("0123456789_")
                    is_scan = node["Node Type"] == "Seq Scan" and table in PLENTY
                    assert not is_scan, plan["Query Text"]


def test_a_search_reads_no_more_than_it_needs(explain, db):
    plans = explain("hybrid")

    # One partition of the vectors, its own.
    own = db.execute(
        "select distinct v.tableoid::regclass::text"
        "  from ragdb_data.chunk_vector v join ragdb_data.organization o using (org_no)"
        " where o.slug = 'acme'"
    ).fetchall()
    touched = {t for plan in plans for t in tables(plan) if t.startswith("chunk_vector")}
    assert [(f"ragdb_data.{table}",) for table in touched] == own

    # Vectors in the order of the index: what is sorted is what the index does not hold yet.
    (nearest,) = [p for p in plans if "e.is_indexed" in p["Query Text"]]
    ran = list(nodes(nearest["Plan"]))
    assert any(str(n.get("Index Name")).endswith(("_embedding_idx", "_hnsw")) for n in ran)
    assert max(n["Actual Rows"] for n in ran if n["Node Type"] == "Index Scan") <= 150

    # Of what is sealed the candidates, however many chunks the scope has.
    read = [
        node["Actual Rows"] * node["Actual Loops"]
        for plan in plans
        for node in nodes(plan["Plan"])
        if node.get("Relation Name") == "chunk_word"
    ]
    assert read and max(read) <= 220
