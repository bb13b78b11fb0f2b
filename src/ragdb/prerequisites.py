"""What ragdb stands on: a server that fits, the vector extension, and pgai's catalogue."""

from __future__ import annotations

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.rows import scalar_row

from ragdb.sqltree import OWNER, InstallError, SqlFile

SERVER = 17
VECTOR = (0, 8)

PGAI = "0.12.1"
PGAI_SHA256 = "58d21b446b1258f10a4f22e0e576db4e7558ab77f049c207a39e2a77a73cd355"


def check_server(connection: psycopg.Connection) -> None:
    """Refuse a server that is too old, or a database whose text search would miss words."""
    version = connection.info.server_version
    if version < SERVER * 10000:
        raise InstallError(
            f"The server runs PostgreSQL {version // 10000}; ragdb needs {SERVER} or newer."
        )
    if _value(connection, "select pg_is_in_recovery()"):
        raise InstallError("The server is a replica and cannot be written to. Use its primary.")
    mend = (
        "Create one: create database ragdb template template0 encoding 'UTF8'"
        " locale_provider builtin builtin_locale 'C.UTF-8' locale 'C.UTF-8';"
    )
    name = connection.info.dbname
    encoding = _value(connection, "select getdatabaseencoding()")
    if encoding != "UTF8":
        raise InstallError(f"The database {name} is encoded in {encoding}, not UTF8. {mend}")
    folds = _value(
        connection,
        "select lower(chr(196)) = chr(228)"
        " and to_tsvector('simple', 'x' || chr(196)) @@ ('x' || chr(228))::tsquery",
    )
    if not folds:
        raise InstallError(
            f"The database {name} has the C locale, which takes Ä and ä for different letters,"
            f" so that searches would miss words. {mend}"
        )


def ensure_vector(connection: psycopg.Connection) -> None:
    """Create the vector extension where the login may; else say who has to, and how."""
    name = connection.info.dbname
    found = connection.execute(
        "select e.extversion, e.extnamespace::regnamespace::text"
        " from pg_extension e where e.extname = 'vector'"
    ).fetchone()
    if found is None:
        available = _value(
            connection,
            "select default_version from pg_available_extensions where name = 'vector'",
        )
        if available is None:
            raise InstallError(
                "The server has no vector extension. Install the package of pgvector 0.8 or newer"
                " for its PostgreSQL."
            )
        try:
            connection.execute("create extension vector with schema public")
        except psycopg.errors.InsufficientPrivilege as error:
            raise InstallError(
                f"The database {name} has no vector extension and the login"
                f" {connection.info.user} may not create it. As a superuser in that database:"
                " create extension vector with schema public;"
            ) from error
        found = (str(available), "public")
    version, schema = found
    if tuple(int(part) for part in str(version).split(".")[:2]) < VECTOR:
        raise InstallError(
            f"The database {name} has pgvector {version}; ragdb needs 0.8 or newer. As a superuser"
            " in that database: alter extension vector update;"
        )
    if schema != "public":
        raise InstallError(
            f"The vector extension of the database {name} is in the schema {schema}. As a"
            " superuser in that database: alter extension vector set schema public;"
        )
    # Loads the library: until then a function may not be created with `set hnsw.…`.
    connection.execute("select '[1]'::public.vector")


def install_pgai(connection: psycopg.Connection) -> bool:
    """Install pgai's catalogue as the owner of the tables; returns whether it was missing."""
    connection.execute(f"set local role {OWNER}".encode())
    if _value(connection, "select to_regclass('ai.pgai_lib_version') is not null"):
        installed = _value(connection, "select version from ai.pgai_lib_version where name = 'ai'")
        if installed == PGAI:
            return False
    SqlFile("pgai/ai.sql", pgai_sql()).run(connection, OWNER)
    connection.execute(
        "revoke all on all tables in schema ai from public;"
        " revoke all on all routines in schema ai from public"
    )
    return True


def pgai_sql() -> str:
    """pgai's catalogue as it ships, with its two placeholders filled in.

    Found without importing pgai, which takes seconds and starts its tracing.
    """
    spec = find_spec("pgai")
    if spec is None or spec.origin is None:
        raise InstallError(f"The package pgai is missing. Install pgai=={PGAI}.")
    content = (Path(spec.origin).parent / "data" / "ai.sql").read_bytes()
    if sha256(content).hexdigest() != PGAI_SHA256:
        raise InstallError(f"The package pgai is not the one ragdb knows. Install pgai=={PGAI}.")
    return (
        content.decode()
        .replace("@extschema:vector@", "public")
        .replace("__version__", PGAI)
        # The schema is there, and the right to create others is more than this role needs.
        .replace("CREATE SCHEMA IF NOT EXISTS ai;", "")
    )


def _value(connection: psycopg.Connection, query: str) -> object:
    return connection.cursor(row_factory=scalar_row).execute(query.encode()).fetchone()
