"""Embedding models in use: drained, searched with, switched, paid for, and kept apart."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import psycopg
import pytest
from embedding_work import WORKER, Desk
from psycopg.types.json import Jsonb

from embedding_server import POISON, Models, Request, serving, vector
from ragdb.db import Database
from ragdb.embeddings.provider import endpoint
from ragdb.embeddings.queries import Wanted, embedded
from ragdb.errors import RagdbError
from ragdb.job import TryLater

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        yield models


@pytest.fixture
def desk(database: TestDatabase, acme: Organization, models: Models) -> Desk:
    return Desk(database, acme, models, database.login("ragdb_service", "ragdb_worker"))


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(RagdbError) as refused:
        call(*arguments, **named)
    return refused.value.problem.status, refused.value.problem.code


def embed_query(org: Organization, query: str, **arguments: Any) -> str | None:
    """What the service does before a search; the function it ends with."""
    rows = org.call("begin_query_embedding", p_queries=[query], **arguments)
    if not rows:
        return None
    function, answer = asyncio.run(embedded(msgspec.convert(rows[0], Wanted)))
    org.call(function, **answer)
    return function


SHIPS = [{"content": f"Ship {n} sails to harbour {n % 7}.", "external_id": str(n)}
         for n in range(60)]  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "path", "tokens"),
    [("openai", "/v1/embeddings", 15), ("ollama", "/api/embed", 21), ("tei", "/embed", 22)],
)
def test_drained_by_each_protocol(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, protocol: str, path: str, tokens: int
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    desk.used(protocol=protocol, p_api_key_name="SOME_API_KEY",
              p_options={"price_per_million": 1000, "passage_prefix": "passage: "})  # fmt: skip
    desk.org.put_many([{"content": f"Ship {n} sails.", "title": "Ships"} for n in range(3)])
    assert desk.drain() == [{"embedded": 3, "from_cache": 0, "given_up": 0}]
    [request] = desk.models.requests
    assert (request.path, request.authorization) == (path, "Bearer secret")
    assert sorted(request.texts)[0] == "passage: Ships. Ship 0 sails."
    [cost] = desk.org.read("embedding_costs")
    assert (cost["requests"], cost["texts"], cost["cost"]) == (1, 3, cost["tokens"] / 1000)
    assert cost["tokens"] == tokens
    model = desk.model()
    assert (model["coverage"], model["waiting"], model["lag"], model["circuit"]) == (
        100.0, 0, None, "closed")  # fmt: skip


def test_where_endpoints_are() -> None:
    for protocol, base, url in (
        ("openai", "http://a", "http://a/v1/embeddings"),
        ("openai", "http://a/openai/v1/", "http://a/openai/v1/embeddings"),
        ("openai", "http://a/v1/embeddings?api-version=1", "http://a/v1/embeddings?api-version=1"),
        ("ollama", "http://a:11434", "http://a:11434/api/embed"),
        ("tei", "http://a/x", "http://a/x/embed"),
    ):
        assert endpoint(protocol, base) == url


def test_texts_are_embedded_once(desk: Desk, db: psycopg.Connection, globex: Organization) -> None:
    """By content, and for each organization by itself."""
    desk.used()
    globex.call("use_embedding_model", p_name="small")
    desk.org.put("The ship sails.", p_title="One", p_external_id="1")
    desk.drain()
    assert desk.models.texts == ["One. The ship sails."]
    again = desk.org.put("The ship sails.", p_title="One", p_external_id="2", p_chunking={
        "method": "recursive"})  # fmt: skip
    desk.org.call("rebuild")
    assert desk.drain()[-1]["from_cache"] >= 1
    assert len(desk.models.texts) == 1
    assert desk.org.read("embedding_costs")[0]["cached"] >= 1
    globex.put("The ship sails.", p_title="One", p_external_id="1")
    desk.drain()
    assert len(desk.models.texts) == 2
    # What is deleted leaves no vector, in the cache neither.
    desk.org.call("delete_document", p_document_id=again["document_id"])
    for document in desk.org.call("list_documents"):
        desk.org.call("delete_document", p_document_id=document["document_id"])
    for table in ("model_vector", "embedding_cache"):
        left = db.execute(f"select distinct org_no from ragdb_data.{table}").fetchall()
        assert left == [(2,)]


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


def cosine(a: list[float], b: list[float]) -> float:
    def dot(x: list[float], y: list[float]) -> float:
        return sum(p * q for p, q in zip(x, y, strict=True))

    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5


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


def test_vectors_over_the_tables_own(desk: Desk, db: psycopg.Connection) -> None:
    """A model of the table's space: queries stay look-ups, and it can be undone."""
    [(table,)] = db.execute("select model from ragdb_data.embedding_table_version").fetchall()
    desk.models.dimensions = 256
    org = desk.org
    org.put_many(SHIPS[:30])
    before = org.search("ship to harbour 3", p_mode="vector")
    desk.used(p_table=table)

    def kinds() -> dict[int, int]:
        rows = db.execute("select model_no, count(*) from ragdb_data.chunk_vector group by 1")
        return dict(rows.fetchall())

    assert weight(org) == 1.25
    desk.drain()
    assert list(kinds().values()) == [30]
    assert (desk.model()["coverage"], weight(org)) == (100.0, 1.5)
    after = org.search("ship to harbour 3", p_mode="vector")
    assert [row["vector_score"] for row in before] != [row["vector_score"] for row in after]
    assert org.call("begin_query_embedding", p_queries=["x"]) == []
    assert refusal(org.call, "switch_embedding_model", p_name="small") == (
        422, "invalid_embedding_model")  # fmt: skip
    assert refusal(org.call, "restore_table_vectors") == (409, "embedding_model_in_use")
    org.call("leave_embedding_model", p_name="small")
    assert org.call("restore_table_vectors", p_limit=20)[0] == {"restored": 20, "remaining": 10}
    assert org.call("restore_table_vectors")[0] == {"restored": 10, "remaining": 0}
    assert kinds() == {0: 30}
    assert (org.search("ship to harbour 3", p_mode="vector"), weight(org)) == (before, 1.0)


