"""Databases of somebody else, for tests: two real servers, and rows in them by the same words."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from mariadb import MariaDB
from ragdb.embedded import Server

PASSWORD = "gehe:im@1/%"
QUOTED = "gehe%3Aim%401%2F%25"


class Foreign(Protocol):
    """A database with a user who may read."""

    @property
    def kind(self) -> str:
        """postgresql or mariadb."""
        ...

    @property
    def name(self) -> str:
        """What the database is called."""
        ...

    def run(self, *statements: str) -> None:
        """As its owner."""
        ...

    def url(self, *, user: str = "reader", password: str = QUOTED, **options: str) -> str:
        """How to connect."""
        ...


@dataclass(frozen=True)
class Postgres:
    """A database of a server that listens on 127.0.0.1."""

    superuser_url: str
    port: int
    name: str
    kind: str = "postgresql"

    def run(self, *statements: str) -> None:
        with psycopg.connect(self.superuser_url, dbname=self.name, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def url(self, *, user: str = "reader", password: str = QUOTED, **options: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{self.name}?{query}"


@dataclass(frozen=True)
class Maria:
    """A database of a MariaDB."""

    server: MariaDB
    name: str
    kind: str = "mariadb"

    def run(self, *statements: str) -> None:
        self.server.run(*statements, database=self.name)

    def url(self, *, user: str = "reader", password: str = QUOTED, **options: str) -> str:
        return self.server.url(self.name, user, password, **options)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def listening_postgres(home: Path) -> Generator[tuple[str, int]]:
    """A server that other processes reach by TCP; its superuser's URL, and its port."""
    port = free_port()
    (home / "custom.conf").write_text("fsync = off\nfull_page_writes = off\n")
    server = Server(home, "127.0.0.1", port)
    server.start()
    try:
        with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
            connection.execute(sql.SQL("create role reader login password {}").format(PASSWORD))
        yield server.superuser_url(), port
    finally:
        server.stop()


def new_postgres(superuser_url: str, port: int) -> Postgres:
    """A new database in which the reader may read whatever comes."""
    name = f"desk_{secrets.token_hex(4)}"
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    made = Postgres(superuser_url, port, name)
    made.run("alter default privileges grant select on tables to reader")
    return made


def new_maria(server: MariaDB) -> Maria:
    """The same in MariaDB."""
    name = f"desk_{secrets.token_hex(4)}"
    server.run(
        f"create database {name} character set utf8mb4",
        f"create user if not exists reader@'%' identified by '{PASSWORD}'",
        f"grant select on {name}.* to reader@'%'",
    )
    return Maria(server, name)


def rows(database: Foreign, query: str) -> list[Any]:
    """What a statement returns, as the owner."""
    if isinstance(database, Postgres):
        with psycopg.connect(database.superuser_url, dbname=database.name) as connection:
            return connection.execute(query.encode()).fetchall()
    assert isinstance(database, Maria)
    with database.server.connect(database.name) as made, made.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
