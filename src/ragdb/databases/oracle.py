"""Oracle, by python-oracledb in its thin mode: no client library is needed.

A listener may send the client on to another address. The driver follows by itself, so every
connection it makes is checked when it is made.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import oracledb

from ragdb.databases.address import Address
from ragdb.databases.dialect import Moment, Oracle, Statement
from ragdb.databases.session import CONNECT_SECONDS, Column, Limits, Row, tls_context
from ragdb.sources.driver import SourceError

_MOMENTS: dict[str, tuple[Moment, str]] = {
    "DB_TYPE_DATE": ("local", "DATE"),
    "DB_TYPE_TIMESTAMP": ("local", "TIMESTAMP"),
    "DB_TYPE_TIMESTAMP_TZ": ("moment", "TIMESTAMP WITH TIME ZONE"),
    "DB_TYPE_TIMESTAMP_LTZ": ("moment", "TIMESTAMP WITH LOCAL TIME ZONE"),
    "DB_TYPE_NUMBER": ("number", "NUMBER"),
    "DB_TYPE_BINARY_DOUBLE": ("number", "BINARY_DOUBLE"),
    "DB_TYPE_VARCHAR": ("text", "VARCHAR2"),
    "DB_TYPE_NVARCHAR": ("text", "NVARCHAR2"),
    "DB_TYPE_CHAR": ("text", "CHAR"),
}

_FAULTS: dict[str, tuple[str, bool]] = {
    "ORA-01017": ("source_login_refused", False), "ORA-28000": ("source_login_refused", False),
    "ORA-28001": ("source_login_refused", False), "ORA-01045": ("source_login_refused", False),
    "ORA-01005": ("source_login_refused", False), "DPY-6001": ("source_database_not_found", False),
    "DPY-6003": ("source_database_not_found", False), "ORA-00942": ("table_not_found", False),
    "ORA-00904": ("column_not_found", False), "ORA-01031": ("source_permission_denied", False),
    "ORA-01456": ("source_is_read_only", False), "DPY-4024": ("source_timeout", True),
    "ORA-01013": ("source_timeout", True), "DPY-6000": ("source_unreachable", True),
    "DPY-6005": ("source_unreachable", True), "DPY-4011": ("source_unreachable", True),
    "DPY-6002": ("source_tls_failed", False), "DPY-3010": ("source_too_old", False),
    "DPY-3001": ("source_needs_encryption", False), "ORA-12660": ("source_needs_encryption", False),
    "ORA-01722": ("type_mismatch", False), "ORA-00932": ("type_mismatch", False),
    "ORA-01858": ("type_mismatch", False), "ORA-01861": ("type_mismatch", False),
    "ORA-01839": ("type_mismatch", False),
}  # fmt: skip

_CODE = re.compile(r"(ORA|DPY)-[0-9]{4,5}")
_REFUSED = "is an address inside this machine's own network"

_watched = threading.local()


class OracleSession:
    """A connection that reads."""

    dialect = Oracle()

    def __init__(
        self, address: Address, ca: str | None, limits: Limits, allows: Callable[[str], bool]
    ) -> None:
        encrypted = tls_context(address, ca)
        place = {"sid" if address.is_sid else "service_name": address.database}
        with _told(address), _watching(allows):
            self._connection = oracledb.connect(
                user=address.user, password=address.password, host=address.host,
                port=address.port, protocol="tcp" if encrypted is None else "tcps",
                ssl_context=encrypted, ssl_server_dn_match=address.tls == "verify",
                tcp_connect_timeout=CONNECT_SECONDS, retry_count=0, program="ragdb",
                machine="ragdb", osuser="ragdb", terminal="ragdb", **place,
            )  # fmt: skip
            self._connection.call_timeout = 1000 * limits.seconds
            self._connection.autocommit = False

    def columns(self, statement: Statement) -> list[Column]:
        with self.rows(statement, self._describe) as found:
            return [column for row in found for column in row if isinstance(column, Column)]

    @contextmanager
    def rows(
        self, statement: Statement, read: Callable[[Any], Iterator[Row]] | None = None
    ) -> Generator[Generator[Row]]:
        """The rows of a statement as they come, in a transaction that ends with the block."""
        with _told(), self._connection.cursor() as made:
            cursor: Any = made
            try:
                cursor.execute("set transaction read only")
                cursor.arraysize = cursor.prefetchrows = 50
                cursor.execute(
                    statement.text, statement.values, fetch_lobs=False, fetch_decimals=True
                )
                yield (row for row in (read or iter)(cursor))
            finally:
                self._connection.rollback()

    def close(self) -> None:
        with _told():
            self._connection.close()

    @staticmethod
    def _describe(cursor: Any) -> Iterator[Row]:
        for info in cursor.description or ():
            moment, name = _MOMENTS.get(info.type_code.name, (None, info.type_code.name))
            yield (Column(info.name, moment, name),)


@cache
def _install_watch() -> None:
    # Nothing else sees where a driver written in C connects to; the hook stays for good.
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            watch = getattr(_watched, "watch", None)
            if watch is not None:
                watch.connecting(*arguments)

    sys.addaudithook(hook)


class _Watch:
    """The connections that one thread makes, until it is told to hang up."""

    def __init__(self, allows: Callable[[str], bool]) -> None:
        self._allows = allows
        self._sockets: list[socket.socket] = []
        self._made: list[socket.socket] = []

    def connecting(self, made: socket.socket, place: tuple[Any, ...]) -> None:
        if not self._allows(str(place[0])):
            raise PermissionError(f"{place[0]} {_REFUSED}")
        self._sockets.append(made.dup())
        self._made.append(made)

    def hang_up(self) -> None:
        for opened in self._sockets:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()

    def close_made(self) -> None:
        """What the driver forgets when a redirection comes to nothing."""
        for made in self._made:
            made.close()


@contextmanager
def _watching(allows: Callable[[str], bool]) -> Generator[None]:
    """Let this thread connect to nothing but what is allowed, and not wait for ever."""
    _install_watch()
    _watched.watch = watch = _Watch(allows)
    timer = threading.Timer(2 * CONNECT_SECONDS, watch.hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BaseException:
        watch.close_made()
        raise
    finally:
        timer.cancel()
        _watched.watch = None
        watch.close()


@contextmanager
def _told(address: Address | None = None) -> Generator[None]:
    """Whatever goes wrong as a SourceError."""
    begun = f"{address.host}:{address.port} says" if address else "The database says"
    try:
        yield
    except oracledb.Error as error:
        # The cause stands below what it led to.
        lines = [line for line in str(error).splitlines() if not line.startswith("Help: ")]
        codes = [found[0] for line in lines if (found := _CODE.match(line))]
        code = next((code for code in reversed(codes) if code in _FAULTS), "")
        name, may_retry = _FAULTS.get(code, ("source_query_failed", False))
        said = " ".join(lines[1:] or lines).rstrip(".")
        if _REFUSED in said:
            name, may_retry = "address_not_allowed", False
        raise SourceError(name, f"{begun}: {said}.", may_retry=may_retry) from error
    except OSError as error:
        raise SourceError(
            "source_unreachable", f"{begun}: {error}.", may_retry=True
        ) from error  # fmt: skip
