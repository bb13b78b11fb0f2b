"""Type `file`: a folder of the server, looked through at each refresh.

Paths are the server's, so that only folders are read which its operator has listed in
RAGDB_SOURCE_FOLDERS, and from those nothing that a link leads out to. Size and time of change tell
which files to read; what is stored anew, their content decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec

from ragdb.files import Found, Missed, find
from ragdb.reading import SUFFIXES
from ragdb.sources.driver import (
    Broken,
    File,
    Gap,
    ItemError,
    Setup,
    SourceError,
    Start,
    Told,
    Tools,
    Upsert,
)
from ragdb.sources.globs import Globs

_OUTSIDE = "A link leads out of the folder of the source."


class Config(msgspec.Struct):
    """As ragdb.source_types has it."""

    path: str
    include: list[str] | None = None
    exclude: list[str] | None = None


def make(setup: Setup) -> Folder:
    """The driver of a folder; raises SourceError for one that may not be read."""
    config = msgspec.convert(setup.config, Config)
    folder = Path(config.path).resolve()
    allowed = _allowed(setup.tools.folders, setup.organization)
    if not any(folder.is_relative_to(one) for one in allowed):
        raise SourceError(
            "folder_not_allowed",
            f"The folder {config.path} is not among those that may be read by this organization:"
            " its operator can list it in RAGDB_SOURCE_FOLDERS.",
        )
    return Folder(folder, Globs(config.include, config.exclude), setup.tools)


class Folder:
    """Reads the documents in a folder and below it."""

    def __init__(self, folder: Path, globs: Globs, tools: Tools) -> None:
        self._folder, self._globs, self._tools = folder, globs, tools

    def read(self, start: Start) -> Iterator[Told]:
        """Tell every file; each refresh begins at the first."""
        if not self._folder.is_dir():
            raise SourceError("folder_not_found", f"There is no folder {self._folder}.")
        left: set[str] = set()
        for entry in find([str(self._folder)], SUFFIXES, self._folder):
            self._tools.check()
            if isinstance(entry, Found) and self._globs.fits(entry.external_id):
                way_out = self._way_out(entry.file)
                if way_out is None:
                    yield self._file(entry)
                elif way_out not in left:
                    left.add(way_out)
                    yield Broken(way_out, "outside_folder", _OUTSIDE)
            elif isinstance(entry, Missed) and (told := self._missed(entry)):
                yield told

    def close(self) -> None:
        """Nothing is kept open."""

    def _way_out(self, file: Path) -> str | None:
        """The link on the way to a file that leads out of the folder; what is behind it is not
        told."""
        if file.resolve().is_relative_to(self._folder):
            return None
        ways = [file, *file.parents]
        ways = ways[: ways.index(self._folder)]
        outside = [way for way in ways if not way.resolve().is_relative_to(self._folder)]
        return outside[-1].relative_to(self._folder).as_posix()

    def _file(self, entry: Found) -> Told:
        try:
            found = entry.file.stat()
        except OSError as error:
            return Broken(entry.external_id, "unreadable_file", _reason(error), may_retry=True)
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        return Upsert(
            entry.external_id,
            partial(self._open, entry),
            fingerprint=f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}",
            modified=modified.isoformat(timespec="seconds"),
        )

    def _missed(self, missed: Missed) -> Told | None:
        path = os.path.relpath(missed.path, self._folder)
        if missed.code == "not_a_file" or Path(missed.path).is_symlink():
            return Broken(path, missed.code, missed.message)
        if missed.code == "file_not_found":  # it went meanwhile
            return None
        # It may be a folder, and nobody knows what is in it.
        return Gap(missed.code, f"{path}: {missed.message}")

    def _open(self, entry: Found) -> File:
        try:
            handle = os.open(entry.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ItemError("unreadable_file", _reason(error)) from error
        file = os.fdopen(handle, "rb")
        # What was opened, and not what the path leads to now.
        place = Path(f"/proc/self/fd/{handle}")
        opened = place.resolve() if place.exists() else entry.file.resolve()
        if not opened.is_relative_to(self._folder):
            file.close()
            raise ItemError("outside_folder", _OUTSIDE)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            file.close()
            raise ItemError("not_a_file", "It is no regular file.")
        return File(file, entry.file.name)


def _allowed(folders: tuple[str, ...], organization: str) -> list[Path]:
    paths: list[Path] = []
    for entry in folders:
        owner, slash, rest = entry.partition("/")
        if owner in ("", f"{organization}="):
            paths.append(Path(slash + rest).resolve())
    return paths


def _reason(error: OSError) -> str:
    return f"It cannot be read: {error.strerror}."
