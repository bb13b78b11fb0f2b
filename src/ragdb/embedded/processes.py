"""Which processes serve a cluster, asked of the kernel and not of lock files.

A lock file that a crash left behind may name a process id in use again. Command lines tell more,
and any user may read them: the postmaster's names the data directory, its children show the
cluster's name, which is unique to the home, and every program of ours runs from a copy in it.
Without /proc only the lock file and the socket speak, and what a crash left running must be ended
by hand.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ragdb.embedded.errors import EmbeddedError

_PROC = Path("/proc")
_LOCK_SECONDS = 900.0


def cluster_name(home: Path) -> str:
    """The name that the server's processes show in the process list."""
    return f"ragdb-{sha256(os.fsencode(home)).hexdigest()[:12]}"


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    if _PROC.is_dir():
        return bool(_command_line(pid))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_postmaster(pid: int, data: Path) -> bool:
    """Whether the process is the postmaster of `data`."""
    line = _command_line(pid)
    return line[1:3] == ["-D", str(data)] and Path(line[0]).name == "postgres"


def server_processes(home: Path) -> list[int]:
    """Every process that works on the cluster of `home`, with or without a postmaster."""
    if not _PROC.is_dir():
        return []
    owner = home.stat().st_uid
    signs = (f"postgres: {cluster_name(home)}: ", f"{home}/pgsql-")
    found: list[int] = []
    for process in _PROC.iterdir():
        if not process.name.isdecimal():
            continue
        pid = int(process.name)
        if "".join(_command_line(pid)[:1]).startswith(signs):
            with suppress(FileNotFoundError):
                if process.stat().st_uid == owner:
                    found.append(pid)
    return found


@contextmanager
def exclusively(home: Path) -> Generator[None]:
    """Let one process at a time start or stop the server of `home`."""
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        if os.geteuid() == 0:
            owner = home.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        if not within(_LOCK_SECONDS, lambda: _try_lock(handle)):
            raise EmbeddedError(
                f"Another process has been starting or stopping the server of {home} for "
                f"{_LOCK_SECONDS:.0f} s. End it, then try again."
            )
        yield
    finally:
        os.close(handle)


def within(seconds: float, reached: Callable[[], bool]) -> bool:
    """Poll until `reached` holds; False when it does not in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _command_line(pid: int) -> list[str]:
    try:
        line = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(line).rstrip("\0").split("\0") if line else []
