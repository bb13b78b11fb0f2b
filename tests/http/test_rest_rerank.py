"""A reranking endpoint, in each shape that servers speak, against a server of that shape."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from rest import Service, Tenant, problem, running

from ragdb.rerank import READ, endpoint

Answer = Callable[[dict[str, Any]], tuple[int, object]]


def scored(request: dict[str, Any], name: str = "documents") -> list[tuple[int, float]]:
    """A model that loves cheese, and says so in no particular order."""
    return [(n, text.lower().count("cheese") / 10) for n, text in enumerate(request[name])][::-1]


def cohere(request: dict[str, Any]) -> tuple[int, object]:
    found = [{"index": n, "relevance_score": score} for n, score in scored(request)]
    return 200, {"id": "x", "results": found, "meta": {"billed_units": {"search_units": 1}}}


def jina(request: dict[str, Any]) -> tuple[int, object]:
    found = [
        {"index": n, "relevance_score": score, "document": {"text": "..."}}
        for n, score in scored(request)
    ]
    return 200, {"model": request["model"], "results": found[: request["top_n"]]}


def tei(request: dict[str, Any]) -> tuple[int, object]:
    if "texts" not in request:
        return 422, {"error": "Failed to deserialize: missing field `texts`"}
    return 200, [{"index": n, "score": score} for n, score in scored(request, "texts")]


@dataclass
class Reranker:
    """What the server answers, and what it was asked."""

    url: str = ""
    answer: Answer = cohere
    hang: threading.Event | None = None
    requests: list[SimpleNamespace] = field(default_factory=list)


@pytest.fixture(scope="module")
def model() -> Iterator[Reranker]:
    model = Reranker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.requests.append(SimpleNamespace(path=self.path, headers=self.headers, body=body))
            if model.hang:
                model.hang.wait(60)
            status, document = model.answer(body)
            raw = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            with suppress(ConnectionError):  # the service has hung up
                self.end_headers()
                self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        model.url = f"http://127.0.0.1:{server.server_port}/v1"
        threading.Thread(target=server.serve_forever).start()
        yield model
        server.shutdown()


@pytest.fixture(scope="module")
def rest(
    shared: SimpleNamespace, model: Reranker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that asks the reranker."""
    with running(
        shared.url, tmp_path_factory.mktemp("rerank"),
        RAGDB_RERANK_URL=model.url, RAGDB_RERANK_MODEL="judge-1",
        RAGDB_RERANK_API_KEY="rk-secret", RAGDB_RERANK_TIMEOUT="5",
    ) as service:  # fmt: skip
        yield service


@pytest.fixture
def library(acme: Tenant, model: Reranker) -> Tenant:
    acme.put("Mice eat what is there: grain, soap, and now and then cheese.", title="Mice")
    acme.put("What do mice eat? Mice eat grain. What mice eat is grain.", title="Grain")
    acme.put("Cheese, cheese, cheese: all about cheese.", title="Cheese")
    model.requests.clear()
    model.hang, model.answer = None, cohere
    return acme


QUERY = "what do mice eat"


