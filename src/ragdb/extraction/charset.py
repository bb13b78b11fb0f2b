"""From bytes to text, in whatever character set they are."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Generator, Iterable
from io import IncrementalNewlineDecoder
from typing import IO

from ragdb.extraction.result import ExtractError

# UTF-32 first: its little endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
MARKS = tuple(mark for mark, _ in _MARKS)
"""Byte order marks."""

SAMPLE = 65_536
"""How many bytes tell the character set."""

_PIECE = 1 << 20
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_DECLARED = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_LONE = re.compile("[\udc80-\udcff]")

Guess = Callable[[bytes], str | None]
"""Finds the character set of a text that is not UTF-8."""


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is no text; never true of UTF-8."""
    return b"\0" in head or len(_CONTROL.findall(head)) * 20 > len(head)


def declared(head: bytes) -> str | None:
    """The character set that a web page says it is in."""
    found = _DECLARED.search(head)
    name = found[1].decode() if found else None
    try:
        return codecs.lookup(name).name if name else None
    except LookupError:
        return None


def charset_of(sample: bytes, name: str, guess: Guess, said: str | None = None) -> tuple[str, int]:
    """The character set of a text that begins with this sample, and how long its mark is.

    Raises ExtractError where it cannot be told, and for UTF-8 with damage in it: that would be
    readable in any of the old character sets, and wrong.
    """
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding, len(mark)
    whole = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape").decode(sample)
    strange = _LONE.findall(whole)
    if not strange:
        return "utf-8", 0
    known = sum(character > "\x7f" for character in whole) - len(strange)
    is_damaged = known > len(strange) or said == "utf-8"
    encoding = None if is_damaged else said or guess(sample)
    if encoding is None:
        at = len(whole[: whole.index(strange[0])].encode())
        raise _damaged("utf-8", name, sample[at], at)
    return encoding, 0


def decode(data: bytes, name: str, guess: Guess, said: str | None = None) -> str:
    """A whole text, its line ends as newlines and without byte order marks."""
    encoding, skipped = charset_of(data[:SAMPLE], name, guess, said)
    return "".join(_decoded([data[skipped:]], encoding, name, skipped))


def decoded(file: IO[bytes], name: str, guess: Guess) -> Generator[str]:
    """The same bit by bit."""
    file.seek(0)
    sample = file.read(SAMPLE)
    # Its last character may be cut in two.
    end = sample.rfind(b"\n") + 1 if len(sample) == SAMPLE else 0
    encoding, skipped = charset_of(sample[: end or len(sample)], name, guess)
    file.seek(skipped)
    yield from _decoded(iter(lambda: file.read(_PIECE), b""), encoding, name, skipped)


def _decoded(pieces: Iterable[bytes], encoding: str, name: str, offset: int) -> Generator[str]:
    decoder = IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    for piece, is_last in _with_end(pieces):
        try:
            text = decoder.decode(piece, final=is_last)
        except UnicodeDecodeError as error:
            at = offset + error.start - (len(error.object) - len(piece))
            raise _damaged(encoding, name, error.object[error.start], at) from error
        if "\0" in text:
            raise ExtractError(
                "binary_file", f"{name} is not text, whatever its name says.",
                "Give it the suffix of its format. UTF-16 needs a byte order mark.",
            )  # fmt: skip
        offset += len(piece)
        yield text.replace("\ufeff", "")


def _with_end(pieces: Iterable[bytes]) -> Generator[tuple[bytes, bool]]:
    for piece in pieces:
        yield piece, False
    yield b"", True


def _damaged(encoding: str, name: str, byte: int, offset: int) -> ExtractError:
    return ExtractError(
        "not_utf8",
        f"{name} is not {encoding.upper()}: byte 0x{byte:02X} at offset {offset}.",
        "Save it as UTF-8.",
    )
