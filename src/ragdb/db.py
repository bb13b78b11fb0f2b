"""The one door to the database: call a stored function as somebody, in a transaction of its own.

A call is four commands in one round trip: begin, step down to a request role, prove who is asking,
and the function. The role is set in every transaction, so that even a superuser's connection is
bound by row level security here.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb, set_json_dumps
from psycopg_pool import AsyncConnectionPool

from ragdb.errors import Problem, RagdbError, from_database

# After an error psycopg warns that the rest of the pipeline did not run: nobody expects it to.
logging.getLogger("psycopg").setLevel(logging.ERROR)

T = TypeVar("T")
Role = Literal["ragdb_service", "ragdb_admin", "ragdb_worker"]
_Connection = psycopg.AsyncConnection[DictRow]
Command = tuple[sql.SQL | sql.Composed, Mapping[str, object]]


@dataclass(frozen=True)
class Lease:
    """A worker's right to a job, for as long as it lasts."""

    org_no: int
    job_no: int
    token: UUID


@dataclass(frozen=True)
class Caller:
    """Who is asking: an API key, an operator for an organization, a job, or nobody yet.

    Without a role the connection's own login acts, for what only that may do.
    """

    api_key: str | None = None
    organization: str | None = None
    role: Role | None = "ragdb_service"
    lease: Lease | None = None


def _opening(caller: Caller, read_only: bool) -> list[Command]:
    """The statements of one call up to the caller's own."""
    commands: list[Command] = [(sql.SQL("begin read only" if read_only else "begin"), {})]
    if caller.lease is not None:
        commands.append((sql.SQL("set local role ragdb_worker"), {}))
        begin = sql.SQL("select ragdb.begin_worker_context(%(org_no)s, %(job_no)s, %(token)s)")
        commands.append((begin, asdict(caller.lease)))
    if caller.role is not None:
        commands.append((sql.SQL("set local role {}").format(sql.Identifier(caller.role)), {}))
    if caller.api_key is not None:
        commands.append((sql.SQL("select ragdb.begin_context(%(key)s)"), {"key": caller.api_key}))
    elif caller.organization is not None:
        begin = sql.SQL("select ragdb.begin_operator_context(%(organization)s)")
        commands.append((begin, {"organization": caller.organization}))
    return commands


def _function(name: str, arguments: Mapping[str, object]) -> Command:
    """A call by name; dictionaries travel as jsonb."""
    named = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(argument), sql.Placeholder(argument))
        for argument in arguments
    )
    values = {
        argument: Jsonb(value) if isinstance(value, dict) else value
        for argument, value in arguments.items()
    }
    return sql.SQL("select * from ragdb.{}({})").format(sql.Identifier(name), named), values


def _view(name: str) -> Command:
    return sql.SQL("select * from ragdb.{}").format(sql.Identifier(name)), {}


class Database:
    """A synchronous connection, for the command line."""

    def __init__(self, connection: psycopg.Connection[DictRow]) -> None:
        self.connection = connection
        self.notices: list[str] = []  # what functions said last
        connection.add_notice_handler(self._hear)

    @classmethod
    @contextmanager
    def connect(cls, url: str) -> Generator[Database]:
        """Connect for as long as the block runs; raises RagdbError when that fails."""
        try:
            connection = psycopg.Connection[DictRow].connect(
                url, autocommit=True, client_encoding="utf8",
                application_name="ragdb", row_factory=dict_row,
            )  # fmt: skip
        except psycopg.Error as error:
            raise RagdbError(not_connected(error)) from error
        with connection:
            yield cls(connection)

    def call(
        self, caller: Caller, function: str, *, read_only: bool = False, **arguments: object
    ) -> list[DictRow]:
        """Call ragdb.<function> and commit; raises RagdbError, with nothing done."""
        return self._run(caller, _function(function, arguments), read_only)

    def read(self, caller: Caller, view: str) -> list[DictRow]:
        """All the caller's rows of the view ragdb.<view>."""
        return self._run(caller, _view(view), read_only=True)

    def _hear(self, notice: psycopg.errors.Diagnostic) -> None:
        self.notices.append(notice.message_primary or "")
        del self.notices[:-100]

    def encrypt_password(self, login: str, password: str) -> str:
        """The SCRAM verifier of a password, which may travel where the password must not."""
        return self.connection.pgconn.encrypt_password(
            password.encode(), login.encode(), b"scram-sha-256"
        ).decode()

    def _run(self, caller: Caller, command: Command, read_only: bool) -> list[DictRow]:
        try:
            with self.connection.pipeline():
                for statement, values in _opening(caller, read_only):
                    self.connection.execute(statement, values)
                cursor = self.connection.execute(*command)
                self.connection.execute("commit")
            return cursor.fetchall()
        except (psycopg.Error, UnicodeEncodeError) as error:
            if not self.connection.closed:
                self.connection.rollback()
            if isinstance(error, UnicodeEncodeError):
                problem = Problem(422, "not_utf8", "A text is not UTF-8.", "Convert it to UTF-8.")
            else:
                problem = from_database(error)
            raise RagdbError(problem) from error


