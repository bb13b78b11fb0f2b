"""Answers in a language model's words, against a server that speaks the OpenAI protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from rest import Service, Tenant, running

from ragdb.llm import MAX_RESPONSE, endpoint

QUESTION = "How often do keys rotate?"
EXTRACTIVE = "Keys rotate every 90 days. [1]"


def completion(text: object) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@dataclass
class Model:
    """What the server answers next, and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    requests: list[SimpleNamespace] = field(default_factory=list)

    def say(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.status, self.body, self.headers, self.hang = status, body, headers, None
        self.requests.clear()


@pytest.fixture(scope="module")
def peer() -> Iterator[Model]:
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            model.requests.append(
                SimpleNamespace(path=self.path, headers=self.headers, body=json.loads(body))
            )
            if model.hang:
                model.hang.wait(60)
            self.send_response(model.status)
            for name, value in model.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(model.body)))
            with suppress(ConnectionError):  # the service has hung up
                self.end_headers()
                self.wfile.write(model.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        model.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever).start()
        yield model
        server.shutdown()


@pytest.fixture(scope="module")
def rest(
    shared: SimpleNamespace, peer: Model, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that asks the peer."""
    with running(
        shared.url, tmp_path_factory.mktemp("llm"),
        RAGDB_LLM_URL=peer.url, RAGDB_LLM_MODEL="oracle-1", RAGDB_LLM_KEY="sk-secret",
        RAGDB_LLM_TIMEOUT="2",
    ) as service:  # fmt: skip
        yield service


@pytest.fixture
def library(acme: Tenant) -> Tenant:
    acme.put("Keys rotate every 90 days. The vault keeps old keys.", title="Key policy")
    acme.put("Lunch is served at noon.", title="Lunch")
    return acme


def test_the_model_answers_with_a_verified_citation(library: Tenant, peer: Model) -> None:
    peer.say(completion("They rotate every 90 days [1]."))
    answer = library.ask(QUESTION)
    assert answer["answer"] == "They rotate every 90 days [1]."
    assert (answer["model"], answer["fallback_used"], answer["found"]) == ("oracle-1", False, True)
    [citation] = answer["citations"]
    document = library.http.get(f"/api/v1/documents/{citation['document_id']}").json()
    assert citation["quote"] == "Keys rotate every 90 days."
    assert document["content"][citation["start"] : citation["end"]] == citation["quote"]

    [asked] = peer.requests
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["Authorization"] == "Bearer sk-secret"
    assert asked.body["model"] == "oracle-1"
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert "Keys rotate every 90 days." in asked.body["messages"][1]["content"]
    assert QUESTION in asked.body["messages"][1]["content"]


def test_a_marker_without_support_is_taken_out(library: Tenant, peer: Model) -> None:
    peer.say(completion("They rotate every 90 days [1]. The moon is made of cheese [9]."))
    answer = library.ask(QUESTION)
    assert answer["answer"] == "They rotate every 90 days [1]. The moon is made of cheese."
    assert [citation["number"] for citation in answer["citations"]] == [1]
    assert answer["fallback_used"] is False


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (completion("The answer is nowhere [9]."), 200, {}),
        (completion("No citation at all."), 200, {}),
        (completion(""), 200, {}),
        (completion(None), 200, {}),
        (completion("\0"), 200, {}),
        (b'{"choices": []}', 200, {}),
        (b"<html>It works!</html>", 200, {}),
        (b"\xff\xfe", 200, {}),
        (b"[" * 100_000, 200, {}),
        (b"x" * (MAX_RESPONSE + 1), 200, {}),
        (b'{"error": {"message": "overloaded"}}', 500, {}),
        (b'{"error": {"message": "no such key"}}', 401, {}),
        (b"", 429, {"Retry-After": "60"}),
        (b"", 302, {"Location": "http://127.0.0.1:9/elsewhere"}),
    ],
)
def test_a_failing_model_is_replaced(
    library: Tenant, peer: Model, body: bytes, status: int, headers: dict[str, str]
) -> None:
    peer.say(body, status, **headers)
    answer = library.ask(QUESTION)
    assert answer["answer"].startswith(EXTRACTIVE)
    assert (answer["model"], answer["fallback_used"], answer["found"]) == (None, True, True)
    assert answer["citations"][0]["quote"] == "Keys rotate every 90 days."
    assert len(peer.requests) == 1


def test_a_slow_model_is_not_waited_for(library: Tenant, peer: Model, rest: Service) -> None:
    peer.say(completion("Too late [1]."))
    peer.hang = threading.Event()
    response = library.http.post("/api/v1/ask", json={"question": QUESTION})
    peer.hang.set()
    assert response.json()["fallback_used"] is True
    logged = rest.stderr.read_text()
    assert "The model did not answer in 2 s." in logged
    assert "sk-secret" not in logged


def test_nothing_found_is_not_asked_about(library: Tenant, peer: Model) -> None:
    peer.say(completion("I know everything [1]."))
    answer = library.ask("Which dinosaurs lived in Mongolia?")
    assert (answer["found"], answer["citations"], answer["model"]) == (False, [], None)
    assert (answer["fallback_used"], peer.requests) == (False, [])


def test_a_nul_character_does_not_spoil_an_answer(library: Tenant, peer: Model) -> None:
    peer.say(completion("They rotate every\0 90 days [1]."))
    assert library.ask(QUESTION)["answer"] == "They rotate every 90 days [1]."


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://host:1", "http://host:1/v1/chat/completions"),
        ("http://host:1/", "http://host:1/v1/chat/completions"),
        ("http://host/v1", "http://host/v1/chat/completions"),
        ("http://host/v1/", "http://host/v1/chat/completions"),
        ("https://host/openai/v2", "https://host/openai/v2/chat/completions"),
        ("https://host/v1/chat/completions", "https://host/v1/chat/completions"),
        ("https://host/d/x?api-version=1", "https://host/d/x/chat/completions?api-version=1"),
    ],
)
def test_the_endpoint_below_a_base(base: str, url: str) -> None:
    assert endpoint(base) == url
