"""API keys: how they are sent, and what the database makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from rest import Service, Tenant, problem

Operator = Callable[..., list[dict[str, Any]]]

PROTECTED = [
    ("POST", "/api/v1/search"),
    ("POST", "/api/v1/search/explain"),
    ("GET", "/api/v1/suggest"),
    ("GET", "/api/v1/synonyms"),
    ("PUT", "/api/v1/synonyms"),
    ("DELETE", "/api/v1/synonyms"),
    ("POST", "/api/v1/ask"),
    ("POST", "/api/v1/feedback"),
    ("GET", "/api/v1/documents"),
    ("POST", "/api/v1/documents"),
    ("POST", "/api/v1/documents/batch"),
    ("POST", "/api/v1/documents/upload"),
    ("POST", "/api/v1/ingest/files"),
    ("GET", "/api/v1/documents/17"),
    ("PUT", "/api/v1/documents/17"),
    ("DELETE", "/api/v1/documents/17"),
    ("GET", "/api/v1/documents/17/original"),
    ("GET", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs"),
    ("GET", "/api/v1/jobs/17"),
    ("POST", "/api/v1/jobs/17/cancel"),
    ("POST", "/api/v1/jobs/17/retry"),
    ("POST", "/api/v1/jobs/retry"),
    ("POST", "/api/v1/dedupe"),
    ("GET", "/api/v1/chunks"),
    ("POST", "/api/v1/chunks"),
    ("POST", "/api/v1/rebuild"),
    ("GET", "/api/v1/jobs/17/events"),
    ("GET", "/api/v1/schedules"),
    ("PUT", "/api/v1/schedules"),
    ("DELETE", "/api/v1/schedules"),
    ("GET", "/api/v1/queues"),
    ("GET", "/api/v1/chunking"),
    ("PUT", "/api/v1/chunking"),
    ("DELETE", "/api/v1/chunking"),
    ("GET", "/api/v1/datasources"),
    ("POST", "/api/v1/datasources"),
    ("GET", "/api/v1/datasources/types"),
    ("GET", "/api/v1/datasources/17"),
    ("DELETE", "/api/v1/datasources/17"),
    ("POST", "/api/v1/datasources/17/refresh"),
    ("GET", "/api/v1/datasources/17/runs"),
    ("GET", "/api/v1/datasources/17/errors"),
    ("GET", "/api/v1/sources"),
    ("DELETE", "/api/v1/sources/17"),
    ("GET", "/api/v1/servicedesks"),
    ("POST", "/api/v1/servicedesks"),
    ("GET", "/api/v1/whoami"),
]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_every_operation_needs_a_key(rest: Service, method: str, path: str) -> None:
    with rest.client() as stranger:
        response = stranger.request(method, path)
    problem(response, 401, "missing_api_key")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_protected_is_what_the_description_says(rest: Service) -> None:
    with rest.client() as stranger:
        paths = stranger.get("/schema/openapi.json").json()["paths"]
    described = {
        (method.upper(), re.sub(r"{\w+_id}", "17", path))
        for path, operations in paths.items()
        for method, operation in operations.items()
        if operation.get("security") != [{}]
    }
    assert described == set(PROTECTED)


@pytest.mark.parametrize(
    "headers",
    [
        [("X-API-Key", "KEY")],
        [("Authorization", "Bearer KEY")],
        [("authorization", "bearer  KEY")],
        [("X-API-Key", "KEY"), ("Authorization", "Bearer KEY")],
        [("X-API-Key", "KEY"), ("Authorization", "Basic dXNlcjpwYXNz")],
    ],
)
def test_a_key_is_taken_from_either_header(
    rest: Service, acme: Tenant, headers: list[tuple[str, str]]
) -> None:
    with rest.client() as client:
        sent = [(name, value.replace("KEY", acme.key)) for name, value in headers]
        response = client.get("/api/v1/whoami", headers=sent)
    assert response.status_code == 200
    identity = response.json()
    assert identity["organization"] == acme.slug
    assert identity["email"] == f"admin@{acme.slug}.test"
    assert "*" in identity["permissions"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([("Authorization", "Basic dXNlcjpwYXNz")], 401, "missing_api_key"),
        ([("Authorization", "Bearer")], 401, "missing_api_key"),
        ([("X-API-Key", "")], 401, "missing_api_key"),
        ([("X-API-Key", "rdb_unknown")], 401, "invalid_api_key"),
        ([("X-API-Key", "schlüssel".encode("latin-1"))], 401, "invalid_api_key"),
        ([("X-API-Key", "a"), ("Authorization", "Bearer b")], 400, "ambiguous_api_key"),
        ([("X-API-Key", "a"), ("X-API-Key", "b")], 400, "ambiguous_api_key"),
    ],
)
def test_other_keys_are_refused(
    rest: Service, headers: list[tuple[str, str]], status: int, code: str
) -> None:
    with rest.client() as client:
        problem(client.get("/api/v1/whoami", headers=headers), status, code)


def test_an_expired_or_revoked_key_is_refused(
    rest: Service, acme: Tenant, operator: Operator, shared: SimpleNamespace
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    [expiring] = operator(acme.slug, "create_api_key", p_name="short", p_expires_at=soon)
    [revoked] = operator(acme.slug, "create_api_key", p_name="lost")
    operator(acme.slug, "revoke_api_key", p_key_id=revoked["key_id"])
    with psycopg.connect(shared.superuser_url) as connection:
        connection.execute(
            "update ragdb_data.api_key set expires_at = now() - interval '1 hour' where id = %s",
            [expiring["key_id"]],
        )
    with rest.client(expiring["key"]) as client:
        problem(client.get("/api/v1/documents"), 401, "expired_api_key")
    with rest.client(revoked["key"]) as client:
        problem(client.get("/api/v1/documents"), 401, "invalid_api_key")


def test_a_key_grants_no_more_than_it_holds(
    rest: Service, acme: Tenant, operator: Operator
) -> None:
    document = acme.put("Keys rotate every 90 days.")
    [reader] = operator(acme.slug, "create_api_key", p_name="reader", p_permissions=["rag:read"])
    with rest.client(reader["key"]) as client:
        assert client.post("/api/v1/search", json={"query": "keys"}).json()["count"] == 1
        put = client.post("/api/v1/documents", json={"content": "Mine."})
        problem(put, 403, "permission_denied")
        path = f"/api/v1/documents/{document['document_id']}"
        problem(client.delete(path), 403, "permission_denied")
        assert client.get(path).status_code == 200


def test_use_of_a_key_is_recorded(acme: Tenant, shared: SimpleNamespace) -> None:
    def last_used(connection: psycopg.Connection) -> datetime | None:
        row = connection.execute(
            "select k.last_used_at from ragdb_data.api_key k"
            " join ragdb_data.organization o using (org_no) where o.slug = %s",
            [acme.slug],
        ).fetchone()
        assert row
        return row[0]

    with psycopg.connect(shared.superuser_url, autocommit=True) as connection:
        acme.http.get("/api/v1/nothing")
        acme.http.get("/api/v1/documents/17")
        assert last_used(connection) is None
        acme.search("keys")
        while (used := last_used(connection)) is None:
            pass
        acme.search("keys")
        acme.http.get("/api/v1/whoami")
        assert last_used(connection) == used
