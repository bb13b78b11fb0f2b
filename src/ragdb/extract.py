"""From a file to its text, as Markdown where the format has structure.

One adapter for all formats: `extract(file, name)` returns the text or raises an ExtractError with a
machine name. What a file is, its first bytes tell. Plain text and Markdown stay as they were
written, only line ends become newlines, and byte order marks go; the rest is read by a process that
may be lost (ragdb.extraction.pool).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO

from ragdb.extraction import parts, tables
from ragdb.extraction.charset import decoded
from ragdb.extraction.kinds import HEAD, PLAIN, SUFFIXES, TABLES, TEXTS, kind_of
from ragdb.extraction.pool import Extractors, extractors
from ragdb.extraction.result import Extracted, ExtractError
from ragdb.extraction.titles import first_heading

__all__ = ["SUFFIXES", "ExtractError", "Extracted", "extract", "extract_parts"]

MAX_BYTES = 64_000_000
"""The largest file that is parsed."""

MAX_TEXT_BYTES = 4_000_000_000
"""The largest text or table of values, which is read bit by bit where it is larger than that."""


def extract(file: IO[bytes] | bytes, name: str, pool: Extractors | None = None) -> Extracted:
    """Extract the text of a file, whose name may tell the format and lend the title."""
    if not isinstance(file, bytes):
        return extract_parts(file, name, sys.maxsize, pool)[0]
    with tempfile.TemporaryFile() as held:
        held.write(file)
        held.flush()
        return extract(held, name, pool)


def extract_parts(
    file: IO[bytes], name: str, size: int = parts.SIZE, pool: Extractors | None = None
) -> tuple[Extracted, Iterator[str]]:
    """The same with at most `size` characters of text, and what follows of it in such parts."""
    shown = PurePath(name).name
    pool = pool or extractors()
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    kind = kind_of(file.read(HEAD), name)
    is_long_table = kind in TABLES and length > MAX_BYTES
    limit = MAX_TEXT_BYTES if kind in TEXTS | TABLES else MAX_BYTES
    if length > limit:
        raise ExtractError(
            "file_too_large", f"{shown} has {length} bytes; at most {limit} are read.",
            "Divide it into several files.",
        )  # fmt: skip
    if kind not in TEXTS and not is_long_table:
        found = pool.extract(file.fileno(), kind, shown)
        texts = parts.split([found.text], size)
        first = next(texts)
        return Extracted(first, found.title, found.mime, found.metadata, found.date), texts
    pieces = decoded(file, shown, pool.charset)
    texts = tables.split(pieces, size) if is_long_table else parts.split(pieces, size)
    first = next(texts)
    if not first.strip():
        raise ExtractError("empty_file", f"{shown} contains no text.")
    title = first_heading(first) if kind in TEXTS - {PLAIN} else None
    return Extracted(first, title or PurePath(name).stem or shown, kind), texts
