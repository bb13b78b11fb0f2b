"""`ragdb worker`: claim jobs, run their handlers, keep the leases, report.

A worker holds nothing that is not in the database. Killed, its leases run out and others go on;
cut off from the database, it waits and comes back; told to end, it finishes what it can within the
grace period and gives the rest back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from ragdb.db import Caller, Pool, listen
from ragdb.embeddings.local import SHARED
from ragdb.embeddings.minilm import table_model
from ragdb.errors import RagdbError
from ragdb.handlers import HANDLERS
from ragdb.job import Claimed, Job, JobFailed, TryLater
from ragdb.settings import Settings

QUEUES = ("ingestion", "embedding", "maintenance", "sync")

# Leases last three heartbeats, so that one may be late and one lost.
_LEASE = timedelta(seconds=30)
_HEARTBEAT = 10.0
# Notifications wake a worker at once; this is for those that were lost, and for what becomes due.
_POLL = 5.0
_LONGEST_PAUSE = 30.0

_UNREACHABLE = frozenset({"database_unavailable", "database_overloaded", "busy"})
_WORKER = Caller(role="ragdb_worker")

_log = logging.getLogger(__name__)

Reason = Literal["cancelled", "stopping", "lease_lost"]


@dataclass
class _Run:
    """A handler under way, and why it is being ended, if it is."""

    job: Job
    task: asyncio.Task[object]
    beat: asyncio.Event = field(default_factory=asyncio.Event)
    reason: Reason | None = None

    def end(self, reason: Reason) -> None:
        """Cancel the handler; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.task.cancel()


