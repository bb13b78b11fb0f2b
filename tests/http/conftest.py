"""One service and one database for all of these tests: each test has organizations of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pytest_postgresql.janitor import DatabaseJanitor
from rest import Service, Tenant, create_tenant, running

from ragdb.db import Caller, Database


@pytest.fixture(scope="session")
def shared(installed: Any) -> Iterator[SimpleNamespace]:
    """A clone of the installed database: connection strings of its superuser and of a service."""
    name = "ragdb_http"
    superuser = {
        "host": installed.host, "port": installed.port, "user": installed.user,
        "password": installed.password, "dbname": name,
    }  # fmt: skip
    janitor = DatabaseJanitor(
        **superuser, template_dbname=installed.template_dbname, maintenance_dbname="postgres"
    )
    janitor.drop()
    with janitor:
        password = secrets.token_urlsafe()
        login = f"test_http_{secrets.token_hex(4)}"
        with psycopg.connect(**superuser, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create role {} login password {} in role ragdb_service").format(
                    sql.Identifier(login), password
                )
            )
        yield SimpleNamespace(
            superuser_url=make_conninfo(**superuser),
            url=make_conninfo(**superuser | {"user": login, "password": password}),
        )
        with psycopg.connect(**superuser, autocommit=True) as connection:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


@pytest.fixture(scope="session")
def rest(shared: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, without a language model."""
    with running(shared.url, tmp_path_factory.mktemp("rest")) as service:
        yield service


@pytest.fixture(scope="session")
def worker_url(shared: SimpleNamespace) -> Iterator[str]:
    """A worker's login."""
    login, password = f"test_worker_{secrets.token_hex(4)}", secrets.token_urlsafe()
    with psycopg.connect(shared.superuser_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create role {} login password {} in role ragdb_service, ragdb_worker").format(
                sql.Identifier(login), password
            )
        )
        yield make_conninfo(shared.superuser_url, user=login, password=password)
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))


@pytest.fixture
def operator(shared: SimpleNamespace) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    """Call a stored function as an operator acting for an organization."""
    with Database.connect(shared.superuser_url) as database:

        def call(organization: str, function: str, **arguments: Any) -> list[dict[str, Any]]:
            caller = Caller(role="ragdb_admin", organization=organization)
            return database.call(caller, function, **arguments)

        yield call


@pytest.fixture
def acme(shared: SimpleNamespace, rest: Service) -> Iterator[Tenant]:
    tenant = create_tenant(shared.superuser_url, rest, "acme")
    with tenant.http:
        yield tenant


@pytest.fixture
def globex(shared: SimpleNamespace, rest: Service) -> Iterator[Tenant]:
    tenant = create_tenant(shared.superuser_url, rest, "globex")
    with tenant.http:
        yield tenant


@pytest.fixture
def member(
    rest: Service, acme: Tenant, operator: Callable[..., list[dict[str, Any]]]
) -> Iterator[Tenant]:
    """A developer of acme, with a key of their own."""
    email = f"dev@{acme.slug}.test"
    operator(acme.slug, "add_member", p_email=email, p_role="developer")
    [created] = operator(acme.slug, "create_api_key", p_name="dev", p_email=email)
    with rest.client(created["key"]) as client:
        yield Tenant(acme.slug, created["key"], client)
