"""The operator's login, which may own the tables, for commands that can do without."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ragdb.ingest import Call
    from ragdb_cli.session import Client, Session


@contextmanager
def table_owner(session: Session, client: Client) -> Generator[Call | None]:
    """Calls functions as the operator's login for the client's organization; None without one."""
    from ragdb import logins
    from ragdb.db import Caller, Database
    from ragdb.errors import RagdbError

    with ExitStack() as stack:
        call: Call | None = None
        with suppress(RagdbError):
            owner = stack.enter_context(Database.connect(logins.operator_url(session.settings)))
            organization = client.call("whoami", read_only=True)[0]["organization"]
            call = partial(owner.call, Caller(role=None, organization=organization))
        yield call
