"""Where tests keep a server."""

from __future__ import annotations

import os


def roomy_memory() -> str | None:
    """The shared memory file system, where it has room and lets programs run: it is faster."""
    try:
        found = os.statvfs("/dev/shm")
    except OSError:
        return None
    fits = found.f_bavail * found.f_frsize > 4 << 30 and not found.f_flag & os.ST_NOEXEC
    return "/dev/shm" if fits and os.access("/dev/shm", os.W_OK) else None
