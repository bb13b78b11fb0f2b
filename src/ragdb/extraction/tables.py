"""Tables too long to be parsed at once: as they are written, in parts that repeat the first row."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from ragdb.extraction import parts

# A quotation mark that is never closed would make one row of all that follows.
_LONGEST_ROW = 100_000


def split(pieces: Iterable[str], size: int = parts.SIZE) -> Generator[str]:
    """Divide comma- or tab-separated values that come in pieces, between rows only."""
    rows = _rows(_lines(pieces))
    header = next(rows, "")
    is_first = True
    for part in parts.split(rows, max(size - len(header), size // 2)):
        # Only the first part may hold nothing but the header.
        if is_first or part.strip():
            yield header + part
        is_first = False


def _rows(lines: Iterable[str]) -> Generator[str]:
    """Each row on a line of its own: line breaks within quotes become spaces."""
    held = ""
    for line in lines:
        held += line
        if held.count('"') % 2 == 0 or len(held) > _LONGEST_ROW:
            yield held.rstrip("\n").replace("\n", " ").replace("\f", " ") + "\n"
            held = ""
    if held:
        yield held


def _lines(pieces: Iterable[str]) -> Generator[str]:
    rest = ""
    for piece in pieces:
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            yield line + "\n"
    if rest:
        yield rest
