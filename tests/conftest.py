"""One PostgreSQL server a session, one clone of an installed database a test.

The template is installed as the login that operators are told to use: no superuser, CREATEROLE, owner
of a database in which a superuser created `vector`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pytest_postgresql import factories
from pytest_postgresql.janitor import DatabaseJanitor

from ragdb.db import Caller, Database
from ragdb.embedded import Server
from ragdb.install import upgrade

INSTALLER = "ragdb_test_installer"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server of its own in a short private directory: socket paths end at 107 bytes."""
    home = Path(tempfile.mkdtemp(prefix="rt-", dir="/var/tmp"))
    server = Server.default(home=home)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home)


@dataclass(frozen=True)
class Cluster:
    """How to reach the server's databases as its superuser."""

    host: str
    port: int
    password: str

    def url(self, dbname: str, user: str = "postgres", password: str | None = None) -> str:
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, dbname=dbname, user=user, password=password or self.password
        )

    def janitor(self, dbname: str, template: str | None = None) -> DatabaseJanitor:
        return DatabaseJanitor(
            user="postgres", host=self.host, port=self.port, password=self.password, dbname=dbname,
            template_dbname=template, version=18,
        )  # fmt: skip


@pytest.fixture(scope="session")
def cluster(server: Server) -> Cluster:
    parts = conninfo_to_dict(server.superuser_url())
    return Cluster(str(parts["host"]), int(parts.get("port") or 5432), str(parts["password"]))
