"""One step ahead: what comes next is prepared in a thread while the last is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.1


def ahead(items: Iterator[T]) -> Generator[T]:
    """The same items; at most two are ready before they are asked for.

    What preparing them raises is raised here.
    """
    ready: Queue[T | BaseException | None] = Queue(1)
    stopped = Event()

    def put(item: T | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=_LOOK_SECONDS)
                return
            except Full:
                continue

    def prepare() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            put(error)
        else:
            put(None)

    # Not waited for: a file may take minutes to read, and an interrupt ends the run at once.
    Thread(target=prepare, name="ragdb-ahead", daemon=True).start()
    try:
        while True:
            try:
                item = ready.get(timeout=_LOOK_SECONDS)
            except Empty:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
