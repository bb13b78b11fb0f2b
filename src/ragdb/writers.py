"""Several writers at once, each over a connection of its own.

What is stored does not depend on their number: batches of one organization share no row that two
writers would wait for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Writers(Generic[T, R]):
    """Runs as many batches at a time as there are functions, no function twice at a time.

    Left, it waits for what is under way.
    """

    def __init__(self, functions: Sequence[Callable[[T], R]]) -> None:
        self._free: SimpleQueue[Callable[[T], R]] = SimpleQueue()
        for function in functions:
            self._free.put(function)
        self._size = len(functions)
        self._pool = ThreadPoolExecutor(self._size, "ragdb-writer")
        self._pending: deque[tuple[T, Future[R]]] = deque()

    def __enter__(self) -> Writers[T, R]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()

    def run(self, items: Iterable[T]) -> Generator[tuple[T, Future[R]]]:
        """Each item with its result to come, in order; one more is prepared than there are writers.

        Abandoned, it leaves the rest to under_way().
        """
        for item in items:
            self._pending.append((item, self._pool.submit(self._work, item)))
            if len(self._pending) > self._size:
                yield self._pending.popleft()
        yield from self.under_way()

    def under_way(self) -> Generator[tuple[T, Future[R]]]:
        """What has been given to writers and not been asked for yet."""
        while self._pending:
            yield self._pending.popleft()

    def _work(self, item: T) -> R:
        function = self._free.get()
        try:
            return function(item)
        finally:
            self._free.put(function)
