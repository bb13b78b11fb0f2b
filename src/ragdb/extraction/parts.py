"""A long text in parts, each stored as a document of its own.

A cut goes before a heading where there is one, else between pages, paragraphs or lines. Which of
several is taken depends on the text around it alone, so that an edit moves no cut far away from it
and the other parts stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from zlib import crc32

SIZE = 1_000_000
"""Characters of a part, at most."""

_CUTS = tuple(
    re.compile(pattern) for pattern in (r"\n(?=#{1,6} )", r"(?=\f)", r"\n[ \t]*\n", r"\n", r"[ \t]")
)
_CONTEXT = 64
_MANY_PAGES = 10_000


def split(pieces: Iterable[str], size: int = SIZE) -> Generator[str]:
    """Divide a text that comes in pieces; a part has a form feed for each page before it."""
    held = ""
    pages = 0
    for piece in pieces:
        held += piece
        while len(held) > size:
            cut = _cut(held, size)
            yield _paged(held[:cut], pages)
            pages += held.count("\f", 0, cut)
            held = held[cut:]
    if held.strip() or not pages:
        yield _paged(held, pages)


def _cut(text: str, size: int) -> int:
    for pattern in _CUTS:
        places = [found.end() for found in pattern.finditer(text, size // 2, size)]
        if places:
            return min(places, key=lambda at: crc32(text[at : at + _CONTEXT].encode()))
    return size


def _paged(part: str, pages: int) -> str:
    return "\f" * pages + part if pages <= _MANY_PAGES else part
