"""Health checks, for whoever starts and stops the service."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Literal

import msgspec
from litestar import get
from litestar.datastructures import State

from ragdb import __version__, install
from ragdb.db import Caller, Pool
from ragdb.errors import Problem, RagdbError
from ragdb.http import problems

# Container health checks give up after three.
_SECONDS = 2.0


class Live(msgspec.Struct):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Services(msgspec.Struct):
    """What the service depends on."""

    postgres: Literal["ok"] = "ok"


class Ready(msgspec.Struct):
    """The service can do its work."""

    status: Literal["ok"]
    version: str
    services: Services


class _Version(msgspec.Struct):
    """A row of ragdb.version()."""

    version: str
    migrations: str
    repeatable: str


@get(
    "/health/live",
    operation_id="live",
    summary="Whether the process answers",
    tags=["Health"],
    security=[{}],
)
async def live() -> Live:
    """Asks nobody, the database neither: a failure means that the process is to be restarted."""
    return Live()


@get(
    ["/health/ready", "/health"],
    operation_id="ready",
    summary="Whether requests can be served",
    tags=["Health"],
    security=[{}],
    responses=problems.responses(503),
)
async def ready(state: State) -> Ready:
    """The database can be reached and holds the version of ragdb that this service belongs to."""
    pool: Pool = state.pool
    try:
        async with asyncio.timeout(_SECONDS):
            found = await pool.call(
                Caller(role=None), "version", returning=_Version, read_only=True
            )
    except TimeoutError as error:
        raise RagdbError(
            Problem(
                503, "database_unavailable", f"The database did not answer in {_SECONDS:g} s.",
                "See: ragdb status", retry_after=1,
            )
        ) from error  # fmt: skip
    ...
