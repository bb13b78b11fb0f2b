"""MySQL and MariaDB, by PyMySQL."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from ragdb.databases.address import Address
from ragdb.databases.dialect import Moment, MySQL, Statement
from ragdb.databases.session import CONNECT_SECONDS, Column, Limits, Row, tls_context
from ragdb.sources.driver import SourceError

_TIMES = (FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATETIME, FIELD_TYPE.DATE, FIELD_TYPE.TIME)
_MOMENTS: dict[int, Moment] = {
    FIELD_TYPE.TIMESTAMP: "moment", FIELD_TYPE.DATETIME: "local", FIELD_TYPE.DATE: "local",
    FIELD_TYPE.TINY: "number", FIELD_TYPE.SHORT: "number", FIELD_TYPE.INT24: "number",
    FIELD_TYPE.LONG: "number", FIELD_TYPE.LONGLONG: "number", FIELD_TYPE.NEWDECIMAL: "number",
    FIELD_TYPE.DECIMAL: "number", FIELD_TYPE.DOUBLE: "number", FIELD_TYPE.FLOAT: "number",
    FIELD_TYPE.VAR_STRING: "text", FIELD_TYPE.VARCHAR: "text", FIELD_TYPE.STRING: "text",
}  # fmt: skip
_SPARE_SECONDS = 15

_FAULTS: dict[int, tuple[str, bool]] = {
    1044: ("source_login_refused", False), 1045: ("source_login_refused", False),
    1698: ("source_login_refused", False), 1130: ("source_login_refused", False),
    1049: ("source_database_not_found", False), 1146: ("table_not_found", False),
    1109: ("table_not_found", False), 1054: ("column_not_found", False),
    1142: ("source_permission_denied", False), 1143: ("source_permission_denied", False),
    1227: ("source_permission_denied", False), 1370: ("source_permission_denied", False),
    1792: ("source_is_read_only", False), 1290: ("source_is_read_only", False),
    1969: ("source_timeout", True), 3024: ("source_timeout", True), 1317: ("source_timeout", True),
    2003: ("source_unreachable", True), 2006: ("source_unreachable", True),
    2013: ("source_unreachable", True), 1040: ("source_unreachable", True),
    1053: ("source_unreachable", True), 1203: ("source_unreachable", True),
    1226: ("source_unreachable", True), 2026: ("source_tls_failed", False),
    1292: ("type_mismatch", False), 1366: ("type_mismatch", False), 1525: ("type_mismatch", False),
}  # fmt: skip


class MySQLSession:
    """A connection that reads."""

    dialect = MySQL()

    def __init__(self, address: Address, at: str, ca: str | None, limits: Limits) -> None:
        # Times are texts: MySQL has some that Python has not, such as the day 0000-00-00.
        decoders: dict[Any, Any] = {
            key: value for key, value in conversions.items() if key not in _TIMES
        }
        where, context = f"{address.host}:{address.port}", tls_context(address, ca)
        try:
            opened = socket.create_connection((at, address.port), CONNECT_SECONDS)
        except OSError as error:
            raise SourceError(
                "source_unreachable", f"No connection to {where}: {error.strerror or error}.",
                may_retry=True,
            ) from error  # fmt: skip
        # It stays the limit of each answer until the login is done.
        opened.settimeout(CONNECT_SECONDS)
        self._connection: pymysql.Connection[Any] = pymysql.connect(
            host=address.host, port=address.port, user=address.user,
            password=address.password.encode(), database=address.database, charset="utf8mb4",
            conv=decoders, autocommit=True, connect_timeout=CONNECT_SECONDS,
            read_timeout=limits.seconds + _SPARE_SECONDS, write_timeout=CONNECT_SECONDS,
            ssl=context, ssl_disabled=address.tls == "off", local_infile=False,
            program_name="ragdb", defer_connect=True,
        )  # fmt: skip
        try:
            with _told(where):
                self._connection.connect(opened)
                self._prepare(limits)
        except BaseException:
            opened.close()
            raise

    def columns(self, statement: Statement) -> list[Column]:
        with _told(), self._connection.cursor() as cursor:
            cursor.execute(statement.text, statement.values)
            return [
                Column(name, _MOMENTS.get(kind), str(kind))
                for name, kind, *_ in cursor.description or ()
            ]

    @contextmanager
    def rows(self, statement: Statement) -> Generator[Generator[Row]]:
        with _told(), self._connection.cursor(SSCursor) as cursor:
            cursor.execute(statement.text, statement.values)
            yield (row for row in cursor)

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()

    def _prepare(self, limits: Limits) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute("set session transaction read only")
            cursor.execute("set time_zone = '+00:00'")
            cursor.execute("select version()")
            if "MariaDB" in str(cursor.fetchone()):
                cursor.execute("set max_statement_time = %s", (limits.seconds,))
            else:
                cursor.execute("set max_execution_time = %s", (1000 * limits.seconds,))


@contextmanager
def _told(where: str | None = None) -> Generator[None]:
    """Whatever goes wrong as a SourceError."""
    try:
        yield
    except (pymysql.Error, OSError) as error:
        raise _fault(error, where) from error


def _fault(error: Exception, where: str | None) -> SourceError:
    first, *rest = error.args or ("",)
    number = first if isinstance(first, int) else 0
    said = str(rest[-1] if rest and isinstance(first, int) else error).rstrip(".")
    begun = f"{where} says" if where else "The database says"
    cause = getattr(error, "original_exception", error)
    if isinstance(cause, ssl.SSLError):
        return SourceError("source_tls_failed", f"No encrypted connection to {where}: {cause}.")
    known = _FAULTS.get(number)
    if known is None and isinstance(cause, OSError):
        known = ("source_unreachable", True)
    code, may_retry = known or ("source_query_failed", False)
    return SourceError(code, f"{begun}: {said}.", may_retry=may_retry)
