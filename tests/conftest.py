"""One PostgreSQL server a session, one clone of an installed database a test.

The template is installed as the login that operators are told to use: no superuser, CREATEROLE,
owner of a database in which a superuser created `vector`. What is tested is what that makes.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb
from pytest_postgresql import factories

from places import roomy_memory
from ragdb.db import Caller, Database
from ragdb.embedded import Server
from ragdb.install import upgrade

pytest_plugins = ["parallel"]

INSTALLER = "test_installer"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server of its own in a short private directory: socket paths end at 107 bytes."""
    home = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    # Databases come and go by the hundred; what survives a power cut is not tested here.
    (home / "custom.conf").write_text("fsync = off\nfull_page_writes = off\n")
    server = Server.default(home=home)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def running_server(server: Server) -> SimpleNamespace:
    """The server as pytest-postgresql wants to hear of it."""
    superuser = conninfo_to_dict(server.superuser_url())
    return SimpleNamespace(
        host=superuser["host"], port=superuser["port"], user=superuser["user"],
        password=superuser["password"], options="", maintenance_dbname="postgres",
        template_dbname=None,
    )  # fmt: skip


def install(*, autocommit: bool, **superuser: Any) -> None:
    """Make the template: what a superuser must do, then the installer's own work."""
    password = secrets.token_urlsafe()
    with psycopg.connect(**superuser, autocommit=True) as connection:
        connection.execute("create extension vector")
        connection.execute(
            sql.SQL("create role {} login createrole password {}").format(
                sql.Identifier(INSTALLER), password
            )
        )
        connection.execute(
            sql.SQL("alter database {} owner to {}").format(
                sql.Identifier(superuser["dbname"]), sql.Identifier(INSTALLER)
            )
        )
    upgrade(make_conninfo(**superuser | {"user": INSTALLER, "password": password}))


installed = factories.postgresql_noproc(
    dbname="ragdb_test", load=[install], depends_on="running_server"
)
postgresql = factories.postgresql("installed")


@dataclass
class TestDatabase:
    """A clone of the template, and logins of its own."""

    superuser: dict[str, Any]
    logins: list[str] = field(default_factory=list)

    @property
    def superuser_url(self) -> str:
        return make_conninfo(**self.superuser)

    @property
    def url(self) -> str:
        """The connection string of a service login."""
        return self.login("ragdb_service")

    def login(self, *roles: str) -> str:
        """Create a login in these roles, under a name no other test has; its connection string."""
        name = f"test_{secrets.token_hex(6)}"
        password = secrets.token_urlsafe()
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create role {} login password {}{}").format(
                    sql.Identifier(name),
                    password,
                    sql.SQL(" in role ") + sql.SQL(", ").join(map(sql.Identifier, roles))
                    if roles
                    else sql.SQL(""),
                )
            )
        self.logins.append(name)
        return make_conninfo(**self.superuser | {"user": name, "password": password})

    def analyst(self, organization: str) -> str:
        """Create an analyst's login of an organization; its connection string."""
        name = f"test_{secrets.token_hex(6)}"
        password = secrets.token_urlsafe()
        with Database.connect(self.superuser_url) as database:
            database.call(
                Caller(role=None), "create_analyst",
                p_login=name, p_org=organization, p_password=password,
            )  # fmt: skip
        self.logins.append(name)
        return make_conninfo(**self.superuser | {"user": name, "password": password})

    def drop_logins(self) -> None:
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for name in self.logins:
                connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@dataclass(frozen=True)
class Organization:
    """An organization and its administrator's key, called through the door as the service does."""

    slug: str
    key: str
    database: Database

    def call(self, function: str, **arguments: object) -> list[DictRow]:
        return self.as_key(self.key, function, **arguments)

    def as_key(self, key: str, function: str, **arguments: object) -> list[DictRow]:
        return self.database.call(Caller(api_key=key), function, **arguments)

    def read(self, view: str) -> list[DictRow]:
        return self.database.read(Caller(api_key=self.key), view)

    def put(self, content: str, **fields: object) -> DictRow:
        return self.call("put_document", p_content=content, **fields)[0]

    def put_many(self, documents: list[dict[str, object]], **arguments: object) -> list[DictRow]:
        return self.call("put_documents", p_documents=Jsonb(documents), **arguments)

    def search(self, query: str, **arguments: object) -> list[DictRow]:
        return self.call("search", p_query=query, read_only=True, **arguments)

    def member(self, email: str, role: str = "viewer") -> str:
        """Add a member; an API key of theirs."""
        self.call("add_member", p_email=email, p_role=role)
        return self.call("create_api_key", p_name="test", p_email=email)[0]["key"]


@pytest.fixture
def database(postgresql: psycopg.Connection) -> Iterator[TestDatabase]:
    superuser = conninfo_to_dict(postgresql.info.dsn) | {"password": postgresql.info.password}
    database = TestDatabase(superuser)
    yield database
    database.drop_logins()


@pytest.fixture
def db(database: TestDatabase) -> Iterator[psycopg.Connection]:
    """A superuser's connection, for what no request may do or see."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        yield connection


def organization(database: TestDatabase, service: Database, slug: str) -> Organization:
    with Database.connect(database.superuser_url) as operator:
        operator.call(
            Caller(role="ragdb_admin"), "create_organization",
            p_name=slug.title(), p_slug=slug, p_admin_email=f"admin@{slug}.test",
        )  # fmt: skip
        key = operator.call(
            Caller(role="ragdb_admin", organization=slug), "create_api_key", p_name="test"
        )[0]["key"]
    return Organization(slug, key, service)


@pytest.fixture
def service(database: TestDatabase) -> Iterator[Database]:
    """A connection as the service makes them."""
    with Database.connect(database.url) as service:
        yield service


@pytest.fixture
def acme(database: TestDatabase, service: Database) -> Organization:
    return organization(database, service, "acme")


@pytest.fixture
def globex(database: TestDatabase, service: Database) -> Organization:
    return organization(database, service, "globex")
