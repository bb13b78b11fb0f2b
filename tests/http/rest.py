"""The service as a stranger meets it: a process with an address, and a client that knows a key."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ragdb.db import Caller, Database

SERVE = """
import sys
from ragdb import settings
from ragdb.http.server import serve

with_embeddings = "--embeddings" in sys.argv
serve(settings.load(), "127.0.0.1", int(sys.argv[1]), with_embeddings=with_embeddings)
"""

WORK = """
import sys
from ragdb_cli.app import run

sys.exit(run(["worker"]))
"""


@dataclass(frozen=True)
class Service:
    """A running process of the service."""

    url: str
    process: subprocess.Popen[bytes]
    stderr: Path

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"X-API-Key": key} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)

    def log(self, request_id: str) -> list[dict[str, Any]]:
        """The log lines of a request, once the last of them is written."""
        while True:
            lines = [
                line
                for line in map(json.loads, self.stderr.read_text().splitlines()[1:])
                if line.get("request_id") == request_id
            ]
            if any(line["event"] == "request" for line in lines):
                return lines

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass(frozen=True)
class Tenant:
    """An organization, its administrator's key, and a client that sends it."""

    slug: str
    key: str
    http: httpx.Client

    def put(self, content: str, **fields: object) -> dict[str, Any]:
        response = self.http.post("/api/v1/documents", json={"content": content, **fields})
        assert response.is_success, response.text
        return response.json()

    def search(self, query: str, **fields: object) -> list[dict[str, Any]]:
        response = self.http.post("/api/v1/search", json={"query": query, **fields})
        assert response.status_code == 200, response.text
        return response.json()["results"]

    def ask(self, question: str, **fields: object) -> dict[str, Any]:
        response = self.http.post("/api/v1/ask", json={"question": question, **fields})
        assert response.status_code == 200, response.text
        return response.json()


def create_tenant(superuser_url: str, service: Service, name: str) -> Tenant:
    """A new organization under a name that no other has."""
    slug = f"{name}-{secrets.token_hex(4)}"
    with Database.connect(superuser_url) as database:
        database.call(
            Caller(role="ragdb_admin"), "create_organization",
            p_name=name, p_slug=slug, p_admin_email=f"admin@{slug}.test",
        )  # fmt: skip
        operator = Caller(role="ragdb_admin", organization=slug)
        key = database.call(operator, "create_api_key", p_name="test")[0]["key"]
    return Tenant(slug, key, service.client(key))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def launch(
    database_url: str, port: int, stderr: Path, *options: str, **environ: str
) -> subprocess.Popen[bytes]:
    """Start the service and do not wait for it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAGDB_")}
    with stderr.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SERVE, str(port), *options],
            stderr=log,
            env=own
            | {"RAGDB_DATABASE_URL": database_url, "RAGDB_HOME": str(stderr.parent)}
            | environ,
        )


@contextmanager
def running(
    database_url: str, directory: Path, *options: str, **environ: str
) -> Iterator[Service]:
    """The service for as long as the block runs."""
    port = free_port()
    service = Service(
        f"http://127.0.0.1:{port}",
        launch(database_url, port, directory / "stderr", *options, **environ),
        directory / "stderr",
    )
    try:
        await_answer(service)
        yield service
    finally:
        service.stop()


@contextmanager
def worker(database_url: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker for as long as the block runs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAGDB_")}
    with (directory / "worker").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", WORK], stderr=log,
            env=own | {"RAGDB_WORKER_URL": database_url, "RAGDB_HOME": str(directory)},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def await_answer(service: Service) -> None:
    while True:
        assert service.process.poll() is None, service.stderr.read_text()
        try:
            httpx.get(f"{service.url}/health/live")
            return
        except httpx.ConnectError:
            time.sleep(0.05)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert that a response is this problem, in every respect that all problems share."""
    assert (response.status_code, response.headers["Content-Type"]) == (
        status,
        "application/problem+json",
    ), response.text
    document = response.json()
    assert document["code"] == code, document
    assert document["type"] == f"urn:ragdb:problem:{code}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"] == document["message"]
    assert document["instance"] == response.request.url.raw_path.decode().partition("?")[0]
    assert document["request_id"] == response.headers["X-Request-ID"]
    return document
