"""Is this installation sound? Each check says ok, warn or fail, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import psycopg

from ragdb import __version__, logins
from ragdb.bootstrap import schema
from ragdb.db import Caller, Database
from ragdb.embedded import EmbeddedError
from ragdb.errors import RagdbError
from ragdb.paths import CREDENTIALS
from ragdb.settings import Settings

State = Literal["ok", "warn", "fail"]

# The first minor release of each major version without a vulnerability that is known by now.
SAFE_MINOR = {18: 7}
ROLES = ("owner", "definer", "service", "worker", "analyst", "admin")

_GB = 1 << 30
_LONGEST_WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    state: State
    message: str
    hint: str | None = None


Findings = Generator[Finding]


def examine(settings: Settings) -> Findings:
    """Run all checks; where one cannot be made, those that need it are left out."""
    yield Finding("ragdb", "ok", f"{__version__} on Python {platform.python_version()}")
    yield from _files(settings)
    embedded = logins.is_embedded(settings)
    if embedded:
        yield from _embedded_server(settings)
    if settings.database_url is None:
        yield Finding("database", "fail", "Nothing is set up.", "Run: ragdb init")
        return
    try:
        with Database.connect(settings.database_url) as database:
            for check in (_login, _server_version, _schema):
                yield from check(database)
            if schema(database).database is not None:
                for check in (_vector, _roles, _row_level_security, _embedding_table):
                    yield from check(database)
                yield from _api_key(database, settings)
                if settings.api_key is not None:
                    yield from _queue(database, settings)
    except RagdbError as error:
        hint = "Start it: ragdb start" if embedded else error.problem.hint
        yield Finding("database", "fail", error.problem.message, hint)
    except psycopg.Error as error:
        yield Finding("database", "fail", str(error).partition("\n")[0])
    yield _language_model(settings)


def _queue(database: Database, settings: Settings) -> Findings:
    """Whether somebody does the jobs that wait."""
    try:
        queues = database.read(Caller(api_key=settings.api_key), "queue_health")
    except RagdbError:  # the key does not work, as another check says
        return
    waits = max((row["oldest_waits"] for row in queues if row["oldest_waits"]), default=None)
    failed = sum(row["failed"] for row in queues)
    if waits is not None and waits > _LONGEST_WAIT:
        message = f"A job has been waiting for {waits.total_seconds() / 60:.0f} minutes."
        yield Finding("jobs", "warn", message, "Is there a worker? Start one: ragdb worker")
    elif failed:
        message = f"{failed} jobs have failed."
        yield Finding("jobs", "warn", message, "ragdb jobs list --status failed")
    else:
        yield Finding("jobs", "ok", "none waits for long, none has failed")


def extension_version(database: Database, name: str) -> str | None:
    """The version of an extension in the database."""
    found = _one(database, "select extversion from pg_extension where extname = %s", name)
    return str(found) if found else None


def _files(settings: Settings) -> Findings:
    home = settings.home
    if not home.is_dir():
        yield Finding("home", "warn", f"{home} does not exist.", "Run: ragdb init")
        return
    yield _private("home", home, 0o700)
    if (home / CREDENTIALS).exists():
        yield _private("credentials", home / CREDENTIALS, 0o600)
    else:
        yield Finding("credentials", "warn", "There is no credentials file.", "Run: ragdb init")


def _private(check: str, path: Path, mode: int) -> Finding:
    found = stat.S_IMODE(path.stat().st_mode)
    if found & 0o077:
        return Finding(
            check, "fail", f"Others may enter {path} (mode {found:o}).", f"chmod {mode:o} {path}"
        )
    return Finding(check, "ok", f"{path} is private")


def _embedded_server(settings: Settings) -> Findings:
    server = logins.server(settings)
    try:
        status = server.status()
    except EmbeddedError as error:
        yield Finding("server", "fail", str(error))
        return
    if status.ready:
        yield Finding("server", "ok", f"embedded, process {status.pid}")
    else:
        yield Finding("server", "fail", "The embedded server does not run.", "ragdb start")
    rules = _lines(settings.home / "pg_hba.conf")
    open_doors = [line for line in rules if line.split()[-1] in ("trust", "password", "md5")]
    if open_doors:
        hint = "ragdb stop && ragdb start writes it anew"
        yield Finding("authentication", "fail", f"pg_hba.conf has: {open_doors[0]}", hint)
    elif rules:
        yield Finding("authentication", "ok", "every login needs a password (scram-sha-256)")
    if server.data.exists() or settings.home.exists():
        yield _disk(settings.home)


def _lines(path: Path) -> list[str]:
    if not path.exists() or not os.access(path, os.R_OK):
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    state: State = "ok" if free > 2 * _GB else "warn" if free > _GB // 4 else "fail"
    hint = None if state == "ok" else "A full disk stops the server: free some space."
    return Finding("disk", state, f"{free / _GB:.1f} GB free for {home}", hint)


def _login(database: Database) -> Findings:
    name = database.connection.info.user
    powers = _one(
        database,
        "select rolsuper or rolbypassrls or rolcreaterole from pg_catalog.pg_roles"
        " where rolname = current_user",
    )
    if powers:
        hint = "Use the one that ragdb init makes: unset RAGDB_DATABASE_URL after it."
        yield Finding("login", "warn", f"{name} may do more than the application needs.", hint)
    else:
        yield Finding("login", "ok", f"{name} has no rights but ragdb_service's")


def _server_version(database: Database) -> Findings:
    major, minor = divmod(database.connection.info.server_version, 10000)
    message = f"PostgreSQL {major}.{minor}"
    safe = SAFE_MINOR.get(major, 0)
    if minor < safe:
        hint = "Update the server, or ragdb when it is the embedded one."
        message += f" has known vulnerabilities, {major}.{safe} has them mended."
        yield Finding("postgresql", "warn", message, hint)
    else:
        yield Finding("postgresql", "ok", message)


def _schema(database: Database) -> Findings:
    found = schema(database)
    yield Finding("schema", "ok" if found.ok else "fail", found.message)


def _vector(database: Database) -> Findings:
    version = extension_version(database, "vector")
    newest = _one(
        database, "select default_version from pg_available_extensions where name = 'vector'"
    )
    if newest is not None and newest != version:
        hint = "As a superuser: alter extension vector update;"
        message = f"vector {version}, the server has {newest}."
        yield Finding("extension", "warn", message, hint)
    else:
        yield Finding("extension", "ok", f"vector {version}")


def _roles(database: Database) -> Findings:
    names = [f"ragdb_{role}" for role in ROLES]
    sound = _one(
        database,
        "select count(*) from pg_catalog.pg_roles where rolname = any (%s) and not"
        " (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)",
        names,
    )
    if sound == len(names):
        yield Finding("roles", "ok", "none of the groups can log in or do more than it should")
    else:
        yield Finding("roles", "fail", "A group is missing or may do too much.", "ragdb init")


def _row_level_security(database: Database) -> Findings:
    open_tables = _one(
        database,
        "select string_agg(c.relname, ', ' order by c.relname) from pg_catalog.pg_class c"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'ragdb_data' and c.relkind in ('r', 'p')"
        " and (not c.relrowsecurity or not exists"
        " (select from pg_catalog.pg_policy p where p.polrelid = c.oid))",
    )
    if open_tables:
        message = f"Tables without a policy: {open_tables}."
        yield Finding("isolation", "fail", message, "Run: ragdb init")
    else:
        yield Finding("isolation", "ok", "row level security is on for every table")


def _embedding_table(database: Database) -> Findings:
    newest = "select model from ragdb_data.embedding_table_version order by version desc limit 1"
    model = _one(database, newest)
    if model is None:
        yield Finding("embedding", "fail", "The embedding table is empty.", "Run: ragdb init")
    else:
        yield Finding("embedding", "ok", f"the table of {model} is loaded")


def _api_key(database: Database, settings: Settings) -> Findings:
    if settings.api_key is None:
        yield Finding("key", "warn", "There is no API key.", "Run: ragdb init")
        return
    try:
        caller = database.call(Caller(api_key=settings.api_key), "whoami", read_only=True)[0]
    except RagdbError as error:
        yield Finding("key", "fail", error.problem.message, error.problem.hint)
    else:
        message = f"{caller['email']} of {caller['organization']}"
        yield Finding("key", "ok", message)


def _language_model(settings: Settings) -> Finding:
    if settings.llm_url is None:
        return Finding("model", "ok", "none is configured; answers quote the documents")
    return Finding("model", "ok", f"{settings.llm_model or 'default'} at {settings.llm_url}")


def _one(database: Database, query: str, *values: object) -> object:
    row = database.connection.execute(query.encode(), values or None).fetchone()
    return next(iter(row.values())) if row else None
