"""Models that write their vectors over the table's: searched as they come, and turned back from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from embedding_work import SHIPS, Desk, refusal
from psycopg.types.json import Jsonb

from embedding_server import Models, serving
from ragdb.db import Database
from ragdb.job import TryLater

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from conftest import Organization, TestDatabase

QUERY = "ship to harbour 3"
FLEET = [ship | {"labels": [("even", "odd")[n % 2]]} for n, ship in enumerate(SHIPS)]


@pytest.fixture
def models() -> Iterator[Models]:
    with serving(256) as models:
        yield models


@pytest.fixture
def desk(database: TestDatabase, acme: Organization, models: Models) -> Desk:
    return Desk(database, acme, models, database.login("ragdb_service", "ragdb_worker"))


@pytest.fixture
def table(db: psycopg.Connection) -> str:
    """The name of the embedding table, in whose space the models are."""
    [(name,)] = db.execute("select model from ragdb_data.embedding_table_version").fetchall()
    return name


def weight(org: Organization) -> float:
    [told, *_] = org.call("explain_search", p_query="ship", read_only=True)
    return told["trace"]["weights"]["vector"]


def answers(org: Organization) -> list[list[DictRow]]:
    """What searches of every kind say: either leg, all of the ranking, behind filters."""
    return [
        org.search(QUERY, p_limit=40),
        org.search(QUERY, p_mode="vector", p_limit=40),
        org.search("ship harbour", p_limit=5, p_offset=20),
        org.search(QUERY, p_filters=Jsonb({"label": "odd"}), p_limit=40),
        org.search('"harbour 4" ship -27', p_limit=40),
    ]


def kinds(db: psycopg.Connection) -> dict[int, int]:
    """How many chunks have a vector of which model in the table's place."""
    rows = db.execute("select model_no, count(*) from ragdb_data.chunk_vector group by 1")
    return dict(rows.fetchall())


def test_turned_back_from_in_one_statement(desk: Desk, table: str, db: psycopg.Connection) -> None:
    org = desk.org
    org.put_many(FLEET)
    plain = answers(org)
    desk.used(p_table=table)
    assert (weight(org), desk.model()["is_searched"]) == (1.25, True)
    assert desk.drain()[-1]["embedded"] == 60
    assert (desk.model()["coverage"], weight(org)) == (100.0, 1.5)
    assert org.call("begin_query_embedding", p_queries=["x"]) == []
    better = answers(org)
    assert all(a != b for a, b in zip(plain, better, strict=True))
    assert org.call("rollback_embedding_model")[0]["rollback_embedding_model"] == "table"
    assert (answers(org), weight(org), desk.model()["is_searched"]) == (plain, 1.0, False)
    # And anew, nothing being lost.
    assert org.call("rollback_embedding_model")[0]["rollback_embedding_model"] == "small"
    assert (answers(org), weight(org)) == (better, 1.5)
    org.call("switch_embedding_model", p_name=None)
    assert answers(org) == plain
    org.call("switch_embedding_model", p_name="small")
    assert answers(org) == better
    # Nothing was written for any of it.
    assert list(kinds(db).values()) == [60]
    assert len(desk.models.texts) == 60


def test_turned_back_from_half_way(desk: Desk, table: str, db: psycopg.Connection) -> None:
    """With some vectors replaced, and while documents come, change and go."""
    org = desk.org
    org.put_many(FLEET[:40])
    desk.models.before = lambda request: (
        (500, {}, {}) if any("harbour 5" in text for text in request.texts) else None
    )
    desk.used(p_table=table, p_options={"batch_size": 1, "concurrency": 1})
    desk.drain()
    assert 0 < kinds(db)[0] < 40
    org.call("rollback_embedding_model")
    org.put_many(FLEET[40:])
    org.put("Ship 3 is in dock.", p_external_id="3")
    for document in org.call("list_documents"):
        if document["external_id"] in {"10", "11"}:
            org.call("delete_document", p_document_id=document["document_id"])
    turned = answers(org)
    # The worker goes on beside it, and changes nothing that is searched.
    desk.models.before = lambda request: None
    db.execute("update ragdb_data.embedding_queue set loading_retry_after = null")
    db.execute("update ragdb_data.embedding_circuit set open_until = null, failures = 0")
    db.execute("update ragdb_data.job set run_at = now() where status = 'scheduled'")
    desk.drain()
    assert (desk.model()["coverage"], answers(org)) == (100.0, turned)
    db.execute("delete from ragdb_data.job")
    org.call("leave_embedding_model", p_name="small")
    desk.drain()
    assert (kinds(db), answers(org)) == ({0: 58}, turned)
    assert db.execute("select from ragdb_data.model_vector").fetchall() == []


