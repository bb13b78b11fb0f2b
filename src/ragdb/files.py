"""Which files are meant by the paths that somebody names, and how each is known to the database.

A folder stands for the documents in it and below it. Left out are hidden files and folders,
folders of packages (node_modules, __pycache__, virtual environments) and what has no known suffix.
A link to a folder is followed, but no folder is entered twice.

A document's external id is the name of the folder that was given and the path from there, so it is
the same whatever the working directory: docs/guide/start.md for `docs` and for `../docs`. A file
that is named itself goes by its folder's name and its own. With a root, it is the path below that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

STDIN = "-"

_PACKAGES = frozenset({"node_modules", "__pycache__"})
_ENVIRONMENT = "pyvenv.cfg"


@dataclass(frozen=True)
class Found:
    """A file that is there."""

    path: str
    """As reported: what was named, and the way from there."""
    file: Path
    external_id: str
    size: int


@dataclass(frozen=True)
class Missed:
    """A file or folder that cannot be read: machine name and sentence."""

    path: str
    code: str
    message: str


@dataclass(frozen=True)
class Skipped:
    """A file whose format is not known, in a folder."""

    path: str


Entry = Found | Missed | Skipped


def find(
    paths: Iterable[str], suffixes: frozenset[str], root: Path | None = None
) -> Generator[Entry]:
    """All files behind the paths, in the order of their names; never raises OSError."""
    for path in paths:
        if not path:  # a variable that is not set, and not the current folder
            yield Missed(path, "file_not_found", "An empty path names no file.")
            continue
        named = Path(path)
        try:
            found = named.stat()
        except (OSError, ValueError) as error:
            matching = _matching(path) if isinstance(error, FileNotFoundError) else []
            if matching:
                yield from find(matching, suffixes, root)
            else:
                yield _missed(path, error)
            continue
        is_folder = stat.S_ISDIR(found.st_mode)
        place = named.resolve() if is_folder else named.parent.resolve() / named.name
        base = root.resolve() if root else (place if is_folder else place.parent).parent
        if not place.is_relative_to(base):
            yield Missed(readable(path), "outside_root", f"It is not in {base}.")
        elif is_folder:
            yield from _walk(path, place, base, suffixes)
        else:
            yield _file(path, place, base)


def is_url(path: str) -> bool:
    """Whether a path is the address of a web page."""
    return path.lower().startswith(("http://", "https://"))


def _matching(pattern: str) -> list[str]:
    """What a pattern like docs/**/*.pdf stands for, which the shell has left as it is."""
    return sorted(glob(pattern, recursive=True)) if has_magic(pattern) else []


def readable(path: str) -> str:
    """A path as text, for names need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _walk(shown: str, folder: Path, base: Path, suffixes: frozenset[str]) -> Generator[Entry]:
    top = folder
    entered: set[tuple[int, int]] = set()
    waiting = [(shown, folder)]
    while waiting:
        shown, folder = waiting.pop()
        try:
            identity = folder.stat()
            if (identity.st_dev, identity.st_ino) in entered:
                continue
            entered.add((identity.st_dev, identity.st_ino))
            with os.scandir(folder) as entries:
                held = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield _missed(shown, error)
            continue
        if any(entry.name == _ENVIRONMENT for entry in held) and folder != top:
            continue
        folders: list[tuple[str, Path]] = []
        for entry in held:
            if entry.name.startswith("."):
                continue
            path = os.path.join(shown, entry.name)
            if _is_folder(entry):
                if entry.name not in _PACKAGES:
                    folders.append((path, folder / entry.name))
            elif os.path.splitext(entry.name)[1].lower() in suffixes:
                yield _file(path, folder / entry.name, base)
            else:
                yield Skipped(readable(path))
        waiting += reversed(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _file(shown: str, place: Path, base: Path) -> Entry:
    try:
        found = place.stat()
    except OSError as error:
        return _missed(shown, error)
    if not stat.S_ISREG(found.st_mode):
        return Missed(readable(shown), "not_a_file", "It is no regular file.")
    external_id = readable(place.relative_to(base).as_posix())
    return Found(readable(shown), place, external_id, found.st_size)


def _missed(shown: str, error: OSError | ValueError) -> Missed:
    if isinstance(error, FileNotFoundError):
        return Missed(readable(shown), "file_not_found", "It does not exist.")
    reason = error.strerror if isinstance(error, OSError) else "a path without NUL is needed"
    return Missed(readable(shown), "unreadable_file", f"It cannot be read: {reason}.")
