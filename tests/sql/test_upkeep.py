"""Texts indexed anew, copies removed, chunks carried from one organization to another."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError


def integrity(organization):
    return {row["problem"]: row["rows"] for row in organization.call("check_integrity")}


def found(organization, query="brass wheel"):
    return [(row["title"], round(row["score"], 6)) for row in organization.search(query)]


@pytest.fixture
def library(acme):
    acme.put_many(
        [
            {"external_id": str(n), "title": f"Volume {n}",
             "content": f"# Part {n}\n\nThe brass wheel turns {n} times.\n\n" + f"Oil {n}. " * 300}
            for n in range(7)
        ]
    )  # fmt: skip
    return acme


def test_rebuilding_changes_no_answer(library):
    before = found(library)
    sizes = [library.call("rebuild", p_limit=3)[0]]
    while sizes[-1]["next"] is not None:
        sizes.append(library.call("rebuild", p_limit=3, p_after=sizes[-1]["next"])[0])
    assert [row["texts"] for row in sizes] == [3, 3, 1]
    assert [row["remaining"] for row in sizes] == [4, 1, 0]
    assert found(library) == before
    assert set(integrity(library).values()) == {0}
    library.call("maintain")
    assert found(library) == before


def test_rebuilding_one_workspace(library):
    library.call("create_workspace", p_slug="other", p_name="Other")
    library.put("Another text.", p_workspace="other")
    assert library.call("rebuild", p_workspace="other")[0]["texts"] == 1


def test_damage_is_told(library, db):
    db.execute("delete from ragdb_data.chunk_word where chunk_no % 2 = 0")
    db.execute("delete from ragdb_data.chunk_vector where chunk_no % 3 = 0")
    found = integrity(library)
    assert found["chunks without words"] > 0
    assert found["chunks of letters without a vector"] > 0
    assert found["words of no chunk"] == 0


def test_copies_go_and_the_oldest_stays(library):
    library.put("The same text.", p_title="First", p_external_id="a")
    library.put(
        "The same text.", p_title="Second", p_external_id="b", p_source="elsewhere"
    )
    told = library.call("dedupe")
    assert [(row["title"], row["kept_title"], row["source"]) for row in told] == [
        ("Second", "First", "elsewhere")
    ]
    assert library.call("dedupe", p_apply=True) == told
    assert library.call("dedupe") == []
    assert [row["title"] for row in library.search("same text", p_limit=1)] == ["First"]


def test_chunks_are_carried_over(library, globex):
    records, after = [], 0
    while rows := library.call("export_chunks", p_after=after, p_limit=4):
        records += [row["record"] for row in rows]
        after = rows[-1]["chunk_id"]
    assert len(records) == len(library.read("chunks")) > 7
    assert {len(record["embedding"]) for record in records} == {256}
    assert {(r["source"]["type"], r["source"]["path"]) for r in records} == {
        ("file", str(n)) for n in range(7)
    }

    stored = globex.call("import_chunks", p_records=Jsonb(records))
    # Two chunks of one text are found as one.
    assert {row["status"] for row in stored} <= {"ingested", "duplicate"}
    assert {row["chunks"] for row in stored} == {1}
    hit = globex.search("brass wheel turns 3 times", p_limit=1)[0]
    assert hit["title"] == "Volume 3" and "turns 3 times" in hit["content"]
    again = globex.call("import_chunks", p_records=Jsonb(records))
    assert {row["status"] for row in again} == {"unchanged"}


def test_faulty_records_fail_alone(acme):
    rows = acme.call(
        "import_chunks",
        p_records=Jsonb([{"id": "1", "content": "Good."}, 7, {"id": "3"}, {"content": ["x"]}]),
    )
    assert [row["status"] for row in rows] == ["ingested", "failed", "failed", "failed"]
    with pytest.raises(RagdbError) as caught:
        acme.call("import_chunks", p_records=Jsonb({"id": "1"}))
    assert caught.value.problem.code == "invalid_records"


@pytest.mark.parametrize("function", ["rebuild", "dedupe", "export_chunks"])
def test_limits_are_checked(acme, function):
    with pytest.raises(RagdbError) as caught:
        acme.call(function, p_limit=0)
    assert caught.value.problem.code == "invalid_limit"