def test_left_and_put_back_by_workers(desk: Desk, table: str, db: psycopg.Connection) -> None:
    """Of all scopes, those included that whoever leaves the model does not see."""
    org = desk.org
    vera = org.member("vera@acme.test", "editor")
    org.as_key(vera, "put_document", p_content="Secret ship.", p_visibility="private")
    org.put_many(FLEET[:30])
    plain = answers(org)
    desk.used(p_table=table)
    desk.drain()
    # As written before vectors were kept: made anew.
    db.execute("delete from ragdb_data.model_vector where mod(chunk_no, 3) = 0")
    assert refusal(org.call, "restore_table_vectors", p_name="small") == (409, "lease_required")
    assert refusal(desk.operate, "drop_embedding_model", p_name="small") == (
        409, "embedding_model_in_use")  # fmt: skip
    org.call("leave_embedding_model", p_name="small")
    assert refusal(desk.operate, "drop_embedding_model", p_name="small") == (
        409, "embedding_model_in_use")  # fmt: skip
    assert desk.drain()[-1] == {"embedded": 0, "from_cache": 0, "given_up": 0, "restored": 31}
    assert (kinds(db), answers(org), weight(org)) == ({0: 31}, plain, 1.0)
    assert refusal(org.call, "rollback_embedding_model") == (409, "nothing_to_roll_back")
    assert desk.drain() == []
    # Once more, from the cache.
    asked = len(desk.models.texts)
    org.call("use_embedding_model", p_name="small")
    assert desk.drain()[-1]["from_cache"] == 31
    assert (len(desk.models.texts), weight(org)) == (asked, 1.5)
    org.call("leave_embedding_model", p_name="small")
    desk.drain()
    desk.operate("drop_embedding_model", p_name="small")


def test_used_again_before_all_is_put_back(desk: Desk, table: str, db: psycopg.Connection) -> None:
    org = desk.org
    org.put_many(FLEET)
    desk.used(p_table=table)
    desk.drain()
    better = answers(org)
    org.call("leave_embedding_model", p_name="small")
    org.call("use_embedding_model", p_name="small")
    desk.drain()
    assert (list(kinds(db).values()), answers(org)) == ([60], better)


def test_no_search_fails_or_is_mixed(desk: Desk, table: str) -> None:
    """While the table's vectors are replaced, turned back to and put back."""
    org = desk.org
    org.put_many(FLEET)
    plain = org.search(QUERY, p_mode="vector")
    stop, failed, turned, done = threading.Event(), list[object](), threading.Event(), [0]

    def search() -> None:
        with Database.connect(desk.database.url) as connection:
            mine = type(org)(org.slug, org.key, connection)
            while not stop.is_set():
                try:
                    is_turned = turned.is_set()
                    found = mine.search(QUERY, p_mode="vector")
                    if len(found) < 10 or (is_turned and found != plain):
                        failed.append(found)
                    done[0] += 1
                except Exception as error:
                    failed.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    desk.used(p_table=table, p_options={"batch_size": 4, "concurrency": 1})
    desk.drain()
    org.call("rollback_embedding_model")
    turned.set()
    for step in (None, "leave_embedding_model"):
        if step:
            org.call(step, p_name="small")
            desk.drain()
        seen = done[0]
        while done[0] < seen + 10 and not failed:
            stop.wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


def test_beside_a_model_with_a_space_of_its_own(desk: Desk, table: str) -> None:
    """A model that serves goes on, and the table stands in where it has no query's vector."""
    org = desk.org
    org.put_many(FLEET)
    plain = org.search(QUERY)
    desk.used("foreign")
    desk.drain()
    org.call("switch_embedding_model", p_name="foreign")
    desk.used("small", p_table=table)
    assert [desk.model(name)["is_searched"] for name in ("foreign", "small")] == [True, False]
    desk.drain()
    # As if by the table, but for the weight that the model's cosines have.
    stood_in = org.search(QUERY, p_mode="vector")
    org.call("switch_embedding_model", p_name=None)
    assert (org.search(QUERY, p_mode="vector"), org.search(QUERY)) == (stood_in, plain)
    org.call("switch_embedding_model", p_name="small")
    assert org.search(QUERY) != plain
    assert org.call("rollback_embedding_model")[0]["rollback_embedding_model"] == "table"


def test_a_model_of_another_table_waits(desk: Desk, table: str, db: psycopg.Connection) -> None:
    desk.used(p_table=table)
    desk.org.put("The ship sails.")
    db.execute("update ragdb_data.embedding_model set table_model = 'another'")
    assert [type(result) for result in desk.drain()] == [TryLater]
    assert desk.models.requests == []
