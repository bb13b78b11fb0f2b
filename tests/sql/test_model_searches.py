"""Searches that ask embedding models: switched, compared, and kept apart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from embedding_work import SHIPS, Desk, cosine, refusal
from psycopg.types.json import Jsonb

from embedding_server import POISON, Models, serving, vector
from ragdb.db import Database
from ragdb.embeddings.queries import Wanted, embedded

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        yield models


@pytest.fixture
def desk(database: TestDatabase, acme: Organization, models: Models) -> Desk:
    return Desk(database, acme, models, database.login("ragdb_service", "ragdb_worker"))


def embed_query(org: Organization, query: str, **arguments: Any) -> str | None:
    """What the service does before a search; the function it ends with."""
    rows = org.call("begin_query_embedding", p_queries=[query], **arguments)
    if not rows:
        return None
    function, answer = asyncio.run(embedded(msgspec.convert(rows[0], Wanted)))
    org.call(function, **answer)
    return function


def test_searches_turn_to_a_model_and_back(desk: Desk) -> None:
    org = desk.org
    org.put_many(SHIPS)
    plain = org.search("ship to harbour 3")
    desk.used()
    assert desk.drain()[-1]["embedded"] == 60
    assert org.search("ship to harbour 3") == plain
    assert refusal(org.call, "rollback_embedding_model") == (409, "nothing_to_roll_back")
    org.call("switch_embedding_model", p_name="small")
    assert org.search("ship to harbour 3")[0]["vector_score"] is not None  # by the table
    assert embed_query(org, "ship to harbour 3") == "finish_query_embedding"
    assert embed_query(org, " ship  to harbour 3 ") is None  # it is known
    found = org.search("ship to harbour 3", p_limit=60, p_mode="vector")
    cosines = {row["content"]: row["vector_score"] for row in found}
    expected = cosine(vector("ship to harbour 3", 16), vector("Ship 3 sails to harbour 3.", 16))
    assert cosines["Ship 3 sails to harbour 3."] == pytest.approx(expected, abs=0.01)
    assert len(found) == 60 and found == sorted(found, key=lambda row: -row["vector_score"])
    hybrid = org.call("explain_search", p_query="ship to harbour 3", read_only=True)
    assert hybrid[0]["trace"]["embedding_model"] == "small"
    assert hybrid[0]["trace"]["weights"]["vector"] == 1.5
    assert org.call("rollback_embedding_model")[0]["rollback_embedding_model"] == "table"
    assert org.search("ship to harbour 3") == plain
    assert org.call("rollback_embedding_model")[0]["rollback_embedding_model"] == "small"
    assert desk.model()["is_searched"]
    assert refusal(org.call, "leave_embedding_model", p_name="small") == (
        409, "embedding_model_in_use")  # fmt: skip
    assert refusal(desk.operate, "drop_embedding_model", p_name="small") == (
        409, "embedding_model_in_use")  # fmt: skip


def test_no_search_fails_while_models_change(desk: Desk) -> None:
    org = desk.org
    org.put_many(SHIPS)
    desk.used()
    stop, failed, done = threading.Event(), list[Exception](), [0]

    def search() -> None:
        with Database.connect(desk.database.url) as connection:
            mine = type(org)(org.slug, org.key, connection)
            while not stop.is_set():
                try:
                    assert len(mine.search("ship to harbour 3", p_limit=5)) == 5
                    done[0] += 1
                except Exception as error:
                    failed.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    desk.drain()
    desk.register("second", p_dimensions=16)
    org.call("use_embedding_model", p_name="second")
    desk.drain()
    for name in ("small", "second", None, "second", "small"):
        org.call("switch_embedding_model", p_name=name)
        embed_query(org, "ship to harbour 3")
        seen = done[0]
        while done[0] < seen + 5 and not failed:
            stop.wait(0.01)
    org.call("rollback_embedding_model")
    org.call("leave_embedding_model", p_name="small")
    desk.operate("drop_embedding_model", p_name="small")
    seen = done[0]
    while done[0] < seen + 5 and not failed:
        stop.wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


def test_compared_before_it_serves(desk: Desk) -> None:
    org = desk.org
    org.put_many(SHIPS)
    desk.used()
    desk.drain()
    judged = [{"query_id": str(n), "query": f"harbour {n} of ships", "documents": {str(n + 11): 1}}
              for n in range(20)]  # fmt: skip
    org.call("put_judgements", p_dataset="ships", p_judgements=Jsonb(judged))
    for one in judged:
        assert embed_query(org, one["query"], p_model="small") == "finish_query_embedding"
    measured = {
        name: org.call("evaluate", p_dataset="ships",
                       p_config={"model": name, "modes": ["vector"]})[0]["ndcg_10"]
        for name in ("small", "table")
    }  # fmt: skip
    assert all(0 <= value <= 1 for value in measured.values())
    assert measured["small"] != measured["table"]
    assert not desk.model()["is_searched"]


def test_private_texts_are_embedded_and_stay_private(desk: Desk) -> None:
    org = desk.org
    desk.used()
    vera = org.member("vera@acme.test", "editor")
    org.as_key(vera, "put_document", p_content="Secret ship.", p_visibility="private",
               p_external_id="s")  # fmt: skip
    org.as_key(vera, "put_document", p_content=f"Secret {POISON}.", p_visibility="private",
               p_external_id="p")  # fmt: skip
    assert desk.drain()[-1] == {"embedded": 1, "from_cache": 0, "given_up": 1, "restored": 0}
    assert (desk.model()["embedded"], desk.model()["failed"]) == (0, 1)
    assert org.read("embedding_failures") == []


def test_old_query_vectors_are_forgotten(desk: Desk, db: psycopg.Connection) -> None:
    desk.used()
    desk.org.put("The ship sails.")
    desk.drain()
    desk.org.call("switch_embedding_model", p_name="small")
    embed_query(desk.org, "ship")
    task = "forget embeddings"

    def forgotten() -> int:
        return next(row["rows"] for row in desk.org.call("maintain") if row["task"] == task)

    assert forgotten() == 0
    for table in ("query_embedding", "embedding_cache"):
        db.execute(f"update ragdb_data.{table} set used_at = now() - interval '31 days'")
    assert forgotten() == 2
    assert embed_query(desk.org, "ship") == "finish_query_embedding"


def test_a_large_tenant_asks_the_index(desk: Desk, db: psycopg.Connection) -> None:
    desk.models.dimensions = 1536
    desk.used()
    desk.org.put_many([{"content": f"Ship {n} sails.", "external_id": str(n)} for n in range(40)])
    desk.drain()
    # More chunks than are compared one by one, without a text of their own to embed.
    db.execute(
        "insert into ragdb_data.model_vector (org_no, scope_no, chunk_no, body_no, model_no,"
        " is_indexed, embedding) select v.org_no, v.scope_no, 100000 + n, v.body_no, v.model_no,"
        " true, public.l2_normalize(array(select random() - 0.5 + n * 0 from"
        " generate_series(1, 1536))::public.vector)::public.halfvec from generate_series(1, 300) n"
        " cross join (select * from ragdb_data.model_vector limit 1) v"
    )
    asked = "[" + ",".join(f"{x:.3f}" for x in vector("Ship 7 sails.", 1536)) + "]"
    [(chunks, strategy)] = db.execute(
        "select n.chunk_nos, n.strategy from ragdb_data.model_vector v, lateral"
        " ragdb_data._nearest_of_model(v.org_no, array[v.scope_no], v.model_no,"
        " public.l2_normalize(%s::public.vector)::public.halfvec, 5000, null, null, 10) n limit 1",
        (asked,),
    ).fetchall()
    assert strategy == "hnsw" and len(chunks) == 10
    [(best,)] = db.execute("select content from ragdb_data.chunk where chunk_no = %s",
                           (chunks[0],)).fetchall()  # fmt: skip
    assert best == "Ship 7 sails."
    db.execute("set enable_sort = off")
    plan = db.execute(
        "explain select v.chunk_no from ragdb_data.model_vector v where org_no = 1 and model_no = 1"
        " and is_indexed order by embedding::public.halfvec(1536) operator(public.<=>)"
        " (select embedding from ragdb_data.model_vector limit 1) limit 5"
    ).fetchall()
    assert "_hnsw_" in str(plan)
