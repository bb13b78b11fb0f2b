"""Workers as processes of their own, and waiting for what they do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner import PROGRAM, Ragdb


@contextmanager
def working(ragdb: Ragdb, log: Path, *options: str) -> Generator[subprocess.Popen[bytes]]:
    """A worker for as long as the block runs, unless it is killed before."""
    with log.open("ab") as stderr:
        worker = subprocess.Popen([PROGRAM, "worker", *options], env=ragdb.variables, stderr=stderr)
    try:
        yield worker
    finally:
        if worker.poll() is None:
            worker.terminate()
        worker.wait(timeout=60)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what must come."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
