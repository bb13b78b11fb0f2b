"""The process: when it starts, when it is ready, what it survives, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from rest import Service, Tenant, create_tenant, free_port, launch, problem, running

CALLER = """
create or replace function ragdb.require(p_permission text) returns int4
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'It is %.', current_setting('transaction_read_only')
    using errcode = '%', constraint = 'read_only_' || current_setting('transaction_read_only');
end;
$$;
"""


@pytest.fixture
def service(database: Any, tmp_path: Path) -> Iterator[Service]:
    """A service with a database of its own."""
    with running(database.url, tmp_path) as service:
        yield service


@pytest.fixture
def tenant(service: Service, database: Any) -> Iterator[Tenant]:
    tenant = create_tenant(database.superuser_url, service, "acme")
    with tenant.http:
        yield tenant


@pytest.fixture
def client(tenant: Tenant) -> httpx.Client:
    return tenant.http


def test_a_current_database_is_ready(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    for path in ("/health/ready", "/health"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.json()["status"] == "ok"
        assert response.json()["services"] == {"postgres": "ok"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("version = '99.0.0'", "schema_newer"),
        ("repeatable = 'x'", "schema_outdated"),
    ],
)
def test_another_version_is_neither_served_nor_started(
    client: httpx.Client, database: Any, db: psycopg.Connection, tmp_path: Path,
    change: str, code: str,
) -> None:  # fmt: skip
    db.execute(f"update ragdb_private.install set {change}".encode())
    problem(client.get("/health/ready"), 503, code)
    assert client.get("/health/live").status_code == 200

    process = launch(database.url, free_port(), tmp_path / "other")
    assert process.wait(60) == 1
    assert "ragdb.install.VersionMismatch: " in (tmp_path / "other").read_text()


def test_an_empty_database_is_not_ready(client: httpx.Client, db: psycopg.Connection) -> None:
    db.execute("drop schema ragdb cascade")
    problem(client.get("/health/ready"), 503, "not_installed")
    response = client.post("/api/v1/search", json={"query": "keys"})
    problem(response, 503, "not_installed")
    assert response.headers["Retry-After"] == "1"
    assert response.json()["retry_after"] == 1


def test_lost_connections_are_replaced(
    client: httpx.Client, service: Service, database: Any, db: psycopg.Connection
) -> None:
    def end_sessions() -> None:
        db.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    for _ in range(3):
        assert client.post("/api/v1/search", json={"query": "keys"}).status_code == 200
        end_sessions()
    assert client.get("/health/ready").status_code == 200

    database_name = db.info.dbname
    db.execute(f"alter database {database_name} connection limit 0".encode())
    end_sessions()
    problem(client.get("/health/ready"), 503, "database_unavailable")
    assert client.get("/health/live").status_code == 200
    db.execute(f"alter database {database_name} connection limit -1".encode())
    while client.get("/health/ready").status_code != 200:
        time.sleep(0.1)
    assert client.post("/api/v1/search", json={"query": "keys"}).status_code == 200


def test_a_fault_is_told_to_the_log_alone(
    client: httpx.Client, service: Service, db: psycopg.Connection
) -> None:
    db.execute(CALLER.replace("'%'", "'XX000'").encode())
    response = client.post("/api/v1/search", json={"query": "my salary"})
    problem(response, 500, "internal_error")
    assert "read_only" not in response.text
    [fault, _] = service.log(response.headers["X-Request-ID"])
    assert (fault["event"], fault["sqlstate"]) == ("request failed", "XX000")
    assert fault["message"] == "It is on."
    assert "ragdb.require" in fault["context"]
    assert "salary" not in service.stderr.read_text()


def test_reading_operations_run_read_only(
    client: httpx.Client, tenant: Tenant, db: psycopg.Connection
) -> None:
    path = f"/api/v1/documents/{tenant.put('Keys rotate.')['document_id']}"
    db.execute(CALLER.replace("'%'", "'PT409'").encode())
    for response in (
        client.get("/api/v1/documents"),
        client.get(path),
        client.post("/api/v1/search", json={"query": "keys"}),
        # It stores its answer at last, and reads first.
        client.post("/api/v1/ask", json={"question": "keys?"}),
    ):
        problem(response, 409, "read_only_on")
    for response in (
        client.post("/api/v1/documents", json={"content": "Keys rotate."}),
        client.post("/api/v1/documents/batch", json={"documents": []}),
        client.put(path, json={"content": "Keys rotate slowly."}),
        client.delete(path),
    ):
        problem(response, 409, "read_only_off")


def test_requests_that_have_begun_are_finished(database: Any, tmp_path: Path) -> None:
    asked, stopping = threading.Event(), threading.Event()

    class Model(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.set()
            stopping.wait(60)
            time.sleep(0.5)
            message = {"role": "assistant", "content": "They rotate every 90 days [1]."}
            body = json.dumps({"choices": [{"message": message}]})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    answers: list[httpx.Response] = []
    with HTTPServer(("127.0.0.1", 0), Model) as model:
        threading.Thread(target=model.handle_request).start()
        url = f"http://127.0.0.1:{model.server_port}"
        with running(database.url, tmp_path, RAGDB_LLM_URL=url) as service:
            acme = create_tenant(database.superuser_url, service, "acme")
            with acme.http as client:
                acme.put("Keys rotate every 90 days.")
                question = {"question": "How often do keys rotate?"}
                asking = threading.Thread(
                    target=lambda: answers.append(client.post("/api/v1/ask", json=question))
                )
                asking.start()
                asked.wait(60)
                service.process.send_signal(signal.SIGTERM)
                stopping.set()
                asking.join(60)
            assert service.process.wait(60) == 0
    [answer] = answers
    assert answer.status_code == 200
    assert (answer.json()["model"], answer.json()["fallback_used"]) == ("default", False)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("garbage:secret", "RagdbError: The database URL cannot be read."),
        ("postgresql://x:secret@127.0.0.1:9/x", "RagdbError: The database cannot be reached: "),
    ],
)
def test_a_database_that_cannot_be_reached_is_not_served(
    tmp_path: Path, url: str, message: str
) -> None:
    process = launch(url, free_port(), tmp_path / "stderr")
    assert process.wait(60) == 1
    assert message in (tmp_path / "stderr").read_text()


def test_an_occupied_port_is_named(database: Any, service: Service, tmp_path: Path) -> None:
    port = int(service.url.rpartition(":")[2])
    process = launch(database.url, port, tmp_path / "second")
    assert process.wait(60) != 0
    assert f"port {port}: Address already in use." in (tmp_path / "second").read_text()


def test_workers_do_not_outlive_a_killed_parent(service: Service) -> None:
    service.process.kill()
    service.process.wait()
    with service.client() as client, pytest.raises(httpx.TransportError):
        while client.get("/health/live").status_code == 200:
            time.sleep(0.1)
