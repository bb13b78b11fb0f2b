"""Connecting to a database, of whichever kind, through the guard of the network."""

from __future__ import annotations

from ragdb.databases.address import Address
from ragdb.databases.session import Limits, Session
from ragdb.extraction.result import ExtractError
from ragdb.outbound import Guard
from ragdb.sources.driver import SourceError


def connect(address: Address, guard: Guard, ca: str | None, limits: Limits) -> Session:
    """Connect; raises SourceError, also where the driver is not installed."""
    if ca is not None and address.tls != "verify":
        raise SourceError(
            "invalid_connection",
            "There is a ca, but the connection string does not say tls=verify.",
        )
    try:
        at = guard.resolve(address.host, address.port)
    except ExtractError as error:
        message = f"{error.message} {error.hint}" if error.hint else error.message
        may_retry = error.code == "host_not_found"
        raise SourceError(error.code, message, may_retry=may_retry) from error
    try:
        if address.kind == "postgresql":
            from ragdb.databases.postgresql import PostgreSQL

            return PostgreSQL(address, at, ca, limits)
        if address.kind == "mysql":
            from ragdb.databases.mysql import MySQLSession

            return MySQLSession(address, at, ca, limits)
        from ragdb.databases.oracle import OracleSession
    except ModuleNotFoundError as error:
        raise SourceError(
            "driver_not_installed",
            f"The worker lacks the Python package {error.name}: pip install 'ragdb[databases]'.",
        ) from error
    return OracleSession(address, ca, limits, lambda found: guard.allows(address.host, found))