def search(tenant: Tenant, **fields: object) -> dict[str, Any]:
    response = tenant.http.post("/api/v1/search", json={"query": QUERY, "rerank": True, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def titles(response: dict[str, Any]) -> list[str]:
    return [hit["title"] for hit in response["results"]]


@pytest.mark.parametrize("shape", [cohere, jina, tei])
def test_every_shape(library: Tenant, model: Reranker, shape: Answer) -> None:
    assert library.search(QUERY)[0]["title"] == "Grain"
    model.answer = shape
    found = search(library)
    assert titles(found) == ["Cheese", "Mice", "Grain"]
    assert (found["reranked"], found["rerank_reason"]) == (True, None)
    assert [hit["rank"] for hit in found["results"]] == [1, 2, 3]
    assert [hit["rerank_score"] for hit in found["results"]] == [0.5, 0.1, 0]
    asked = model.requests[-1]
    assert asked.path == "/v1/rerank"
    assert asked.headers["Authorization"] == "Bearer rk-secret"
    assert asked.body["query"] == QUERY
    assert len(asked.body["texts" if shape is tei else "documents"]) == 3
    if shape is not tei:
        assert asked.body["model"] == "judge-1"
        assert asked.body["top_n"] == 3


def test_pages_of_the_new_order(library: Tenant) -> None:
    assert titles(search(library, limit=1)) == ["Cheese"]
    second = search(library, limit=1, offset=1)
    assert titles(second) == ["Mice"]
    assert second["results"][0]["rank"] == 2
    assert titles(search(library, limit=5, offset=1)) == ["Mice", "Grain"]
    beyond = search(library, limit=1, offset=READ)
    assert (beyond["results"], beyond["reranked"]) == ([], False)
    problem(library.http.post("/api/v1/search", json={"query": "x", "rerank": True, "limit": 0}),
            422, "invalid_limit")  # fmt: skip


def test_at_most_so_many_are_read(library: Tenant, model: Reranker) -> None:
    for n in range(READ):
        library.put(f"Mice eat grain, number {n}.")
    found = search(library, limit=READ + 3)
    assert len(model.requests[-1].body["documents"]) == READ
    assert len(found["results"]) == READ + 3
    assert [hit["rerank_score"] is None for hit in found["results"]] == [False] * READ + [True] * 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda _: (500, {"error": "rk-secret is wrong"}), "HTTP status 500"),
        (lambda _: (200, b"<html>"), "not a list of scores"),
        (lambda _: (200, {"results": []}), "empty"),
        (lambda _: (200, {"results": [{"index": 99, "relevance_score": 1}]}), "not given"),
        (lambda _: (200, [{"index": 0}]), "not given"),
        (lambda _: (200, b"[" * 100_000), "not a list of scores"),
    ],
)
def test_when_it_fails_the_databases_order_stands(
    library: Tenant, model: Reranker, answer: Answer, reason: str
) -> None:
    model.answer = answer
    found = search(library)
    assert titles(found) == [hit["title"] for hit in library.search(QUERY)]
    assert found["reranked"] is False
    assert reason in found["rerank_reason"]
    assert "rk-secret" not in found["rerank_reason"]
    assert found["results"][0]["rerank_score"] is None


def test_it_is_not_waited_for(library: Tenant, model: Reranker) -> None:
    model.hang = threading.Event()
    try:
        found = search(library)
    finally:
        model.hang.set()
    assert "did not answer in 5 s" in found["rerank_reason"]


def test_part_of_an_order(library: Tenant, model: Reranker) -> None:
    model.answer = lambda request: (200, {"results": cohere(request)[1]["results"][:1]})  # type: ignore[index]
    found = search(library)
    assert found["reranked"] is True
    assert [hit["rerank_score"] is None for hit in found["results"]] == [False, True, True]


def test_answers_from_the_passages_it_chose(library: Tenant, model: Reranker) -> None:
    plain = library.ask(QUERY, limit=1)
    assert plain["citations"][0]["title"] == "Grain"
    assert plain["reranked"] is False
    answer = library.ask(QUERY, limit=1, rerank=True)
    assert (answer["reranked"], answer["rerank_reason"]) == (True, None)
    assert {citation["title"] for citation in answer["citations"]} <= {"Cheese"}
    model.answer = lambda _: (500, {})
    answer = library.ask(QUERY, limit=1, rerank=True)
    assert answer["reranked"] is False
    assert "500" in answer["rerank_reason"]
    assert answer["citations"][0]["title"] == "Grain"


def test_nobody_there(shared: SimpleNamespace, tmp_path: Any, acme: Tenant) -> None:
    acme.put("Mice eat grain.")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for environ, reason in (
            ({}, "RAGDB_RERANK_URL is not set."),
            ({"RAGDB_RERANK_URL": url}, "The reranker cannot be reached."),
        ):
            directory = tmp_path / str(len(environ))
            directory.mkdir()
            with (
                running(shared.url, directory, **environ) as service,
                service.client(acme.key) as client,
            ):
                found = search(Tenant(acme.slug, acme.key, client))
            assert (found["count"], found["rerank_reason"]) == (1, reason)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://localhost:8080", "http://localhost:8080/rerank"),
        ("http://localhost:8080/", "http://localhost:8080/rerank"),
        ("https://api.jina.ai/v1", "https://api.jina.ai/v1/rerank"),
        ("https://api.cohere.com/v2/rerank", "https://api.cohere.com/v2/rerank"),
        ("http://host/rerank?key=1", "http://host/rerank?key=1"),
    ],
)
def test_endpoints(base: str, url: str) -> None:
    assert endpoint(base) == url