def weight(org: Organization) -> float:
    [told, *_] = org.call("explain_search", p_query="ship", read_only=True)
    return told["trace"]["weights"]["vector"]


def test_a_model_of_another_table_waits(desk: Desk, db: psycopg.Connection) -> None:
    [(table,)] = db.execute("select model from ragdb_data.embedding_table_version").fetchall()
    desk.models.dimensions = 256
    desk.used(p_table=table)
    desk.org.put("The ship sails.")
    db.execute("update ragdb_data.embedding_model set table_model = 'another'")
    assert [type(result) for result in desk.drain()] == [TryLater]
    assert desk.models.requests == []


def test_nothing_stale_is_stored(desk: Desk, db: psycopg.Connection) -> None:
    desk.used()
    desk.org.put("The ship sails.")
    changed = threading.Event()

    def change(request: Request) -> None:
        if not changed.is_set():
            changed.set()
            with psycopg.connect(desk.database.superuser_url, autocommit=True) as other:
                other.execute("update ragdb_data.chunk set content = 'The ship sinks.'")

    desk.models.before = change
    assert desk.drain()[-1]["embedded"] == 1
    assert desk.models.texts == ["The ship sails.", "The ship sinks."]
    [(stored,)] = db.execute("select embedding::text from ragdb_data.model_vector").fetchall()
    numbers = [float(number) for number in stored.strip("[]").split(",")]
    assert cosine(numbers, vector("The ship sinks.", 16)) == pytest.approx(1, abs=0.001)


