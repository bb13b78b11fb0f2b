"""A retrained table comes into use while people search.

The retrained tables of these tests are the shipped one with every vector turned around. That
changes all vectors and no cosine between two of the same table, so scores must stay what they are
at every step, and would be off as soon as one table's vectors met the other's.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ragdb import embedding
from ragdb.db import Caller, Database

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase

TEXTS = (
    "The harbour master closes the lock gates at high tide.",
    "Bees find the meadow by the sun and by its polarized light.",
    "A backup that was never restored is only a hope.",
    "The orchestra tunes to the oboe before the concert begins.",
    "Volcanic ash makes fertile soil for coffee and grapes.",
    "The referee added four minutes because of injuries.",
    "Glaciers carve valleys and leave moraines behind.",
)
QUERY = "when are the gates of the harbour shut"


@cache
def shipped() -> embedding.Table:
    return embedding.read_table()


@cache
def retrained(name: str) -> embedding.Table:
    """The shipped table with the dimensions reversed, or, from "b" on, rotated."""
    table = shipped()
    width = table.dimensions
    rows = array("b")
    for number in range(len(table.tokens)):
        row = table.rows[number * width : (number + 1) * width].tolist()
        rows.extend(row[::-1] if name == "a" else row[100:] + row[:100])
    return table._replace(
        model=name, checksum=name, rows=memoryview(rows), confidence=(0.0, 0.0, 2.0)
    )


def arrive(db: psycopg.Connection, name: str) -> None:
    """What an upgrade with another table does."""
    with db.transaction():
        assert embedding.load(db, retrained(name)) is True


def fill(organization: Organization) -> None:
    organization.put_many([{"title": f"Note {n}", "content": t} for n, t in enumerate(TEXTS)])


def scores(organization: Organization, query: str = QUERY) -> list[tuple[str, float]]:
    hits = organization.search(query, p_mode="vector", p_limit=20)
    return [(hit["content"], pytest.approx(hit["score"], abs=2e-3)) for hit in hits]


def reembed(organization: Organization, limit: int = 10_000) -> dict[str, int]:
    return organization.call("reembed", p_limit=limit)[0]


def versions(db: psycopg.Connection, slug: str = "acme") -> dict[int, int]:
    return dict(
        db.execute(
            "select v.version, count(*) from ragdb_data.chunk_vector v"
            " join ragdb_data.organization o using (org_no) where o.slug = %s group by 1",
            (slug,),
        ).fetchall()
    )


def query_vector(organization: Organization) -> list[float]:
    return organization.call("embed", p_text=QUERY)[0]["embed"]


def test_scores_stay_at_every_step_and_the_old_version_goes(
    db: psycopg.Connection, acme: Organization
) -> None:
    fill(acme)
    before = scores(acme)
    old_vector = query_vector(acme)
    old = next(iter(versions(db)))

    arrive(db, "a")
    assert scores(acme) == before
    assert query_vector(acme) == old_vector
    assert versions(db) == {old: 7}

    steps: list[dict[str, int]] = []
    while not steps or steps[-1]["remaining"]:
        steps.append(reembed(acme, 3))
        assert scores(acme) == before
        assert len(steps) < 20
    assert [(s["embedded"], s["scopes_left"]) for s in steps[:3]] == [(3, 1), (3, 1), (1, 0)]
    assert sum(step["embedded"] for step in steps) == sum(step["dropped"] for step in steps) == 7
    assert query_vector(acme) != old_vector
    assert versions(db) == {old + 1: 7}
    assert reembed(acme) == {"embedded": 0, "dropped": 0, "remaining": 0, "scopes_left": 0}

    tokens = "select version, count(*) from ragdb_data.embedding_token group by 1 order by 1"
    assert [row[0] for row in db.execute(tokens).fetchall()] == [old, old + 1]
    with db.transaction():
        assert embedding.load(db, retrained("a")) is False
    assert db.execute(tokens).fetchall() == [(old + 1, len(shipped().tokens))]
    assert scores(acme) == before


def test_chunks_that_come_and_go_meanwhile(db: psycopg.Connection, acme: Organization) -> None:
    fill(acme)
    arrive(db, "a")
    reembed(acme, 2)
    document = acme.put("Lighthouses warn ships of rocks at night.", p_title="Light")
    assert scores(acme, "lighthouse for ships")[0][0].startswith("Lighthouses")
    acme.call("delete_document", p_document_id=document["document_id"])
    acme.put("The ferry waits in the harbour until the gates open.", p_title="Ferry")
    before = scores(acme)
    assert len(before) == 8

    gone = acme.search(TEXTS[1], p_limit=1)[0]
    acme.call("delete_document", p_document_id=gone["document_id"])
    before = [score for score in before if score[0] != TEXTS[1]]
    while reembed(acme, 2)["remaining"]:
        assert scores(acme) == before
    assert scores(acme) == before
    assert list(versions(db).values()) == [7]


def test_an_interrupted_batch_leaves_nothing_and_the_next_goes_on(
    database: TestDatabase, db: psycopg.Connection, acme: Organization
) -> None:
    fill(acme)
    arrive(db, "a")
    reembed(acme, 3)
    after_first = versions(db)
    # A server that dies in the middle of a batch: the transaction is never committed.
    with psycopg.connect(database.url) as connection:
        connection.execute("set role ragdb_service")
        connection.execute("select ragdb.begin_context(%s)", (acme.key,))
        assert connection.execute("select embedded from ragdb.reembed(3)").fetchone() == (3,)
        assert versions(db) == after_first
        # Whoever calls meanwhile does not wait and does nothing.
        assert reembed(acme) == {"embedded": 0, "dropped": 0, "remaining": 4, "scopes_left": 1}
        db.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    assert versions(db) == after_first
    assert reembed(acme)["embedded"] == 4
    assert list(versions(db).values()) == [7]


def test_organizations_change_each_for_itself(
    db: psycopg.Connection, acme: Organization, globex: Organization
) -> None:
    fill(acme)
    arrive(db, "a")
    fill(globex)  # had no vectors, so it starts with the new table
    assert len(versions(db, "globex")) == 1
    assert versions(db).keys().isdisjoint(versions(db, "globex"))
    assert scores(globex) == scores(acme)
    reembed(acme)
    assert versions(db) == versions(db, "globex")
    assert scores(globex) == scores(acme)


def test_what_the_caller_may_not_see_waits_for_somebody_who_may(
    db: psycopg.Connection, acme: Organization
) -> None:
    member = acme.member("bo@acme.test", "editor")
    fill(acme)
    acme.as_key(
        member, "put_document",
        p_content="My own notes about the gates of the harbour.", p_visibility="private",
    )  # fmt: skip
    bo = replace(acme, key=member)
    before, bo_before = scores(acme), scores(bo)
    assert len(bo_before) == len(before) + 1

    arrive(db, "a")
    done = reembed(acme)
    assert (done["embedded"], done["remaining"], done["scopes_left"]) == (7, 0, 1)
    assert (scores(acme), scores(bo)) == (before, bo_before)
    done = reembed(bo)
    assert (done["embedded"], done["remaining"], done["scopes_left"]) == (1, 0, 0)
    assert (scores(acme), scores(bo)) == (before, bo_before)
    assert list(versions(db).values()) == [8]


def test_a_third_table_before_the_second_is_done(
    db: psycopg.Connection, acme: Organization
) -> None:
    fill(acme)
    before = scores(acme)
    old = next(iter(versions(db)))
    arrive(db, "a")
    reembed(acme, 4)
    arrive(db, "b")
    acme.put("Tides follow the moon.", p_title="Tides")
    assert [s for s in scores(acme) if s[0] in TEXTS] == before
    while reembed(acme, 5)["remaining"]:
        assert [s for s in scores(acme) if s[0] in TEXTS] == before
    assert versions(db) == {old + 2: 8}
    assert [s for s in scores(acme) if s[0] in TEXTS] == before


def test_a_writer_from_before_the_upgrade_is_made_up_for(
    database: TestDatabase, db: psycopg.Connection, acme: Organization
) -> None:
    fill(acme)
    before = scores(acme)
    late = "Boats pass the lock when the gates are open."
    with Database.connect(database.url) as other:
        caller = Caller(api_key=acme.key)
        other.call(caller, "put_documents", p_documents=Jsonb([{"title": "Late", "content": late}]))
    expected = scores(acme)
    arrive(db, "a")
    reembed(acme)
    # As if it had been committed only now: the chunk has its old vector alone.
    db.execute(
        "update ragdb_data.chunk_vector v set version = version - 1, embedding ="
        " (select e.embedding from ragdb.embed_batch(array[c.content], array['Late'],"
        " p_version => v.version - 1) e)"
        " from ragdb_data.chunk c where c.chunk_no = v.chunk_no and c.content = %s",
        (late,),
    )
    assert scores(acme) == before
    reembed(acme)
    assert scores(acme) == expected
    assert list(versions(db).values()) == [8]


def test_confidence_is_of_the_table_in_use(db: psycopg.Connection, acme: Organization) -> None:
    def confidence() -> float:
        rows = acme.call("explain_search", p_query=QUERY, p_limit=1)
        return next(row["confidence"] for row in rows if row["rank"] == 1)

    fill(acme)
    before = confidence()
    arrive(db, "a")
    assert confidence() == before
    reembed(acme)
    assert confidence() == pytest.approx(0.8808, abs=1e-4)  # 1 / (1 + exp(-2))


def test_unusual_limits(acme: Organization) -> None:
    for limit in (0, -1, 100_001, None):
        with pytest.raises(Exception, match="limit must be 1 to 100000"):
            acme.call("reembed", p_limit=limit)
