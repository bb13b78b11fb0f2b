"""Files that come in as a job: read, and stored like those that `ragdb add` is given."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any
from uuid import UUID

import msgspec

from ragdb.ingest import Place, Result, batches, store, twice
from ragdb.job import Job, JobFailed
from ragdb.reading import Common, read_file

_TOLD = 1000
"""Failures that are named in a result."""


class UploadedFile(msgspec.Struct, forbid_unknown_fields=True):
    """A file whose pieces are in the database."""

    upload: UUID
    name: str
    size: int


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """Files, and what their documents are given."""

    files: list[UploadedFile]
    source: str = "default"
    workspace: str | None = None
    visibility: str = "workspace"
    language: str | None = None
    labels: list[str] = []
    metadata: dict[str, Any] = {}
    keep_original: bool = False

    def place(self) -> Place:
        """Where the documents go."""
        return Place(self.source, self.workspace, self.visibility)

    def common(self) -> Common:
        """What all documents are given."""
        return Common(None, self.language, tuple(self.labels), self.metadata)


async def ingest_files(job: Job) -> object:
    """Store the documents in files; those that were stored stay, whatever comes after them.

    The result counts them by what became of them, and names those that failed.
    """
    try:
        payload = msgspec.convert(job.payload, Payload)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    loop = asyncio.get_running_loop()
    reading = _Reading(payload, job, loop)
    thread = ThreadPoolExecutor(1, "ragdb-files")
    try:
        return await loop.run_in_executor(thread, reading.run)
    finally:
        # It owns the files it reads, and lets go of them at the next batch.
        reading.ended.set()
        thread.shutdown(wait=False)


@dataclass
class _Reading:
    """The work of the thread that reads and waits; the database is asked by the event loop."""

    payload: Payload
    job: Job
    loop: asyncio.AbstractEventLoop
    ended: threading.Event = field(default_factory=threading.Event)
    counted: Counter[str] = field(default_factory=Counter[str])
    failed: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    chunks: int = 0

    def run(self) -> object:
        files = self.payload.files
        total = sum(file.size for file in files) or 1
        done = 0
        seen: set[str] = set()
        for number, file in enumerate(files):
            if file.name in seen:
                self._take([twice(file.name)])
                continue
            seen.add(file.name)
            self._read(file, lambda part: self._tell((done + part) / total, number))  # noqa: B023
            done += file.size
            self._tell(done / total, number + 1)
        return {
            "documents": dict(self.counted), "chunks_added": self.chunks,
            "failed": self.failed[:_TOLD],
        }  # fmt: skip

    def _read(self, file: UploadedFile, tell: Callable[[int], None]) -> None:
        place, common = self.payload.place(), self.payload.common()
        with tempfile.TemporaryFile() as held:
            self._fetch(file, held)
            read = 0
            for batch in batches(read_file(held, file.name, file.name, file.name, common)):
                if self.ended.is_set():
                    return
                self._take(store(self._call, place, batch, self.payload.keep_original))
                read += sum(getattr(item, "size", 0) for item in batch)
                tell(min(read, file.size))

    def _fetch(self, file: UploadedFile, held: IO[bytes]) -> None:
        piece = got = 0
        while got < file.size:
            [row] = self._call("get_upload", p_upload_id=file.upload, p_piece=piece)
            content: bytes | None = row["get_upload"]
            if content is None:
                raise JobFailed("upload_not_found", f"{file.name} is not in the database any more.")
            held.write(content)
            piece, got = piece + 1, got + len(content)
        held.flush()

    def _take(self, results: list[Result]) -> None:
        for result in results:
            self.counted[result.status] += 1
            if result.status in ("ingested", "updated"):
                self.chunks += result.chunks
            if result.error:
                self.failed.append({"file": result.path, **result.error})

    def _call(self, function: str, **arguments: Any) -> list[dict[str, Any]]:
        asked = self.job.call(function, **arguments)
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result()

    def _tell(self, share: float, files: int) -> None:
        told = self.job.progress(share, f"{files} of {len(self.payload.files)} files")
        asyncio.run_coroutine_threadsafe(told, self.loop).result()
