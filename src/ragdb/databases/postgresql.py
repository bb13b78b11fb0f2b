"""PostgreSQL, by psycopg."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import IO, LiteralString, cast

import psycopg
from psycopg import errors
from psycopg.types.string import TextLoader

from ragdb.databases.address import Address
from ragdb.databases.dialect import Dialect, Moment, Statement
from ragdb.databases.session import CONNECT_SECONDS, Column, Limits, Row, authorities, tls_context
from ragdb.sources.driver import SourceError

_TLS = {"off": "disable", "prefer": "prefer", "require": "require", "verify": "verify-full"}
_MOMENTS: dict[str, Moment] = {
    "timestamptz": "moment", "timestamp": "local", "date": "local", "int2": "number",
    "int4": "number", "int8": "number", "numeric": "number", "float4": "number",
    "float8": "number", "text": "text", "varchar": "text", "bpchar": "text",
}  # fmt: skip
# A server that does not answer is given up some time after it should have given up the statement.
_SPARE_SECONDS = 15
_FETCHED = 50
_SETTINGS = (
    "select set_config('statement_timeout', %s, true), set_config('timezone', 'UTC', true),"
    " set_config('datestyle', 'ISO', true)"
)

_FAULTS: tuple[tuple[type[psycopg.Error], str, bool], ...] = (
    (errors.UndefinedTable, "table_not_found", False),
    (errors.InvalidSchemaName, "table_not_found", False),
    (errors.UndefinedColumn, "column_not_found", False),
    (errors.InsufficientPrivilege, "source_permission_denied", False),
    (errors.ReadOnlySqlTransaction, "source_is_read_only", False),
    (errors.QueryCanceled, "source_timeout", True),
    (errors.UndefinedFunction, "type_mismatch", False),
    (errors.DatatypeMismatch, "type_mismatch", False),
    (errors.DataError, "type_mismatch", False),
    (errors.InvalidAuthorizationSpecification, "source_login_refused", False),
    (errors.InvalidCatalogName, "source_database_not_found", False),
    (errors.OperationalError, "source_unreachable", True),
)


class PostgreSQL:
    """A connection that reads."""

    dialect = Dialect()

    def __init__(self, address: Address, at: str, ca: str | None, limits: Limits) -> None:
        self._seconds = limits.seconds
        tls_context(address, ca)  # libpq would not say that ca is no certificate
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            try:
                self._connection = psycopg.connect(
                    host=address.host, hostaddr=at, port=address.port, user=address.user,
                    password=address.password, dbname=address.database,
                    sslmode=_TLS[address.tls], sslrootcert=_root(address, ca, file),
                    sslcertmode="disable", gssencmode="disable", passfile="/dev/null", options="",
                    connect_timeout=CONNECT_SECONDS, application_name="ragdb",
                    client_encoding="utf8", keepalives_idle=30, autocommit=True,
                    prepare_threshold=None,
                )  # fmt: skip
            except psycopg.Error as error:
                raise _not_connected(error, address) from error
        for name in ("timestamptz", "timestamp", "date"):
            # Times are texts: PostgreSQL has some that Python has not.
            self._connection.adapters.register_loader(name, TextLoader)
        self._connection.read_only = True
        self._connection.autocommit = False

    def columns(self, statement: Statement) -> list[Column]:
        with self._reading():
            cursor = self._connection.execute(_text(statement), statement.values)
            found: list[Column] = []
            for column in cursor.description or ():
                known = self._connection.adapters.types.get(column.type_code)
                name = known.name if known else str(column.type_code)
                found.append(Column(column.name, _MOMENTS.get(name), name))
            return found

    @contextmanager
    def rows(self, statement: Statement) -> Generator[Generator[Row]]:
        with self._reading(), self._connection.cursor(name="ragdb") as cursor:
            cursor.itersize = _FETCHED
            cursor.execute(_text(statement), statement.values)
            yield (row for row in cursor)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _reading(self) -> Generator[None]:
        """A transaction that reads; a server that stops answering is hung up on.

        Settings end with it: behind a pooler the connection goes on to somebody else.
        """
        timer = Timer(self._seconds + _SPARE_SECONDS, self._hang_up)
        timer.daemon = True
        timer.start()
        try:
            with self._connection.transaction():
                self._connection.execute(_SETTINGS, (f"{self._seconds}s",))
                yield
        except psycopg.Error as error:
            raise _fault(error) from error
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=socket.dup(self._connection.fileno())) as found,
        ):
            found.shutdown(socket.SHUT_RDWR)


def _text(statement: Statement) -> LiteralString:
    # It is put together in ragdb.databases.dialect, which quotes what it did not write itself.
    return cast(LiteralString, statement.text)


def _root(address: Address, ca: str | None, file: IO[str]) -> str:
    """The file of certificates to believe, which libpq reads while it connects."""
    if address.tls != "verify":
        return ""
    text, path = authorities(ca)
    if path is not None:
        return path
    file.write(text or "")
    file.flush()
    return file.name


def _not_connected(error: psycopg.Error, address: Address) -> SourceError:
    """libpq gives no code here, and its sentences name no secret."""
    said = " ".join(str(error).removeprefix("connection failed: ").split()).rstrip(".")
    where = f"{address.host}:{address.port}"
    if "authentication" in said or "pg_hba.conf" in said or f'role "{address.user}"' in said:
        return SourceError("source_login_refused", f"{where} refused the login: {said}.")
    if f'database "{address.database}"' in said:
        return SourceError("source_database_not_found", f"{where}: {said}.")
    if "SSL" in said or "certificate" in said:
        return SourceError("source_tls_failed", f"No encrypted connection to {where}: {said}.")
    return SourceError("source_unreachable", f"No connection to {where}: {said}.", may_retry=True)


def _fault(error: psycopg.Error) -> SourceError:
    said = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    code, may_retry = next(
        ((code, may_retry) for kind, code, may_retry in _FAULTS if isinstance(error, kind)),
        ("source_query_failed", False),
    )
    return SourceError(code, f"The database says: {said}.", may_retry=may_retry)
