"""Health checks, for whoever starts and stops the service."""

from __future__ import annotations

import asyncio
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

    status: Literal["ok"]


class Services(msgspec.Struct):
    """What the service depends on."""

    postgres: Literal["ok"]


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
    return Live("ok")


@get(
    "/health/ready",
    operation_id="ready",
    summary="Whether requests can be served",
    tags=["Health"],
    security=[{}],
    responses=problems.responses(503),
)
async def ready(state: State) -> Ready:
    """The database can be reached and holds the version of ragdb that this service belongs to."""
    return await _ready(state.pool)


@get("/health", include_in_schema=False)
async def health(state: State) -> Ready:
    """The same under an older name."""
    return await _ready(state.pool)


async def _ready(pool: Pool) -> Ready:
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
    version = found[0] if found else None
    check = (
        install.compare(version.version, version.migrations, version.repeatable)
        if version
        else install.Check("missing", None)
    )
    if not check.ok:
        code = "not_installed" if check.state == "missing" else f"schema_{check.state}"
        raise RagdbError(Problem(503, code, check.message))
    return Ready("ok", __version__, Services("ok"))