def test_a_text_that_breaks_the_model_is_given_up(desk: Desk, db: psycopg.Connection) -> None:
    """HTTP 500 for one text: the others are embedded, and it is tried five times."""
    desk.used(p_options={"batch_size": 4, "concurrency": 1})
    desk.models.before = lambda request: (
        (500, {}, {}) if any("breaks" in text for text in request.texts) else None
    )
    desk.org.put_many([*SHIPS[:20], {"content": "This breaks it.", "external_id": "x"}])
    for n in range(60):
        desk.drain()
        if desk.model()["waiting"] == 0:
            break
        # As if time had passed.
        db.execute("update ragdb_data.embedding_queue set loading_retry_after = null")
        db.execute("update ragdb_data.embedding_circuit set open_until = null")
        db.execute("update ragdb_data.job set run_at = now() where status = 'scheduled'")
        desk.org.put(f"Another ship {n} sails.", p_external_id=f"more {n}")
    model = desk.model()
    assert (model["waiting"], model["failed"], model["chunks"] - model["embedded"]) == (0, 1, 1)
    [failure] = desk.org.read("embedding_failures")
    assert failure["error"] == "embed: it answered with HTTP status 500"


def test_the_circuit_opens_and_closes(desk: Desk, db: psycopg.Connection) -> None:
    desk.used(p_options={"batch_size": 4, "concurrency": 1})
    desk.models.before = lambda request: (500, {}, {})
    desk.org.put_many(SHIPS)
    for _ in range(5):
        desk.drain()
    model = desk.model()
    assert (model["circuit"], model["last_error"]) == ("open", "it answered with HTTP status 500")
    asked = len(desk.models.requests)
    assert asked == 3
    db.execute("update ragdb_data.job set run_at = now() where status = 'scheduled'")
    assert [type(result) for result in desk.drain()] == [TryLater]
    assert len(desk.models.requests) == asked
    # Searches know without asking.
    desk.org.call("switch_embedding_model", p_name="small")
    assert desk.org.call("begin_query_embedding", p_queries=["ship"]) == []
    # Half open: one text finds out, then all go.
    desk.models.before = lambda request: None
    db.execute("update ragdb_data.embedding_circuit set open_until = now()")
    db.execute("update ragdb_data.embedding_queue set loading_retry_after = null")
    db.execute("update ragdb_data.job set run_at = now() where status = 'scheduled'")
    assert desk.drain()[-1]["embedded"] == 60
    assert len(desk.models.requests[asked].texts) == 1
    assert desk.model()["circuit"] == "closed"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {}, {"data": [{"index": 0, "embedding": [1.0] * 17}]}), "17 dimensions, not 16"),
        ((200, {}, {"data": []}), "0 vectors for 1 texts"),
        ((200, {}, b"<html>"), "not a list of vectors"),
        ((200, {}, {"data": [{"index": 3, "embedding": [1.0] * 16}]}), "numbers the vectors"),
        ((401, {}, {"error": {"message": "bad key sk-1234"}}), "HTTP status 401"),
        ((302, {"Location": "http://127.0.0.1:1/"}, {}), "HTTP status 302"),
        ((200, {}, b"[" * 4_000_000), "more than vectors"),
    ],
)
def test_what_waiting_does_not_mend(desk: Desk, answer: Any, error: str) -> None:
    """The model is left alone, and whoever looks sees why, without what a server might quote."""
    desk.used()
    desk.models.before = lambda request: answer
    desk.org.put("The ship sails.")
    desk.drain()
    model = desk.model()
    assert (model["circuit"], model["waiting"], model["failed"]) == ("open", 1, 0)
    assert error in model["last_error"] and "sk-1234" not in model["last_error"]


def test_a_missing_key_is_said(desk: Desk) -> None:
    desk.used(p_api_key_name="NEVER_SET_KEY")
    desk.org.put("The ship sails.")
    desk.drain()
    assert desk.model()["last_error"] == "the environment variable NEVER_SET_KEY is not set here"
    assert desk.models.requests == []


