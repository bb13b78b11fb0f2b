"""The processes that parse files: started when there is work, kept warm, replaced when lost.

A file gets its text, an error of its own, or the process it is in is killed and the file reported;
the one that asks never waits longer than the limit, and its own memory is not at stake.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec

from ragdb.extraction.result import Extracted, ExtractError

_LENGTH = struct.Struct("!Q")
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_TESSDATA = (
    "/usr/share/tesseract-ocr/5/tessdata", "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata", "/usr/local/share/tessdata",
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What one file may take."""

    memory: int = 1 << 30
    seconds: int = 120
    """Of processor time, and on the clock."""
    ocr_seconds: int = 900
    """The same where pictures of text are read."""
    uses: int = 200
    """After so many files a process is replaced."""


class _Reply(msgspec.Struct):
    extracted: Extracted | None = None
    error: tuple[str, str, str | None] | None = None
    charset: str | None = None
    languages: list[str | None] | None = None


@dataclass(eq=False)
class _Process:
    """One running worker."""

    process: subprocess.Popen[bytes]
    link: socket.socket
    said: int
    uses: int = field(default=0)


class Extractors:
    """A pool of workers, to be used by any thread."""

    def __init__(self, size: int | None = None, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.size = size or min(4, os.cpu_count() or 1)
        self._turns = threading.BoundedSemaphore(self.size)
        self._idle: list[_Process] = []
        self._running: set[_Process] = set()
        self._is_closed = False
        self._tessdata = _find_tessdata()

    @property
    def reads_pictures(self) -> bool:
        """Whether text is recognized in pictures of it."""
        return bool(self._tessdata)

    def extract(self, file: int, kind: str, name: str) -> Extracted:
        """The text of a file, by its handle; raises ExtractError."""
        reply = self._ask({"kind": kind, "name": name}, file, name)
        assert reply.extracted is not None  # noqa: S101
        return reply.extracted

    def charset(self, sample: bytes) -> str | None:
        """The character set of a text that is not UTF-8, as Python calls it."""
        with tempfile.TemporaryFile() as file:
            file.write(sample)
            file.seek(0)
            return self._ask({}, file.fileno(), "The text").charset

    def languages(self, texts: list[str]) -> list[str | None]:
        """The language of each text (ISO 639-3), None where it is not certain."""
        with open(os.devnull, "rb") as nothing:
            return self._ask({"texts": texts}, nothing.fileno(), "The text").languages or []

    def close(self) -> None:
        """End all workers, and with them what they are at."""
        self._is_closed = True
        for worker in list(self._running):
            worker.process.kill()
        while self._idle:
            self._end(self._idle.pop())

    def _ask(self, request: dict[str, object], file: int, name: str) -> _Reply:
        limits = self.limits
        request = request | {"seconds": limits.seconds, "ocr_seconds": limits.ocr_seconds}
        # The kernel keeps the time over there; this is for a process that it cannot end.
        patience = 2 * limits.seconds + (2 * limits.ocr_seconds if self._tessdata else 0) + 10
        with self._turns:
            worker = self._idle.pop() if self._idle else self._start()
            while True:
                try:
                    worker.uses += 1
                    os.lseek(file, 0, os.SEEK_SET)
                    reply = _exchange(worker.link, request, file, patience)
                    break
                except (OSError, EOFError) as error:
                    was_fresh = worker.uses == 1
                    loss = _loss(worker, self._end(worker, wait=True), name, limits)
                    if was_fresh or self._is_closed or loss.code == "extraction_timeout":
                        raise loss from error
                    worker = self._start()  # what came before may have been to blame
                except BaseException:
                    self._end(worker)
                    raise
            if worker.uses >= limits.uses or self._is_closed:
                self._end(worker)
            else:
                self._idle.append(worker)
        if reply.error:
            raise ExtractError(*reply.error)
        return reply

    def _end(self, worker: _Process, *, wait: bool = False) -> str:
        """End a worker; what it said last. wait: until it has ended of itself, for a moment."""
        if wait:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(timeout=_END_SECONDS)
        self._running.discard(worker)
        worker.link.close()
        worker.process.kill()
        worker.process.wait()
        with open(worker.said, "rb") as pipe:
            return (pipe.read(65_536) or b"").decode("utf-8", "replace")

    def _start(self) -> _Process:
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        os.set_blocking(writing, False)  # it may talk, and nobody listens
        os.set_blocking(reading, False)
        arguments = [str(theirs.fileno()), str(self.limits.memory), *self._tessdata]
        with theirs:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-m", "ragdb.extraction.worker", *arguments],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writing,
                pass_fds=[theirs.fileno()], cwd="/", start_new_session=True,
                env={
                    "LANG": "C.UTF-8", "HOME": "/nonexistent", "MALLOC_ARENA_MAX": "2",
                    "OMP_THREAD_LIMIT": "1", "TESSDATA_PREFIX": "".join(self._tessdata),
                },
            )  # fmt: skip
        os.close(writing)
        worker = _Process(process, ours, reading)
        self._running.add(worker)
        ours.settimeout(_START_SECONDS)
        try:
            is_ready = ours.recv(1)
        except OSError:
            is_ready = b""
        except BaseException:
            self._end(worker)
            raise
        if not is_ready:
            said = self._end(worker, wait=True).strip().rpartition("\n")[2]
            raise ExtractError(
                "extractor_failed", f"The process that reads files did not start: {said[:200]}",
                "Run ./install.sh again, and see that memory and processes are to be had.",
            )  # fmt: skip
        return worker


@cache
def extractors() -> Extractors:
    """The pool of this process."""
    pool = Extractors()
    atexit.register(pool.close)
    return pool


def _find_tessdata() -> list[str]:
    """The directory of Tesseract's data, if there is one."""
    places = (os.environ.get("TESSDATA_PREFIX"), *_TESSDATA)
    return [place for place in places if place and any(Path(place).glob("*.traineddata"))][:1]


def _exchange(link: socket.socket, request: dict[str, object], file: int, seconds: float) -> _Reply:
    until = time.monotonic() + seconds
    link.settimeout(seconds)
    body = msgspec.json.encode(request)
    socket.send_fds(link, [_LENGTH.pack(len(body))], [file])
    link.sendall(body)
    (size,) = _LENGTH.unpack(_receive(link, _LENGTH.size, until))
    return msgspec.json.decode(_receive(link, size, until), type=_Reply)


def _receive(link: socket.socket, size: int, until: float) -> bytearray:
    received = bytearray()
    while len(received) < size:
        link.settimeout(max(until - time.monotonic(), 0.001))
        part = link.recv(min(size - len(received), 1 << 20))
        if not part:
            raise EOFError
        received += part
    return received


def _loss(worker: _Process, said: str, name: str, limits: Limits) -> ExtractError:
    """What is said of a file that cost its process."""
    code = worker.process.returncode
    if code in (-signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL):
        return _too_slow(name)
    if "MemoryError" in said or "memory allocation" in said or "bad_alloc" in said:
        return ExtractError(
            "out_of_memory", f"{name} needs more than {limits.memory >> 20} MB to be read.",
            "If it is genuine, save it in another format or divide it.",
        )  # fmt: skip
    return ExtractError(
        "extractor_crashed", f"{name} made the process that reads files crash.",
        "It is damaged, or hostile. If it is genuine, save it in another format.",
    )  # fmt: skip


def _too_slow(name: str) -> ExtractError:
    return ExtractError(
        "extraction_timeout", f"Reading {name} took too long.",
        "If it is genuine, save it in another format or divide it.",
    )  # fmt: skip
