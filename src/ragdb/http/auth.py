"""Who is asking: the API key of a request, handed to the database with every call.

The service decides nothing about rights. It only looks whether there is a key at all, before it
reads a body.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers, State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler

from ragdb.db import Caller, Pool
from ragdb.embeddings.queries import Wanted, embedded
from ragdb.errors import Problem, RagdbError
from ragdb.http import problems

T = TypeVar("T")

_SECONDS_BETWEEN_USES = 60.0
_REMEMBERED_USES = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """The database, as whoever sent this request may use it."""

    pool: Pool
    caller: Caller

    async def call(
        self,
        function: str,
        *,
        returning: type[T],
        read_only: bool = False,
        notices: list[str] | None = None,
        **arguments: object,
    ) -> list[T]:
        """Call ragdb.<function> in a transaction of its own; raises RagdbError."""
        return await self.pool.call(
            self.caller, function,
            returning=returning, read_only=read_only, notices=notices, **arguments,
        )  # fmt: skip

    async def embed_queries(self, *queries: str) -> None:
        """Have the model that searches use embed queries, where it is not the table."""
        for wanted in await self.call(
            "begin_query_embedding", returning=Wanted, read_only=True, p_queries=list(queries)
        ):
            function, arguments = await embedded(wanted)
            await self.call(function, returning=dict[str, object], **arguments)

    async def read(self, view: str, *, returning: type[T]) -> list[T]:
        """All the caller's rows of the view ragdb.<view>; raises RagdbError."""
        return await self.pool.read(self.caller, view, returning=returning)


def provide_session(request: Request[None, Caller, State], state: State) -> Session:
    """The dependency `session` of every route below /api."""
    return Session(state.pool, request.auth)


def require_key(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: refuse a request without an API key."""
    connection.scope["auth"] = Caller(api_key=api_key(connection.headers))


def api_key(headers: Headers) -> str:
    """The one API key that the headers carry."""
    keys = {key.strip() for key in headers.getall("X-API-Key", [])}
    for value in headers.getall("Authorization", []):
        scheme, _, credential = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            keys.add(credential.strip())
    keys.discard("")
    if not keys:
        raise RagdbError(
            Problem(
                401, "missing_api_key", "The request carries no API key.",
                "Send the header 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
            )
        )  # fmt: skip
    if len(keys) > 1:
        raise RagdbError(
            Problem(
                400, "ambiguous_api_key", "The request carries two different API keys.",
                "Send one of the headers Authorization and X-API-Key.",
            )
        )  # fmt: skip
    return keys.pop()


class Uses:
    """When this process last had the use of a key recorded, by the key's hash."""

    def __init__(self) -> None:
        self._recorded: dict[bytes, float] = {}

    def due(self, key: str) -> bool:
        """Whether the use is to be recorded now: once a minute is enough."""
        digest = sha256(key.encode()).digest()
        now = time.monotonic()
        if now - self._recorded.get(digest, -_SECONDS_BETWEEN_USES) < _SECONDS_BETWEEN_USES:
            return False
        if len(self._recorded) >= _REMEMBERED_USES:
            self._recorded.clear()
        self._recorded[digest] = now
        return True


async def record_use(request: Request[None, Caller, State]) -> None:
    """After a successful response: note that the key was used."""
    key = request.auth.api_key
    if key is None or not request.app.state.uses.due(key):
        return
    try:
        await request.app.state.pool.call(request.auth, "record_use", returning=dict[str, object])
    except RagdbError as error:
        fields = {"request_id": problems.request_id(request), "code": error.problem.code}
        _log.warning("use of an API key not recorded", extra={"fields": fields})


class Identity(msgspec.Struct):
    """Who a key acts for."""

    organization: str
    organization_id: UUID
    email: str
    user_id: UUID
    permissions: list[str]


@get(
    "/whoami",
    operation_id="whoami",
    summary="The caller",
    tags=["Account"],
    responses=problems.responses(400, 401, 503),
)
async def whoami(session: NamedDependency[Session]) -> Identity:
    """Organization, user and permissions behind the API key."""
    [identity] = await session.call("whoami", returning=Identity, read_only=True)
    return identity
