"""Data sources over HTTP: put with secrets that nobody sees again, refreshed, deleted."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from rest import Service, Tenant, create_tenant, problem, running, worker

from ragdb.db import Caller, Database

FIELDS = {"external_id": "id", "content": "text"}


@pytest.fixture(scope="module")
def sealing(shared: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has a key."""
    key = base64.b64encode(b"k" * 32).decode()
    with running(shared.url, tmp_path_factory.mktemp("seal"), RAGDB_SECRET_KEY=key) as service:
        yield service


@pytest.fixture
def tenant(shared: SimpleNamespace, sealing: Service) -> Iterator[Tenant]:
    tenant = create_tenant(shared.superuser_url, sealing, "acme")
    with tenant.http:
        yield tenant


def test_a_source_from_put_to_deleted(
    tenant: Tenant, shared: SimpleNamespace, sealing: Service
) -> None:
    http = tenant.http
    types = {row["type"]: row for row in http.get("/api/v1/datasources/types").json()["types"]}
    assert types["sharepoint"]["secrets"] == ["client_secret"]
    body = {
        "name": "wiki", "type": "api", "labels": ["wiki"], "cron": "0 3 * * *",
        "time_zone": "Europe/Berlin", "secrets": {"token": "s3cr3t-t0ken"},
        "config": {
            "url": "https://wiki.test/pages", "fields": FIELDS, "auth": {"type": "bearer"}
        },
    }  # fmt: skip
    made = http.post("/api/v1/datasources", json=body)
    assert made.status_code == 201, made.text
    path = made.headers["Location"]
    again = http.post("/api/v1/datasources", json={**body, "secrets": None, "labels": []})
    assert (again.status_code, again.json()["source_id"]) == (200, made.json()["source_id"])
    shown = http.get(path).json()
    assert (shown["config"], shown["has_secrets"]) == (body["config"], True)
    assert (shown["cron"], shown["time_zone"]) == ("0 3 * * *", "Europe/Berlin")
    for listing in ("/api/v1/datasources", "/api/v1/sources"):
        [listed] = http.get(listing).json()["sources"]
        assert (listed["name"], listed["documents"], listed["is_synced"]) == ("wiki", 0, True)

    moved = {**body["config"], "url": "https://elsewhere.test/"}
    refused = {**body, "secrets": None, "config": moved}
    problem(http.post("/api/v1/datasources", json=refused), 422, "secrets_required")
    misnamed = {**body, "secrets": {"tokn": "x"}}
    problem(http.post("/api/v1/datasources", json=misnamed), 422, "unknown_secret")
    job = http.post(f"{path}/refresh", json={})
    assert (job.status_code, job.json()["is_new"]) == (202, True)
    assert not http.post(f"{path}/refresh", json={}).json()["is_new"]
    assert http.get(f"{path}/runs").json() == {"runs": []}
    assert http.get(f"{path}/errors").json() == {"errors": []}

    with Database.connect(shared.superuser_url) as superuser:
        rows = superuser.connection.execute(
            "select s::text || encode(s.secrets, 'escape') as stored"
            " from ragdb_data.source_setup s"
        ).fetchall()
    assert rows and all("t0ken" not in row["stored"] for row in rows)
    assert "t0ken" not in sealing.stderr.read_text() + http.get(path).text
    assert http.delete(path).json() == {"deleted": 0}
    problem(http.get(path), 404, "source_not_found")


def test_a_worker_reads_it(tenant: Tenant, worker_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Ferries\n\nThey leave at noon.\n")
    (folder / "b.txt").write_text("")
    http = tenant.http
    body = {"name": "docs", "type": "file", "config": {"path": str(folder)}}
    source_id = http.post("/api/v1/datasources", json=body).json()["source_id"]
    path = f"/api/v1/datasources/{source_id}"
    with worker(worker_url, tmp_path, RAGDB_SOURCE_FOLDERS=f"{tenant.slug}={folder}"):
        job = http.post(f"{path}/refresh", json={"full": True})
        events = http.get(f"{job.headers['Location']}/events").text
        assert '"succeeded"' in events
    [run] = http.get(f"{path}/runs").json()["runs"]
    assert (run["seen"], run["added"], run["failed"]) == (2, 1, 1)
    [error] = http.get(f"{path}/errors").json()["errors"]
    assert (error["external_id"], error["error"]) == ("b.txt", "empty_file")
    assert tenant.search("ferries")[0]["title"] == "Ferries"
    assert http.delete(f"/api/v1/sources/{source_id}").json() == {"deleted": 1}
    assert tenant.search("ferries") == []


def test_who_may(tenant: Tenant, shared: SimpleNamespace, sealing: Service) -> None:
    body = {"name": "docs", "type": "file", "config": {"path": "/srv/docs"}}
    source_id = tenant.http.post("/api/v1/datasources", json=body).json()["source_id"]
    path = f"/api/v1/datasources/{source_id}"
    keys = {}
    with Database.connect(shared.superuser_url) as database:
        for role in ("editor", "viewer"):
            email, admin = f"{role}@{tenant.slug}.test", Caller(api_key=tenant.key)
            database.call(admin, "add_member", p_email=email, p_role=role)
            keys[role] = database.call(admin, "create_api_key", p_name="x", p_email=email)[0]["key"]
    with sealing.client(keys["editor"]) as editor:
        problem(editor.post("/api/v1/datasources", json=body), 403, "permission_denied")
        problem(editor.get(path), 403, "permission_denied")
        assert editor.post(f"{path}/refresh", json={}).status_code == 202
    with sealing.client(keys["viewer"]) as viewer:
        problem(viewer.delete(path), 403, "permission_denied")
        problem(viewer.post(f"{path}/refresh", json={}), 403, "permission_denied")
        assert "/srv/docs" not in viewer.get("/api/v1/sources").text
    with create_tenant(shared.superuser_url, sealing, "globex").http as stranger:
        assert stranger.get("/api/v1/sources").json() == {"sources": []}
        for response in (
            stranger.get(path), stranger.delete(path), stranger.get(f"{path}/runs"),
            stranger.post(f"{path}/refresh", json={}), stranger.get(f"{path}/errors"),
            tenant.http.get(f"/api/v1/datasources/{uuid4()}"),
        ):  # fmt: skip
            problem(response, 404, "source_not_found")


def test_without_a_key_nothing_is_sealed(rest: Service, shared: SimpleNamespace) -> None:
    tenant = create_tenant(shared.superuser_url, rest, "acme")
    body = {
        "name": "wiki", "type": "api", "secrets": {"token": "x"},
        "config": {"url": "https://wiki.test/", "fields": FIELDS},
    }  # fmt: skip
    with tenant.http as http:
        problem(http.post("/api/v1/datasources", json=body), 503, "no_secret_key")
