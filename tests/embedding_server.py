"""A server of embedding models that speaks as OpenAI, Ollama and Text Embeddings Inference do.

A text's vector is made of its words, so that texts which share words are near each other, and the
same text has the same vector at any time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

POISON = "poison"

Answer = tuple[int, dict[str, str], object]


def vector(text: str, dimensions: int) -> list[float]:
    """The sum of a direction for each word."""
    total = [0.0] * dimensions
    for word in text.lower().replace(".", " ").split() or [""]:
        for place, byte in enumerate(sha256(word.encode()).digest() * (dimensions // 32 + 1)):
            if place < dimensions:
                total[place] += byte - 127.5
    return total


@dataclass
class Request:
    """What the server was asked, and with which key."""

    path: str
    texts: Sequence[str]
    body: dict[str, Any]
    authorization: str | None


@dataclass
class Models:
    """The server: how it answers may be changed at any time."""

    dimensions: int = 16
    port: int = 0
    requests: list[Request] = field(default_factory=list[Request])
    before: Callable[[Request], Answer | None] = lambda request: None
    """Answers instead, where it does."""
    held: threading.Event | None = None
    """Requests wait for it."""
    under_way: int = 0
    most_under_way: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str = "/v1") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def texts(self) -> list[str]:
        """All texts it was asked for, in order."""
        return [text for request in self.requests for text in request.texts]

    def answer(self, request: Request) -> Answer:
        if told := self.before(request):
            return told
        if any(POISON in text for text in request.texts):
            return 400, {}, {"error": {"message": f"cannot read {request.texts}"}}
        found = [vector(text, self.dimensions) for text in request.texts]
        if request.path == "/embed":
            return 200, {}, found
        if request.path == "/api/embed":
            return 200, {}, {"embeddings": found, "prompt_eval_count": 7 * len(found)}
        places = [{"index": n, "embedding": one} for n, one in enumerate(found)]
        usage = {"prompt_tokens": 5 * len(found), "total_tokens": 5 * len(found)}
        return 200, {}, {"data": places[::-1], "usage": usage}


@contextmanager
def serving(dimensions: int = 16) -> Generator[Models]:
    """The server, for as long as the block runs."""
    models = Models(dimensions)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            raw = self.rfile.read(length)
            if len(raw) < length:  # whoever asked was killed
                return
            body = json.loads(raw)
            texts = body["inputs"] if "inputs" in body else body["input"]
            request = Request(self.path, texts, body, self.headers["Authorization"])
            with models.lock:
                models.requests.append(request)
                models.under_way += 1
                models.most_under_way = max(models.most_under_way, models.under_way)
            if models.held:
                models.held.wait(60)
            status, headers, document = models.answer(request)
            answer = document if isinstance(document, bytes) else json.dumps(document).encode()
            with models.lock:
                models.under_way -= 1
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(answer))} | headers).items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # whoever asked has hung up
                self.end_headers()
                self.wfile.write(answer)

        def handle(self) -> None:
            with suppress(ConnectionError):  # or was killed
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        models.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield models
        finally:
            if models.held:
                models.held.set()
            server.shutdown()
