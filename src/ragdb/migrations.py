"""Migrations: each runs once. yoyo orders them and keeps their history.

yoyo by itself commits after every migration and marks it in another transaction, so a crash in
between leaves a database that neither works nor migrates. Here it writes on the connection of an
upgrade that is already inside its one transaction, and never commits.
"""

# yoyo has no type information.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from yoyo import internalmigrations, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import parse_uri
from yoyo.exceptions import BadMigration, MigrationConflict
from yoyo.migrations import Migration, MigrationList

from ragdb.sqltree import OWNER, InstallError, SqlFile


class History(PostgresqlPsycopgBackend):
    """yoyo's bookkeeping on an open connection, whose transaction belongs to the caller."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._given = connection
        super().__init__(parse_uri("postgresql+psycopg://"), "_yoyo_migration")

    def connect(self, dburi: object) -> psycopg.Connection:
        return self._given

    def begin(self) -> None:
        """Neither begin, commit nor roll back: one step that fails undoes the whole upgrade."""

    commit = rollback = begin

    def ensure_internal_schema_updated(self) -> None:
        """As yoyo does it, but without a commit."""
        if not self._internal_schema_updated:
            if internalmigrations.needs_upgrading(self):
                internalmigrations.upgrade(self)
            self._internal_schema_updated = True

    def get_log_data(
        self, migration: Migration | None = None, operation: str = "apply"
    ) -> dict[str, Any]:
        """Who did it, without asking a name service or /etc/passwd, which may both be missing."""
        return {
            "id": str(uuid.uuid4()),
            "migration_id": migration and migration.id,
            "migration_hash": migration and migration.hash,
            "username": self._given.info.user,
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def apply(
    connection: psycopg.Connection,
    files: tuple[SqlFile, ...],
    progress: Callable[[str], None],
) -> tuple[str, ...]:
    """Run the migrations that are new to this database; returns their names."""
    by_id = {file.id: file for file in files}
    _as_bookkeeper(connection)
    history = History(connection)
    pending: list[Migration] = list(history.to_apply(_load(files)))
    for migration in pending:
        file = by_id[migration.id]
        progress(f"Migration {migration.id}")
        file.run(connection, OWNER)
        _as_bookkeeper(connection)
        history.log_migration(migration, "apply")
        history.mark_one(migration, log=False)
        connection.execute(
            "insert into ragdb_private.migration_sum (name, sha256) values (%s, %s)",
            (migration.id, file.sha256),
        )
    return tuple(migration.id for migration in pending)


def _as_bookkeeper(connection: psycopg.Connection) -> None:
    """yoyo names its tables without their schema."""
    connection.execute(f"set local role {OWNER}; set local search_path = ragdb_private".encode())


def _load(files: tuple[SqlFile, ...]) -> MigrationList:
    """The files as yoyo's migrations, read from a copy so that any package loader will do."""
    with TemporaryDirectory(prefix="ragdb-") as directory:
        for file in files:
            (Path(directory) / f"{file.id}.sql").write_text(file.text, encoding="utf-8")
        try:
            migrations: MigrationList = read_migrations(directory)
            for migration in migrations:
                migration.load()
        except (BadMigration, MigrationConflict) as error:
            raise InstallError(f"The migrations cannot be ordered: {error}") from error
    for migration in migrations:
        if not migration.use_transactions:
            raise InstallError(
                f"sql/migrations/{migration.id}.sql asks to run outside a transaction; an upgrade"
                " is one transaction. Build large indexes elsewhere."
            )
    return migrations
