"""Embedding models at work: drained, limited, paid for, left alone when they fail."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from embedding_work import SHIPS, WORKER, Desk, cosine, refusal

from embedding_server import Models, Request, serving, vector
from ragdb.db import Database
from ragdb.embeddings.provider import endpoint
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
    assert desk.drain() == [{"embedded": 3, "from_cache": 0, "given_up": 0, "restored": 0}]
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