class Worker:
    """Runs jobs in so many slots until it is told to stop."""

    def __init__(
        self, url: str, settings: Settings, *, slots: int = 4, queues: Sequence[str] = QUEUES,
        grace: float = 30.0,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._url, self._slots, self._queues, self._grace = url, slots, list(queues), grace
        self._pool = Pool(url, max_size=slots + 4)
        self._runs: dict[UUID, _Run] = {}
        self._reports: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._release = asyncio.Event()

    def stop(self) -> None:
        """End gracefully; called a second time, give back what runs at once."""
        (self._release if self._stop.is_set() else self._stop).set()
        self._wake.set()

    async def run(self) -> None:
        """Work until stop() is called and everything has ended or been given back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        _say("worker started", slots=self._slots, queues=self._queues)
        async with self._pool.opened():
            background = [
                asyncio.create_task(self._forever(step))
                for step in (self._listen, self._tick, self._dispatch)
            ]
            background.append(asyncio.create_task(self._prepare()))
            await self._stop.wait()
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._wind_down()
        _say("worker stopped")

    async def _wind_down(self) -> None:
        """Let what runs end, but no longer than the grace period; then give it back."""
        _say("worker stopping", running=len(self._runs))
        release = asyncio.create_task(self._release.wait())
        deadline = time.monotonic() + self._grace
        while self._reports and not release.done() and time.monotonic() < deadline:
            await asyncio.wait(
                {release, *self._reports}, timeout=deadline - time.monotonic(),
                return_when=asyncio.FIRST_COMPLETED,
            )  # fmt: skip
        release.cancel()
        for run in self._runs.values():
            run.end("stopping")
        # Whatever cannot be reported now is found by its lease.
        if self._reports:
            await asyncio.wait(self._reports, timeout=_HEARTBEAT)

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step; while the database is away, with pauses that grow."""
        pause = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                await step()
                pause = 0.0
                continue
            except RagdbError as error:
                _say("database call failed", logging.WARNING, code=error.problem.code)
            except Exception as error:
                _say("worker fault", logging.ERROR, **_fault(error))
            pause = 0.5 if time.monotonic() - began > _LONGEST_PAUSE else 2 * pause + 0.5
            pause = min(pause, _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        async for notified in listen(self._url, "ragdb_queue", "ragdb_job"):
            if notified is None or notified.channel == "ragdb_queue":
                self._wake.set()
            elif run := self._runs.get(UUID(notified.payload)):
                run.beat.set()

    async def _tick(self) -> None:
        """Have due schedules fire, soon after each full minute."""
        await self._pool.call(_WORKER, "tick", returning=dict[str, Any])
        await asyncio.sleep(60.0 - time.time() % 60.0 + random.uniform(0, 1))  # noqa: S311

    async def _prepare(self) -> None:
        """Load the model of this machine, where one is registered, before a text waits for it."""
        if "embedding" not in self._queues:
            return
        try:
            [row] = await self._pool.call(
                _WORKER, "embedding_protocols", returning=dict[str, list[str]]
            )
            if "local" in row["embedding_protocols"]:
                began = time.monotonic()
                await SHARED.embed(["ready"], table_model())
                duration = round(1000 * (time.monotonic() - began), 1)
                _say("embedding model loaded", duration_ms=duration)
        except RagdbError as error:
            # The first text tries again, and its job tells what is missing.
            _say("embedding model not loaded", logging.WARNING, code=error.problem.code)

    async def _dispatch(self) -> None:
        """Fill the free slots, and sleep until there is news."""
        self._wake.clear()
        free = self._slots - len(self._runs)
        claimed: list[Claimed] = []
        if free > 0:
            claimed = await self._pool.call(
                _WORKER, "claim_jobs", returning=Claimed,
                p_queues=self._queues, p_limit=free, p_lease=_LEASE,
            )  # fmt: skip
        for one in claimed:
            self._start(Job(one, self._pool, self._settings))
        if len(claimed) < free or free <= 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL):
                    await self._wake.wait()

    def _start(self, job: Job) -> None:
        run = _Run(job, asyncio.create_task(_handle(job)))
        self._runs[job.claimed.job_id] = run
        report = asyncio.create_task(self._see_through(run))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _see_through(self, run: _Run) -> None:
        """Keep the lease while the handler runs, then say what came of it."""
        began = time.monotonic()
        heart = asyncio.create_task(self._keep(run))
        try:
            function, arguments = await _outcome(run)
            heart.cancel()
            outcome = "lease_lost"
            if run.reason != "lease_lost":
                outcome = await _report(run.job, function, arguments)
            _say(
                "job ended", job_id=run.job.claimed.job_id, kind=run.job.claimed.kind,
                attempt=run.job.claimed.attempt, status=outcome,
                error=arguments.get("p_error_code"),
                duration_ms=round(1000 * (time.monotonic() - began), 1),
            )  # fmt: skip
        finally:
            heart.cancel()
            del self._runs[run.job.claimed.job_id]
            self._wake.set()

    async def _keep(self, run: _Run) -> None:
        """Heartbeats, at once when the job has changed: somebody may have cancelled it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT):
                    await run.beat.wait()
            run.beat.clear()
            try:
                if await run.job.report("heartbeat", p_lease=_LEASE):
                    run.end("cancelled")
            except RagdbError as error:
                if error.problem.code == "lease_lost":
                    run.end("lease_lost")
                else:
                    await asyncio.sleep(1)
                    run.beat.set()


async def _handle(job: Job) -> object:
    handler = HANDLERS.get(job.claimed.kind)
    if handler is None:
        raise JobFailed("unknown_job_kind", "This worker does not know the kind.", may_retry=True)
    return await handler(job)


async def _outcome(run: _Run) -> tuple[str, dict[str, object]]:
    """Wait for the handler: the function that reports what it did, and its arguments."""
    try:
        result = msgspec.to_builtins(await run.task)
        return "finish_job", {"p_result": None if result is None else Jsonb(result)}
    except asyncio.CancelledError:
        return "release_job", {}
    except TryLater as later:
        return "release_job", {"p_after": timedelta(seconds=later.seconds)}
    except JobFailed as error:
        return _failure(error.code, str(error), error.may_retry)
    except RagdbError as error:
        problem = error.problem
        if problem.code == "lease_lost":
            run.reason = "lease_lost"
        if problem.code in _UNREACHABLE:
            return "release_job", {"p_after": timedelta(seconds=5)}
        return _failure(problem.code, problem.message, problem.status >= 500)
    except Exception as error:
        fields = {"job_id": run.job.claimed.job_id, "kind": run.job.claimed.kind}
        _say("handler fault", logging.ERROR, **fields, **_fault(error))
        return _failure("internal_error", f"{type(error).__name__}: {error}", True)


def _failure(code: str, message: str, may_retry: bool) -> tuple[str, dict[str, object]]:
    # A NUL character is the one thing PostgreSQL cannot store.
    text = message.replace("\0", "")
    return "fail_job", {"p_error_code": code, "p_error": text, "p_may_retry": may_retry}


async def _report(job: Job, function: str, arguments: dict[str, object]) -> str:
    """Report, however long the database is away: the lease decides whether it still counts."""
    pause = 0.5
    while True:
        try:
            return await job.report(function, **arguments)
        except RagdbError as error:
            problem = error.problem
            if problem.code == "lease_lost" or (function == "fail_job" and problem.status < 500):
                return problem.code
            if problem.code not in _UNREACHABLE:  # a result that the database does not take
                function, arguments = _failure(problem.code, problem.message, False)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _fault(error: Exception) -> dict[str, object]:
    """Where an exception came from; its text may quote what it was about, and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-4:]]
    return {"exception": type(error).__name__, "traceback": place}


def _say(event: str, level: int = logging.INFO, **fields: object) -> None:
    _log.log(level, event, extra={"fields": fields})
