"""Bring a database to this version of ragdb: all of it in one transaction, or nothing.

An upgrade checks the server, makes roles and schemas, installs pgai's catalogue, runs new
migrations once, re-creates functions, views and policies when a file of them changed, drops what
the files no longer define, and loads the embedding table. Killed anywhere, it leaves the database
as it was; run twice, it changes nothing the second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources.abc import Traversable
from typing import Literal

import psycopg

from ragdb import __version__, prerequisites, repeatable
from ragdb.freeze import freeze
from ragdb.sqltree import OWNER, InstallError, SqlTree, sql_root

__all__ = [
    "VERSION_QUERY",
    "Check",
    "InstallError",
    "UpgradeReport",
    "VersionMismatch",
    "check",
    "compare",
    "upgrade",
]

# 'ragdb' in ASCII. Advisory locks are per database, and so are installations.
LOCK = 0x7261676462

VERSION_QUERY = "select version, migrations, repeatable from ragdb.version()"

Progress = Callable[[str], None]


class VersionMismatch(InstallError):
    """The database belongs to a newer ragdb than this one."""


@dataclass(frozen=True)
class UpgradeReport:
    """What an upgrade did; all empty when there was nothing to do."""

    version: str
    previous: str | None = None
    migrations: tuple[str, ...] = ()
    reloaded: int = 0
    dropped: tuple[str, ...] = ()
    pgai: bool = False
    embedding: bool = False

    @property
    def changed(self) -> bool:
        return bool(self.migrations or self.reloaded or self.pgai or self.embedding)


@dataclass(frozen=True)
class Check:
    """How the schema of a database compares with this code."""

    state: Literal["current", "missing", "outdated", "newer"]
    database: str | None
    code: str = __version__

    @property
    def ok(self) -> bool:
        return self.state == "current"

    @property
    def message(self) -> str:
        match self.state:
            case "current":
                return f"The database holds ragdb {self.database}."
            case "missing":
                return "The database holds no ragdb. Run: ragdb init"
            case "outdated":
                return (
                    f"The database holds ragdb {self.database}, which is not what this {self.code}"
                    " would install. Run: ragdb init"
                )
            case "newer":
                return (
                    f"The database belongs to ragdb {self.database}, this is {self.code}. Install"
                    " the newer ragdb, or restore a backup made before the database was upgraded."
                )


@dataclass(frozen=True)
class _Recorded:
    """What the last upgrade wrote down."""

    version: str
    repeatable: str
    migrations: dict[str, str]


def upgrade(
    url: str,
    *,
    progress: Progress | None = None,
    sql: Traversable | None = None,
    force: bool = False,
) -> UpgradeReport:
    """Install or upgrade the database at `url` (any conninfo; empty means the PG* variables).

    `force` runs the repeatable files even if none has changed; `sql` is another tree of files.
    Raises VersionMismatch for a newer database, InstallError for what the operator has to mend,
    psycopg.OperationalError where the server cannot be reached.
    """
    say: Progress = progress or (lambda step: None)
    tree = SqlTree.read(sql or sql_root())
    with psycopg.connect(
        url,
        autocommit=True,
        prepare_threshold=None,
        client_encoding="utf8",
        fallback_application_name="ragdb upgrade",
    ) as connection:
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        connection.read_only = False
        prerequisites.check_server(connection)
        with connection.transaction():
            return _upgrade(connection, tree, say, force)


def check(connection: psycopg.Connection) -> Check:
    """Compare the database with this code; every group of ragdb has the right to ask."""
    if not connection.execute(
        "select 1 from pg_catalog.pg_proc p"
        " join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = 'ragdb' and p.proname = 'version' and p.pronargs = 0"
    ).fetchone():
        return Check("missing", None)
    try:
        found = connection.execute(VERSION_QUERY).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        login = connection.info.user
        raise InstallError(
            f"The login {login} belongs to no group of ragdb. For a service: grant ragdb_service"
            f" to {login};"
        ) from error
    return compare(*found) if found else Check("missing", None)


def compare(version: str, migrations: str, repeatable: str) -> Check:
    """Judge the row that VERSION_QUERY returned."""
    if _order(version) > _order(__version__):
        return Check("newer", version)
    same = (version, migrations, repeatable) == (__version__, *_checksums(sql_root()))
    return Check("current" if same else "outdated", version)


@cache
def _checksums(root: Traversable) -> tuple[str, str]:
    tree = SqlTree.read(root)
    return tree.migrations_sha256, tree.repeatable_sha256


def _upgrade(
    connection: psycopg.Connection, tree: SqlTree, say: Progress, force: bool
) -> UpgradeReport:
    connection.execute(
        "set local role none;"
        " set local search_path = pg_catalog, pg_temp;"
        " set local check_function_bodies = on;"
        " set local statement_timeout = 0;"
        " set local transaction_timeout = 0;"
        " set local idle_in_transaction_session_timeout = 0;"
        " set local lock_timeout = 0;"
        " set local client_min_messages = warning"
    )
    connection.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    if not _may_act_as_owner(connection):
        tree.roles.run(connection)
    recorded = _recorded(connection)
    pending = _pending(tree, recorded)
    report = UpgradeReport(__version__, recorded and recorded.version)
    if (
        force
        or pending
        or recorded is None
        or (recorded.version, recorded.repeatable) != (__version__, tree.repeatable_sha256)
    ):
        report = _change(connection, tree, say, report, bool(pending))
        say("Embedding table")
    return replace(report, embedding=_load_embedding(connection))


def _change(
    connection: psycopg.Connection,
    tree: SqlTree,
    say: Progress,
    report: UpgradeReport,
    migrate: bool,
) -> UpgradeReport:
    connection.execute("set local role none")
    prerequisites.ensure_vector(connection)
    say("Roles and schemas")
    tree.roles.run(connection)
    freeze(connection, say)
    say(f"pgai {prerequisites.PGAI}")
    pgai = prerequisites.install_pgai(connection)
    applied: tuple[str, ...] = ()
    if migrate:
        from ragdb import migrations  # yoyo takes longer to import than a run without news takes

        applied = migrations.apply(connection, tree.migrations, say)
    dropped = repeatable.reload(connection, tree, say)
    connection.execute(
        "insert into ragdb_private.install (version, migrations, repeatable) values (%s, %s, %s)"
        " on conflict (is_current) do update"
        " set version = excluded.version, migrations = excluded.migrations,"
        " repeatable = excluded.repeatable, upgraded_at = excluded.upgraded_at",
        (__version__, tree.migrations_sha256, tree.repeatable_sha256),
    )
    return replace(
        report, pgai=pgai, migrations=applied, reloaded=len(tree.code + tree.data), dropped=dropped
    )


def _may_act_as_owner(connection: psycopg.Connection) -> bool:
    query = "select pg_has_role(to_regrole('ragdb_owner')::oid, 'set')"
    return connection.execute(query).fetchone() == (True,)


def _recorded(connection: psycopg.Connection) -> _Recorded | None:
    """Read, as the owner, what the last upgrade wrote down; None before the first."""
    connection.execute(f"set local role {OWNER}".encode())
    if not _owns(connection, "ragdb_private", "install"):
        return None
    state = connection.execute("select version, repeatable from ragdb_private.install").fetchone()
    sums = connection.execute("select name, sha256 from ragdb_private.migration_sum").fetchall()
    return _Recorded(state[0], state[1], dict(sums)) if state else None


def _pending(tree: SqlTree, recorded: _Recorded | None) -> set[str]:
    """The migrations this database has yet to run; refuses where files and history disagree."""
    sums = {file.id: file.sha256 for file in tree.migrations}
    if recorded is None:
        return set(sums)
    if _order(recorded.version) > _order(__version__) or recorded.migrations.keys() - sums.keys():
        raise VersionMismatch(Check("newer", recorded.version).message)
    for name, digest in recorded.migrations.items():
        if sums[name] != digest:
            raise InstallError(
                f"sql/migrations/{name}.sql was edited after this database had run it. Restore the"
                " file, and put what is to change into a new migration."
            )
    return sums.keys() - recorded.migrations.keys()


def _load_embedding(connection: psycopg.Connection) -> bool:
    connection.execute(f"set local role {OWNER}; set local search_path = pg_catalog".encode())
    if not _owns(connection, "ragdb_data", "outdated_organization"):
        return False
    from ragdb import embedding

    return embedding.load(connection)


def _owns(connection: psycopg.Connection, schema: str, table: str) -> bool:
    return bool(
        connection.execute(
            "select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s and c.relowner = current_user::regrole",
            (schema, table),
        ).fetchone()
    )


def _order(version: str) -> tuple[list[int], bool, str]:
    """Sort key: 0.9.0 < 0.10.0rc1 < 0.10.0."""
    release = re.sub(r"[^\d.].*", "", version)
    suffix = version.removeprefix(release)
    return [int(part) for part in release.split(".") if part], not suffix, suffix
