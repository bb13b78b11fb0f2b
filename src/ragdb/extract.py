"""From a file to its text, as Markdown where the format has structure.

One adapter for all formats: `extract(file, name)` returns the text or raises an ExtractError with a
machine name. What a file is, its first bytes tell. Plain text and Markdown stay as they were
written, only line ends become newlines, and byte order marks go; the rest is read by a process that
may be lost (ragdb.extraction.pool).
"""

from __future__ import annotations

import tempfile
from pathlib import PurePath
from typing import BinaryIO

from ragdb.extraction.charset import decode
from ragdb.extraction.kinds import HEAD, PLAIN, SUFFIXES, TEXTS, kind_of
from ragdb.extraction.pool import Extractors, extractors
from ragdb.extraction.result import Extracted, ExtractError
from ragdb.extraction.titles import first_heading

__all__ = ["SUFFIXES", "ExtractError", "Extracted", "extract"]


def extract(file: BinaryIO | bytes, name: str, pool: Extractors | None = None) -> Extracted:
    """Extract the text of a file, whose name may tell the format and lend the title."""
    if isinstance(file, bytes):
        with tempfile.TemporaryFile() as held:
            held.write(file)
            held.flush()
            return extract(held, name, pool)
    shown = PurePath(name).name
    pool = pool or extractors()
    file.seek(0)
    kind = kind_of(file.read(HEAD), name)
    file.seek(0)
    if kind not in TEXTS:
        return pool.extract(file.fileno(), kind, shown)
    text = decode(file.read(), shown, pool.charset)
    if not text.strip():
        raise ExtractError("empty_file", f"{shown} contains no text.")
    title = first_heading(text) if kind != PLAIN else None
    return Extracted(text, title or PurePath(name).stem or shown, kind)
