"""What a handler of jobs gets to work with, and the ways in which it can end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import msgspec

from ragdb.db import Caller, Lease, Pool
from ragdb.settings import Settings

T = TypeVar("T")

# Said more often, nobody would see it, and each time is a transaction.
_SECONDS_BETWEEN_REPORTS = 0.5


class Claimed(msgspec.Struct):
    """A row of ragdb.claim_jobs()."""

    org_no: int
    job_no: int
    token: UUID
    job_id: UUID
    kind: str
    queue: str
    payload: dict[str, Any]
    attempt: int
    max_attempts: int


class JobFailed(Exception):
    """Raised by a handler to fail with a machine name; tried again unless that cannot help."""

    def __init__(self, code: str, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.code, self.may_retry = code, may_retry


class TryLater(Exception):
    """Raised by a handler to be called again after some seconds, at the cost of no attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:g} s")
        self.seconds = seconds


@dataclass
class Job:
    """One job under way."""

    claimed: Claimed
    pool: Pool
    settings: Settings
    _reported: float = field(default=float("-inf"), init=False)

    @property
    def payload(self) -> Mapping[str, Any]:
        """What is to be done; never trusted, for anybody may have enqueued anything."""
        return self.claimed.payload

    @property
    def lease(self) -> Lease:
        return Lease(self.claimed.org_no, self.claimed.job_no, self.claimed.token)

    async def call(
        self, function: str, *, returning: type[T] = dict[str, Any], **arguments: Any
    ) -> list[T]:
        """Call ragdb.<function> as whoever asked for the job, in a transaction of its own.

        Raises RagdbError; with the code lease_lost nothing was done, and the handler has to end.
        """
        return await self.pool.call(
            Caller(lease=self.lease), function, returning=returning, **arguments
        )

    async def progress(self, done: float, message: str | None = None) -> None:
        """Say how far the job is, from 0 to 1, and what it is doing."""
        now = time.monotonic()
        if now - self._reported >= _SECONDS_BETWEEN_REPORTS:
            self._reported = now
            await self.report("heartbeat", p_progress=done, p_message=message)

    async def report(self, function: str, **arguments: Any) -> Any:
        """Call one of the functions that are about the job itself; returns its value."""
        [row] = await self.pool.call(
            Caller(role="ragdb_worker"), function, returning=dict[str, Any],
            p_org_no=self.claimed.org_no, p_job_no=self.claimed.job_no,
            p_token=self.claimed.token, **arguments,
        )  # fmt: skip
        return row[function]


Handler = Callable[[Job], Awaitable[object]]
"""Does a job; what it returns becomes the job's result, as JSON."""
