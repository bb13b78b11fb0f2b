"""Real text to measure with: documentation packages of the Debian archive.

Packages are downloaded by `apt-get download` and unpacked by `dpkg -x`, which needs no rights and
installs nothing. Their text stays in the cache directory; none of it is part of this project.
"""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable, Generator
from fnmatch import fnmatchcase
from pathlib import Path

from ragdb.extract import Extracted, ExtractError, extract

# Prose before reference pages. Taken from the top until there is enough text.
PACKAGES = (
    "python3.*-doc", "postgresql-doc-*", "git-doc", "python-django-doc", "apache2-doc",
    "debian-policy", "debian-reference-en", "developers-reference", "python-sqlalchemy-doc",
    "cmake-doc", "sqlite3-doc", "linux-doc-*", "octave-doc", "maxima-doc", "racket-doc",
    "python-sympy-doc", "python-pandas-doc", "python-sklearn-doc", "python-scipy-doc",
    "erlang-doc", "qtbase5-doc-html", "qtdeclarative5-doc-html", "libboost*-doc", "groovy-doc",
    "swi-prolog-doc", "postgis-doc", "fp-docs-*", "llvm-*-doc", "gmsh-doc", "lilypond-doc-html",
    "ghc-doc", "libgtk-3-doc", "nodejs-doc", "ruby3.*-doc", "openjdk-*-doc", "rust-doc",
)  # fmt: skip
SUFFIXES = frozenset({".html", ".htm", ".md", ".rst", ".txt"})
_INDEXES = re.compile(
    r"genindex|modindex|search|allclasses|index-|overview-tree|package-tree|copyright|changelog"
    r"|news|license|-members|/translations/",
    re.IGNORECASE,
)


class NoArchive(Exception):
    """The Debian archive cannot be used from here; the message says what to do instead."""


def pages(cache: Path, say: Callable[[str], None]) -> Generator[tuple[str, Extracted]]:
    """The readable pages of every package, by package and path; downloads what is not there."""
    for pattern in PACKAGES:
        for package in _names(pattern):
            folder = _unpacked(package, cache, say)
            if folder is None:
                continue
            for path in sorted(folder.rglob("*")):
                name = str(path.relative_to(folder))
                page = _page(path, name) if not _INDEXES.search(name) else None
                if page is not None:
                    yield f"{package}/{name}", page


def _names(pattern: str) -> list[str]:
    """The packages meant; of several versions of the same thing the newest."""
    if "*" not in pattern:
        return [pattern]
    found = [name for name in _apt("apt-cache", "pkgnames") if fnmatchcase(name, pattern)]
    versions = re.compile(re.escape(pattern).replace(r"\*", r"[\d.]+") + r"\Z")
    return sorted((name for name in found if versions.match(name)), key=_version)[-1:]


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _unpacked(package: str, cache: Path, say: Callable[[str], None]) -> Path | None:
    """The folder of a package, which exists only whole; None when the archive has no such one."""
    folder = cache / package
    if folder.exists():
        return folder
    say(f"downloading {package}")
    staged = cache / f".{package}"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        _apt("apt-get", "-q", "download", package, cwd=staged)
    except subprocess.CalledProcessError:
        say(f"the archive has no {package}")
        shutil.rmtree(staged)
        return None
    for archive in staged.glob("*.deb"):
        _apt("dpkg", "-x", archive.name, "files", cwd=staged)
        archive.unlink()
    (staged / "files").rename(folder)
    shutil.rmtree(staged)
    return folder


def _apt(*command: str, cwd: Path | None = None) -> list[str]:
    try:
        found = subprocess.run(
            command, cwd=cwd, check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise NoArchive(
            f"{command[0]} is not here: give a folder of text with --corpus."
        ) from error
    return found.stdout.split()


def _page(path: Path, name: str) -> Extracted | None:
    packed = path.suffix == ".gz"
    if not path.is_file() or path.is_symlink():
        return None
    if (path.with_suffix("") if packed else path).suffix.lower() not in SUFFIXES:
        return None
    data = path.read_bytes()
    try:
        return extract(gzip.decompress(data) if packed else data, name.removesuffix(".gz"))
    except (ExtractError, gzip.BadGzipFile):
        return None