def not_connected(error: psycopg.Error) -> Problem:
    """Why there is no connection, in libpq's words where these hold no secret."""
    if isinstance(error, psycopg.ProgrammingError):  # it quotes the URL, password and all
        return Problem(
            422, "invalid_database_url", "The database URL cannot be read.",
            "Write it like postgresql://user:password@host:5432/database",
        )  # fmt: skip
    problem = from_database(error)
    said = str(error).partition("\n")[0].removeprefix("connection failed: ")
    reason = said.rpartition("FATAL:")[2].strip().rstrip(".")
    code = "database_login_refused" if "authentication failed" in reason else problem.code
    return replace(problem, code=code, message=f"The database cannot be reached: {reason}.")


@dataclass(frozen=True)
class Notification:
    """What NOTIFY has sent."""

    channel: str
    payload: str


class Pool:
    """A pool of asynchronous connections, for the service."""

    def __init__(self, url: str, *, max_size: int = 8) -> None:
        self._pool = AsyncConnectionPool(
            url,
            connection_class=_Connection,
            open=False,
            min_size=1,
            max_size=max_size,
            max_lifetime=1800,
            timeout=10,
            check=AsyncConnectionPool[_Connection].check_connection,
            configure=_configure,
            kwargs={
                "autocommit": True,
                "client_encoding": "utf8",
                "application_name": "ragdb",
                "row_factory": dict_row,
            },
        )

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Pool]:
        """Keep the pool open for as long as the block runs."""
        await self._pool.open()
        try:
            yield self
        finally:
            await self._pool.close()

    async def call(
        self,
        caller: Caller,
        function: str,
        *,
        returning: type[T],
        read_only: bool = False,
        notices: list[str] | None = None,
        **arguments: object,
    ) -> list[T]:
        """Call ragdb.<function> and commit; raises RagdbError, with nothing done.

        Where `notices` is given, what the function says in some is appended to it.
        """
        rows = await self._run(caller, _function(function, arguments), read_only, notices)
        return msgspec.convert(rows, list[returning])

    async def read(self, caller: Caller, view: str, *, returning: type[T]) -> list[T]:
        """All the caller's rows of the view ragdb.<view>."""
        rows = await self._run(caller, _view(view), read_only=True)
        return msgspec.convert(rows, list[returning])

    async def _run(
        self, caller: Caller, command: Command, read_only: bool, notices: list[str] | None = None
    ) -> list[DictRow]:
        try:
            async with self._pool.connection() as connection:
                with _hearing(connection, notices):
                    async with connection.pipeline():
                        for statement, values in _opening(caller, read_only):
                            await connection.execute(statement, values)
                        cursor = await connection.execute(*command)
                        await connection.execute("commit")
                return await cursor.fetchall()
        except psycopg.Error as error:
            raise RagdbError(from_database(error)) from error


@contextmanager
def _hearing(connection: _Connection, notices: list[str] | None) -> Generator[None]:
    def hear(notice: psycopg.errors.Diagnostic) -> None:
        if notices is not None:
            notices.append(notice.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        yield
    finally:
        connection.remove_notice_handler(hear)


async def listen(url: str, *channels: str) -> AsyncGenerator[Notification | None]:
    """What is notified on these channels, forever; None first, when nothing can be missed any more.

    On a connection of its own; raises RagdbError when that is lost.
    """
    try:
        async with await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="ragdb listener"
        ) as connection:
            for channel in channels:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            yield None
            async for notified in connection.notifies():
                yield Notification(notified.channel, notified.payload)
    except psycopg.Error as error:
        raise RagdbError(from_database(error)) from error


async def _configure(connection: _Connection) -> None:
    """Dates without a time zone mean UTC, and times are returned in it, on any server."""
    set_json_dumps(msgspec.json.encode, connection)
    await connection.execute("set timezone to 'UTC'")
