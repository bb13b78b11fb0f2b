"""Ctrl-C while a batch is being stored: the batch is finished first, at a second one taken back."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from ragdb_cli.output import Output


class Interrupts:
    """Handles SIGINT for as long as it is entered."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._held = False
        self._pending = False
        self._interrupted = False

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        # What is left after an interrupt is the report, which another must not tear.
        signal.signal(signal.SIGINT, signal.SIG_IGN if self._interrupted else self._before)

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold an interrupt back until the block has ended; a second one is not held."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        if not self._held or self._pending:
            raise KeyboardInterrupt
        self._pending = True
        self._output.note("Finishing the batch under way; press Ctrl-C again to take it back.")
