"""What can be done with somebody else's database once it is connected."""

from __future__ import annotations

import os
import ssl
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import certifi

from ragdb.databases.address import Address
from ragdb.databases.dialect import Dialect, Moment, Statement
from ragdb.sources.driver import SourceError

CONNECT_SECONDS = 15
Row = Sequence[object]


@dataclass(frozen=True)
class Column:
    """A column as the server describes it."""

    name: str
    moment: Moment | None
    """What it is as the column by which changes are found; None where it cannot be that."""
    type_name: str


@dataclass(frozen=True)
class Limits:
    """What a statement may cost the server."""

    seconds: int = 60


class Session(Protocol):
    """One read-only connection; whatever goes wrong is a SourceError."""

    @property
    def dialect(self) -> Dialect:
        """How to speak to it."""
        ...

    def columns(self, statement: Statement) -> list[Column]:
        """The columns that a statement returns."""
        ...

    def rows(self, statement: Statement) -> AbstractContextManager[Generator[Row]]:
        """The rows of a statement as they come, in a transaction that ends with the block."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


def authorities(ca: str | None) -> tuple[str | None, str | None]:
    """Whom to believe whose certificates are whose: a PEM text or the path of a file with many."""
    if ca is not None:
        return ca, None
    found = ssl.get_default_verify_paths().cafile or os.environ.get("SSL_CERT_FILE")
    return None, found if found and Path(found).exists() else certifi.where()


def tls_context(address: Address, ca: str | None) -> ssl.SSLContext | None:
    """What encrypts a connection that has to be; None where it has not."""
    if address.tls not in ("require", "verify"):
        return None
    text, file = authorities(ca)
    try:
        context = ssl.create_default_context(cafile=file, cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise SourceError(
            "invalid_certificate", "ca is no certificate: it is the text of a PEM file."
        ) from error
    if address.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
