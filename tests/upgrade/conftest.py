"""A server of their own: these tests watch roles come into being, and all databases share those."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from harness import Cluster, Tree

from ragdb.embedded import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="rdu-", dir="/tmp"))  # a socket's path ends at 107 bytes
    server = Server(home)
    try:
        server.start()
        with psycopg.connect(server.superuser_url(), autocommit=True) as connection:
            connection.execute("alter system set fsync = off")
            connection.execute("select pg_reload_conf()")
        yield server
        server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def cluster(server: Server) -> Iterator[Cluster]:
    """The server without a single role of ragdb."""
    cluster = Cluster(server)
    yield cluster
    cluster.clean()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """A small tree with a file of every kind."""
    return Tree.small(tmp_path / "sql")
