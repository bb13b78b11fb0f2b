"""The SQL files of ragdb: where they are, what they hash to, how one of them is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import psycopg
from psycopg.pq import TransactionStatus

OWNER = "ragdb_owner"
DEFINER = "ragdb_definer"

# Run whenever one of their files changed, in this order.
CODE = ("definers", "functions", "triggers", "views", "policies")
DATA = ("privileges", "seed")

MIGRATION_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")


class InstallError(Exception):
    """An installation or upgrade that did not happen; the message says how to mend it."""


def sql_root() -> Traversable:
    """The SQL tree: inside the package, or beside it in a checkout."""
    packaged = files("ragdb") / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "sql"


@dataclass(frozen=True)
class SqlFile:
    """One file of the tree; `name` is its path below `sql/`."""

    name: str
    text: str

    @property
    def id(self) -> str:
        """The name yoyo knows a migration by."""
        return PurePosixPath(self.name).stem

    @cached_property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def run(self, connection: psycopg.Connection, role: str | None = None) -> None:
        """Run the whole file in the caller's transaction, as `role` or as the login itself."""
        connection.execute(f"set local role {role or 'none'}".encode())
        connection.execute("set local search_path = pg_catalog, pg_temp")
        try:
            connection.execute(self.text.encode())
        except psycopg.errors.RaiseException as error:
            raise InstallError(_sentences(error)) from error
        except psycopg.Error as error:
            if connection.closed:
                raise
            where = ":".join(("sql/" + self.name, *_line(self.text, error)))
            raise InstallError(f"{where}: {_sentences(error)}") from error
        if connection.info.transaction_status is not TransactionStatus.INTRANS:
            raise InstallError(
                f"sql/{self.name} ends the transaction it runs in. An upgrade is one transaction:"
                " remove its commit or rollback."
            )


@dataclass(frozen=True)
class SqlTree:
    """The files of one version, read once so that what runs is what was hashed."""

    roles: SqlFile
    migrations: tuple[SqlFile, ...]
    code: tuple[SqlFile, ...]
    data: tuple[SqlFile, ...]

    @classmethod
    def read(cls, root: Traversable) -> SqlTree:
        """Read the tree under `root`; refuses migrations that differ from `migrations.sum`."""
        tree = cls(
            roles=SqlFile("roles.sql", _text(root / "roles.sql")),
            migrations=tuple(_folder(root, "migrations")),
            code=tuple(file for folder in CODE for file in _folder(root, folder)),
            data=tuple(file for folder in DATA for file in _folder(root, folder)),
        )
        _compare(tree.migrations, _text(root / "migrations.sum"))
        return tree

    @cached_property
    def migrations_sha256(self) -> str:
        """One checksum over all migrations: the one of `migrations.sum`."""
        return _combined(self.migrations)

    @cached_property
    def repeatable_sha256(self) -> str:
        """One checksum over everything that runs again when it changes."""
        return _combined((self.roles, *self.code, *self.data))


def _folder(root: Traversable, folder: str) -> Iterator[SqlFile]:
    directory = root / folder
    if directory.is_dir():
        for entry in sorted(directory.iterdir(), key=lambda entry: entry.name):
            if entry.name.endswith(".sql"):
                yield SqlFile(f"{folder}/{entry.name}", _text(entry))


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InstallError(
            f"The installation of ragdb is incomplete: {error.filename} is missing. Reinstall it."
        ) from error


def _combined(files: tuple[SqlFile, ...]) -> str:
    return sha256("".join(f"{file.sha256}  {file.name}\n" for file in files).encode()).hexdigest()


def _compare(migrations: tuple[SqlFile, ...], sums: str) -> None:
    recorded = {name: digest for digest, name in (line.split() for line in sums.splitlines())}
    for file in migrations:
        name = file.name.removeprefix("migrations/")
        if not MIGRATION_NAME.fullmatch(name):
            raise InstallError(f"sql/{file.name} is not named like 0007_add_document_language.sql.")
        if name not in recorded:
            raise InstallError(
                f"sql/{file.name} is not listed in sql/migrations.sum. Add it:"
                " cd sql/migrations && sha256sum *.sql > ../migrations.sum"
            )
        if recorded.pop(name) != file.sha256:
            raise InstallError(
                f"sql/{file.name} differs from its line in sql/migrations.sum. A released migration"
                " is never edited: restore the file and write a new migration."
            )
    if recorded:
        missing = ", ".join(sorted(recorded))
        raise InstallError(
            f"sql/migrations.sum lists migrations that are missing: {missing}. Reinstall ragdb."
        )


def _line(text: str, error: psycopg.Error) -> Iterator[str]:
    """The line an error belongs to: the server's position, else the first mention of its object."""
    position = error.diag.statement_position
    if position is not None:
        yield str(text.count("\n", 0, int(position) - 1) + 1)
        return
    said = f"{error.diag.message_primary} {error.diag.message_hint or ''}"
    for name in re.findall(r'"([^"]+)"|FUNCTION ([\w.]+)|function ([\w.]+)\(', said):
        mention = re.search(rf"(?<!\w){re.escape(''.join(name))}(?!\w)", text)
        if mention:
            yield str(text.count("\n", 0, mention.start()) + 1)
            return


def _sentences(error: psycopg.Error) -> str:
    parts = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint]
    if isinstance(error, psycopg.errors.InvalidFunctionDefinition):
        parts.append(
            "A function keeps its argument names and its result: give the new form a new name, or"
            " put `drop function if exists` at the top of the file."
        )
    elif isinstance(error, psycopg.errors.InvalidTableDefinition):
        parts.append(
            "A view keeps its columns and may only append some: put `drop view if exists` at the"
            " top of the file to change them."
        )
    elif str(error.diag.message_primary).startswith("must be owner of"):
        parts.append(
            "Files of definers/ run as ragdb_definer, all others as ragdb_owner: what moves between"
            " them is first dropped, in a migration."
        )
    return " ".join(part if part.endswith((".", ";")) else part + "." for part in parts if part)
