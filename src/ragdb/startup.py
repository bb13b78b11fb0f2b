"""What every process that stays checks before it starts."""

from __future__ import annotations

import psycopg

from ragdb import install
from ragdb.db import not_connected
from ragdb.errors import RagdbError

_CONNECT_SECONDS = 10


def require_current(url: str) -> None:
    """Refuse a database of another version: raises VersionMismatch, RagdbError where none is."""
    try:
        with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection:
            found = install.check(connection)
    except psycopg.Error as error:
        raise RagdbError(not_connected(error)) from error
    if not found.ok:
        raise install.VersionMismatch(found.message)
