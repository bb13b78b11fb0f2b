"""Which requests wait for news of which job.

One connection of the process listens, as long as somebody waits. What a notification says is only
that a job has changed: whoever waits reads the job anew, with their own rights.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any
from uuid import UUID

from ragdb.db import listen
from ragdb.errors import RagdbError

_SECONDS_TO_CONNECT = 2.0
_SECONDS_BEFORE_AGAIN = 1.0

_log = logging.getLogger(__name__)


class JobEvents:
    """The waiting requests of this process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self.is_closing = False

    def close_on_signals(self) -> None:
        """Let the waiting requests end when the process is told to: it waits for them.

        Whoever handled these signals before still does.
        """
        loop = asyncio.get_running_loop()

        def chained(before: Any) -> Callable[[int, FrameType | None], None]:
            def handle(number: int, frame: FrameType | None) -> None:
                loop.call_soon_threadsafe(self._close)
                if callable(before):
                    before(number, frame)

            return handle

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, chained(signal.getsignal(number)))

    def _close(self) -> None:
        self.is_closing = True
        for event in set[asyncio.Event]().union(*self._waiting.values()):
            event.set()

    @asynccontextmanager
    async def of(self, job_id: UUID) -> AsyncGenerator[asyncio.Event]:
        """An event that is set whenever the job may have changed, while the block runs."""
        event = asyncio.Event()
        self._waiting[job_id].add(event)
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        try:
            # Else what changes meanwhile is seen at the next look.
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_TO_CONNECT):
                    await self._listening.wait()
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
            if not self._waiting:
                self._listener.cancel()
                self._listener = None
                self._listening.clear()

    async def _listen(self) -> None:
        while True:
            try:
                async for notified in listen(self._url, "ragdb_job"):
                    self._listening.set()
                    jobs = list(self._waiting) if notified is None else [UUID(notified.payload)]
                    for event in [e for job in jobs for e in self._waiting.get(job, ())]:
                        event.set()
            except RagdbError as error:
                _log.warning(
                    "not listening for jobs", extra={"fields": {"code": error.problem.code}}
                )
            self._listening.clear()
            await asyncio.sleep(_SECONDS_BEFORE_AGAIN)
