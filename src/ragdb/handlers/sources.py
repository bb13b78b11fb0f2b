"""Reading a data source, as a job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError
from ragdb.handlers.secrets import Opened, open_source, secrets_of
from ragdb.job import Job, JobFailed, TryLater
from ragdb.outbound import Guard
from ragdb.sealing import SealError
from ragdb.sources.driver import Driver, Setup, SourceError, Start, Told, Tools
from ragdb.sources.registry import driver
from ragdb.sources.steps import Page, Step, Steps, next_page

T = TypeVar("T")

_SECONDS_BETWEEN_LOOKS = 10.0
_LONGEST_PAUSE = 3600.0
_RETRIES = 3
_NOT_ITS_OWN = frozenset({401, 403, 404, 409})

_log = logging.getLogger(__name__)


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """Which source to read, and how."""

    source_id: UUID
    full: bool = False
    sweep_limit: Annotated[float, Meta(ge=0, le=1)] | None = None


class Begun(msgspec.Struct):
    """A row of ragdb.begin_sync()."""

    run_id: UUID
    is_full: bool
    is_resumed: bool
    cursor: dict[str, Any] | None
    labels: list[str]
    known: int


async def sync_source(job: Job) -> object:
    """Read a source once; killed on the way, the next attempt goes on where this one was."""
    try:
        payload = msgspec.convert(job.payload, Payload, strict=False)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    source = await open_source(job, payload.source_id)
    begun = await job.call(
        "begin_sync", returning=Begun, p_source_id=payload.source_id,
        p_job_id=job.claimed.job_id, p_full=payload.full, p_sweep_limit=payload.sweep_limit,
    )  # fmt: skip
    if not begun:
        raise TryLater(_SECONDS_BETWEEN_LOOKS)
    run = Run(job, payload.source_id, source, begun[0])
    try:
        return await run.go()
    except SourceError as error:
        is_last = job.claimed.attempt >= job.claimed.max_attempts
        if error.after > 0:
            raise TryLater(min(error.after, _LONGEST_PAUSE)) from error
        if not error.may_retry or is_last:
            await run.end(error.code, error.message)
        raise JobFailed(error.code, error.message, may_retry=error.may_retry) from error
    except RagdbError as error:
        if error.problem.code == "run_lost":  # the source was changed meanwhile: begin anew
            raise JobFailed("run_lost", error.problem.message, may_retry=True) from error
        if error.problem.status < 500 and error.problem.code != "lease_lost":
            with suppress(RagdbError):
                await run.end(error.problem.code, error.problem.message)
        raise


@dataclass
class Run:
    """One reading of a source, by this worker."""

    job: Job
    source_id: UUID
    source: Opened
    begun: Begun

    async def go(self) -> object:
        """Read all there is to read, sweep, and say what became of it; raises SourceError."""
        settings = self.job.settings
        tools = Tools(Guard(settings.allow_hosts), settings.source_folders)
        reader = driver(self.source.type, await self._setup(tools))
        await self._read(reader, tools)
        remaining = 1
        while remaining:
            [swept] = await self._call("sweep_sync")
            remaining = 0 if swept["is_refused"] else swept["remaining"]
        return await self.end()

    async def end(self, code: str | None = None, message: str | None = None) -> object:
        """End the run; what is kept of it."""
        [ended] = await self._call("end_sync", p_error=code, p_message=message)
        return ended

    async def _setup(self, tools: Tools) -> Setup:
        source = self.source
        try:
            secrets, _ = await secrets_of(self.job, self.source_id, source)
        except SealError as error:
            raise SourceError("secrets_unreadable", str(error)) from error
        return Setup(source.organization, source.name, source.config, secrets, tools)

    async def _read(self, reader: Driver, tools: Tools) -> None:
        """Page after page in a thread of its own, and what is stored of them from here."""
        begun = self.begun
        thread = ThreadPoolExecutor(1, "ragdb-source")
        told: Iterator[Told] = iter(())

        def begin() -> Iterator[Told]:
            return iter(reader.read(Start(begun.is_full, begun.cursor, begun.is_resumed)))

        try:
            told = await _in(thread, begin)
            while page := await _in(thread, partial(next_page, told)):
                wanted = await self._wanted(page)
                steps = iter(Steps(page, wanted, begun.labels))
                while step := await _in(thread, partial(next, steps, None)):
                    stored = await self._store(step)
                    await self._progress(stored)
        finally:
            tools.stop.set()
            thread.submit(_close, told, reader)
            thread.shutdown(wait=False)

    async def _wanted(self, page: Page) -> dict[str, bool]:
        items = [
            {"external_id": one.external_id, "fingerprint": one.fingerprint} for one in page.upserts
        ]
        if not items:
            return {}
        rows = await self._call("changed_items", p_items=Jsonb(items))
        return {row["external_id"]: row["is_known"] for row in rows}

    async def _store(self, step: Step) -> dict[str, Any]:
        """Store a step; what is refused of it becomes an error of the one item it is about."""
        arguments = step.arguments()
        for attempt in range(_RETRIES):
            try:
                [stored] = await self._call("store_sync", **arguments)
                return stored
            except RagdbError as error:
                problem = error.problem
                if problem.code == "busy" and attempt + 1 < _RETRIES:
                    continue
                if problem.status in _NOT_ITS_OWN or problem.status >= 500 or not step.items:
                    raise
                if len(step.items) == 1 and not step.is_more:
                    return await self._store(step.broken(problem.code, problem.message))
                break
        stored: dict[str, Any] = {}
        for part in step.divided():
            stored = await self._store(part)
        return stored

    async def _progress(self, stored: dict[str, Any]) -> None:
        seen, known = stored["seen"], max(self.begun.known, 1)
        await self.job.progress(
            0.95 * (seen / known if seen < known else 1.0),
            f"{seen} seen, {stored['added']} new, {stored['changed']} changed,"
            f" {stored['failed']} failed",
        )

    async def _call(self, function: str, **arguments: Any) -> list[dict[str, Any]]:
        return await self.job.call(
            function, returning=dict[str, Any], p_run_id=self.begun.run_id,
            p_job_id=self.job.claimed.job_id, **arguments,
        )  # fmt: skip


async def _in(thread: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, function)


def _close(told: Iterator[Told], reader: Driver) -> None:
    if isinstance(told, Generator):
        told.close()
    reader.close()
