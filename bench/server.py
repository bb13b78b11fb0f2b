"""A ragdb of its own to measure: what `ragdb init` makes, with the settings it gives a user."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from ragdb import bootstrap, logins, settings
from ragdb.db import Caller, Database
from ragdb.embedded import Server

_OPERATOR = Caller(role="ragdb_admin")
_REPORTED = (
    "server_version", "shared_buffers", "effective_cache_size", "maintenance_work_mem", "work_mem",
    "max_wal_size", "random_page_cost", "jit", "fsync", "synchronous_commit",
    "max_parallel_maintenance_workers", "max_parallel_workers_per_gather",
)  # fmt: skip


@dataclass(frozen=True)
class Ragdb:
    """A running server, the URL the service logs in with, and the superuser's."""

    server: Server
    service_url: str
    superuser_url: str

    def organization(self, slug: str) -> str:
        """Create an organization; an API key of its administrator."""
        with Database.connect(self.superuser_url) as database:
            database.call(
                _OPERATOR, "create_organization",
                p_name=slug, p_slug=slug, p_admin_email=f"{slug}@example.org",
            )  # fmt: skip
            operator = Caller(role="ragdb_admin", organization=slug)
            return database.call(operator, "create_api_key", p_name="bench")[0]["key"]

    def ask(self, query: str, *values: object) -> list[DictRow]:
        """Run a statement as the superuser, outside of row level security."""
        with Database.connect(self.superuser_url) as database:
            return database.connection.execute(query.encode(), values).fetchall()

    def do(self, statement: str) -> None:
        """Run a command as the superuser."""
        with Database.connect(self.superuser_url) as database:
            database.connection.execute(statement.encode())

    def settings(self) -> dict[str, str]:
        """The settings of the server that matter for speed."""
        rows = self.ask(
            "select name, current_setting(name) as value from pg_settings where name = any (%s)",
            list(_REPORTED),
        )
        return {row["name"]: row["value"] for row in rows}

    def data_bytes(self) -> int:
        """What the database takes on disk, without write-ahead log and without the empty schema."""
        return int(self.ask("select pg_database_size(current_database()) as size")[0]["size"])

    def relation_bytes(self) -> dict[str, int]:
        """Bytes by table of the tenants' data, indexes and TOAST included, greatest first."""
        rows = self.ask(
            "select regexp_replace(c.relname, '_\\d\\d$', '') as name,"
            " sum(pg_total_relation_size(c.oid))::int8 as size"
            " from pg_class c where c.relnamespace = 'ragdb_data'::regnamespace"
            " and c.relkind = 'r' group by 1 order by 2 desc"
        )
        return {row["name"]: row["size"] for row in rows}

    def memory(self) -> dict[str, int]:
        """Resident and proportional bytes of all server processes together."""
        pid = self.server.status().pid
        pids = [pid, *_children(pid)] if pid else []
        totals = {"rss": 0, "pss": 0}
        for process in pids:
            for line in _lines(Path(f"/proc/{process}/smaps_rollup")):
                name, _, rest = line.partition(":")
                if name.lower() in totals:
                    totals[name.lower()] += int(rest.split()[0]) * 1024
        return totals


@contextmanager
def running(home: Path) -> Generator[Ragdb]:
    """Make or start the ragdb of a directory, and stop its server at the end."""
    environ: dict[str, str] = {}
    server = Server.default(home=home)
    try:
        bootstrap.init(settings.load(home, environ), bootstrap.Wishes(), lambda _: None)
        url = settings.load(home, environ).database_url or ""
        yield Ragdb(server, url, logins.superuser_url(server, logins.DATABASE))
    finally:
        server.stop()


def _children(pid: int) -> list[int]:
    children = _lines(Path(f"/proc/{pid}/task/{pid}/children"))
    return [int(child) for line in children for child in line.split()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def call_as(database: Database, key: str, function: str, **arguments: Any) -> list[DictRow]:
    """Call a function that writes, as the owner of a key."""
    return database.call(Caller(api_key=key), function, **arguments)