def test_limits_are_shared(desk: Desk) -> None:
    desk.used(p_options={"requests_per_minute": 30, "tokens_per_minute": 1000})

    def reserve(requests: int, tokens: int) -> float:
        with Database.connect(desk.worker_url) as worker:
            [row] = worker.call(WORKER, "reserve_embedding", p_model_no=model_no,
                                p_requests=requests, p_tokens=tokens)  # fmt: skip
        return row["reserve_embedding"]

    with psycopg.connect(desk.database.superuser_url) as db:
        [(model_no,)] = db.execute("select model_no from ragdb_data.embedding_model").fetchall()
    assert reserve(20, 100) == 0
    assert 0 < reserve(20, 100) <= 20
    assert reserve(10, 100) == 0
    assert 0 < reserve(1, 900) <= 60
    with Database.connect(desk.worker_url) as worker:
        worker.call(WORKER, "block_embedding", p_model_no=model_no, p_seconds=40)
    assert 30 < reserve(1, 1) <= 40
    desk.org.put("The ship sails.")
    assert desk.drain() == []  # no job is made for it meanwhile
    assert desk.model()["waiting"] == 1


def test_so_many_at_once(desk: Desk) -> None:
    desk.used(p_options={"batch_size": 5, "concurrency": 3})
    desk.org.put_many(SHIPS)
    held = desk.models.held = threading.Event()
    threading.Thread(target=lambda: (threading.Event().wait(0.5), held.set())).start()
    desk.drain()
    assert desk.models.most_under_way == 3
    assert max(len(request.texts) for request in desk.models.requests) == 5


def test_private_texts_are_embedded_and_stay_private(desk: Desk) -> None:
    org = desk.org
    desk.used()
    vera = org.member("vera@acme.test", "editor")
    org.as_key(vera, "put_document", p_content="Secret ship.", p_visibility="private",
               p_external_id="s")  # fmt: skip
    org.as_key(vera, "put_document", p_content=f"Secret {POISON}.", p_visibility="private",
               p_external_id="p")  # fmt: skip
    assert desk.drain()[-1] == {"embedded": 1, "from_cache": 0, "given_up": 1}
    assert (desk.model()["embedded"], desk.model()["failed"]) == (0, 1)
    assert org.read("embedding_failures") == []


def test_only_those_who_may(desk: Desk) -> None:
    org = desk.org
    desk.register()
    viewer, editor = org.member("v@acme.test"), org.member("e@acme.test", "editor")
    for key in (viewer, editor):
        for function in ("use_embedding_model", "switch_embedding_model"):
            assert refusal(org.as_key, key, function, p_name="small")[0] == 403
    assert refusal(org.as_key, viewer, "begin_embedding", p_name="small")[0] == 403
    # Nor an administrator, who does not see all chunks: a worker's lease does.
    assert refusal(org.call, "begin_embedding", p_name="small") == (409, "lease_required")
    assert refusal(org.call, "use_embedding_model", p_name="none") == (
        404, "embedding_model_not_found")  # fmt: skip
    for arguments, code in (
        ({"p_name": "small"}, "embedding_model_exists"),
        ({"p_name": "table"}, "invalid_embedding_model"),
        ({"p_name": "UPPER"}, "invalid_embedding_model"),
        ({"p_url": "ftp://a"}, "invalid_embedding_model"),
        ({"p_dimensions": 4001}, "invalid_embedding_model"),
        ({"p_protocol": "soap"}, "invalid_embedding_model"),
        ({"p_api_key_name": "RAGDB_DATABASE_URL"}, "invalid_embedding_model"),
        ({"p_table": "none"}, "unknown_embedding_table"),
        ({"p_options": {"batch_size": 0}}, "invalid_embedding_model"),
        ({"p_options": {"batch": 1}}, "invalid_option"),
        ({"p_options": {"confidence": [1, 2]}}, "invalid_option"),
        ({"p_options": {"timeout": "long"}}, "invalid_option"),
    ):
        given: dict[str, Any] = {"p_name": "other", "p_protocol": "openai"} | arguments
        name, protocol = given.pop("p_name"), given.pop("p_protocol")
        assert refusal(desk.register, name, protocol, **given)[1] == code, arguments


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
