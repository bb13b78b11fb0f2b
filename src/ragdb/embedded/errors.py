"""The one error of the embedded server, and what to do about the usual causes."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_ADVICE = {
    "No space left on device": "Free some disk space, then start again.",
    "Disk quota exceeded": "Free some disk space, then start again.",
    "Address already in use": "Set RAGDB_PORT to a free port, then start again.",
    "Cannot allocate memory": "Lower shared_buffers in custom.conf, then start again.",
    "custom.conf": "Correct that line of custom.conf, then start again.",
    "error while loading shared libraries": "Install that library, then start again.",
    "Permission denied": "Give RAGDB_HOME and its files back to their owner, or choose another "
    "RAGDB_HOME on a file system that allows programs to run.",
    "user does not exist": "Give that user id a name in /etc/passwd, then start again.",
    "Read-only file system": "Choose another RAGDB_HOME.",
}


class EmbeddedError(Exception):
    """The embedded server cannot do what was asked; the message says how to mend it."""


def advice(text: str) -> str:
    """What to do about a failure that left this text behind."""
    known = (mend for sign, mend in _ADVICE.items() if sign in text)
    return next(known, "Mend the cause, then start again.")


@contextmanager
def explained(home: Path) -> Generator[None]:
    """Turn what the operating system refuses into an EmbeddedError."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise EmbeddedError(f"{error.filename or home}: {reason}. {advice(reason)}") from error
