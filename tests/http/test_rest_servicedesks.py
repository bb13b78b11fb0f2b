"""Service desks over REST: put, listed, their connection strings sealed and never shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import scalar_row
from rest import Service, Tenant, create_tenant, problem, running

from ragdb.sealing import Keys
from ragdb.sources.secrets import Bound, opened

KEY = base64.b64encode(bytes(range(32))).decode()
URL = "mysql://reader:gehe%3Aim@db.example.com/helpdesk"
DESK: dict[str, Any] = {
    "name": "helpdesk", "db_type": "mariadb", "connection_string": URL,
    "table_mappings": [{"table": "tickets", "id": "id", "title": "subject"}],
    "options": {"time_zone": "Europe/Berlin"}, "sync_schedule": "*/15 * * * *",
    "labels": ["desk"],
}  # fmt: skip


@pytest.fixture(scope="module")
def sealing(shared: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has a key for secrets."""
    with running(shared.url, tmp_path_factory.mktemp("sealing"), RAGDB_SECRET_KEY=KEY) as service:
        yield service


@pytest.fixture
def tenant(shared: SimpleNamespace, sealing: Service) -> Iterator[Tenant]:
    tenant = create_tenant(shared.superuser_url, sealing, "desk")
    with tenant.http:
        yield tenant


def test_put_and_listed(tenant: Tenant, globex: Tenant, shared: SimpleNamespace) -> None:
    made = tenant.http.post("/api/v1/servicedesks", json=DESK)
    assert made.status_code == 201, made.text
    assert made.json()["is_new"] is True and made.json()["next_sync"]
    listed = tenant.http.get("/api/v1/servicedesks")
    [shown] = listed.json()["connections"]
    assert shown["connection_id"] == made.json()["connection_id"]
    assert shown["has_connection_string"] is True and "reader" not in listed.text
    assert {name: shown[name] for name in ("db_type", "table_mappings", "options")} == {
        name: DESK[name] for name in ("db_type", "table_mappings", "options")
    }
    assert globex.http.get("/api/v1/servicedesks").json() == {"connections": []}

    again = tenant.http.post(
        "/api/v1/servicedesks", json={**DESK, "connection_string": None, "sync_schedule": None}
    )
    assert again.json() == {**made.json(), "is_new": False, "next_sync": None}
    [shown] = tenant.http.get("/api/v1/servicedesks").json()["connections"]
    assert shown["has_connection_string"] is True and shown["sync_schedule"] is None

    organization = tenant.http.get("/api/v1/whoami").json()["organization_id"]
    with psycopg.connect(shared.superuser_url, row_factory=scalar_row) as connection:
        secrets = connection.execute(
            "select u.secrets from ragdb_data.source_setup u join ragdb_data.data_source s"
            " using (org_no, source_no) where s.id = %s", (shown["connection_id"],)
        ).fetchone()  # fmt: skip
    assert secrets and b"gehe" not in secrets
    bound = Bound(UUID(organization), "helpdesk", "servicedesk", {}, ["ca"])
    assert opened(Keys.read(KEY), secrets, bound) == ({"url": URL}, None)


def test_refused(tenant: Tenant, acme: Tenant) -> None:
    for fields, code in (
        ({"connection_string": "mysql://reader@/x"}, "invalid_connection"),
        ({"connection_string": "postgresql://reader@host/x"}, "invalid_connection"),
        ({"table_mappings": []}, "invalid_mapping"),
        ({"table_mappings": [{"table": "t"}]}, "invalid_mapping"),
        ({"table_mappings": [{"table": "t"}], "connection_string": None}, "invalid_source_config"),
        ({"options": {"tables": []}, "connection_string": None}, "invalid_source_config"),
        ({"options": {"time_zone": "Mars"}}, "invalid_mapping"),
        ({"sync_schedule": "often"}, "invalid_cron"),
    ):
        response = tenant.http.post("/api/v1/servicedesks", json={**DESK, **fields})
        problem(response, 422, code)
        assert "gehe" not in response.text
    unknown = tenant.http.post("/api/v1/servicedesks", json={**DESK, "db_type": "dbase"})
    problem(unknown, 422, "invalid_request")
    # A service without a key keeps no secrets.
    problem(acme.http.post("/api/v1/servicedesks", json=DESK), 503, "no_secret_key")
    assert tenant.http.get("/api/v1/servicedesks").json() == {"connections": []}
