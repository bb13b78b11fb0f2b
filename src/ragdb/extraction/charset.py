"""From bytes to text, in whatever character set they are."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

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
    strange = len(_LONE.findall(whole))
    if not strange:
        return "utf-8", 0
    known = sum(character > "\x7f" for character in whole) - strange
    if known > strange or said == "utf-8":
        raise damaged(sample, "utf-8", name)
    encoding = said or guess(sample)
    if encoding is None:
        raise damaged(sample, "utf-8", name)
    return encoding, 0


def decode(data: bytes, name: str, guess: Guess, said: str | None = None) -> str:
    """A whole text, its line ends as newlines and without byte order marks."""
    encoding, skipped = charset_of(data[:SAMPLE], name, guess, said)
    try:
        text = data[skipped:].decode(encoding)
    except UnicodeDecodeError as error:
        raise damaged(data, encoding, name, skipped + error.start) from error
    return clean(text, name)


def clean(text: str, name: str) -> str:
    """Line ends as newlines, no marks; raises ExtractError for a NUL."""
    if "\0" in text:
        raise ExtractError(
            "binary_file", f"{name} is not text, whatever its name says.",
            "Give it the suffix of its format. UTF-16 needs a byte order mark.",
        )  # fmt: skip
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def damaged(data: bytes, encoding: str, name: str, offset: int | None = None) -> ExtractError:
    """What is said of a text with bytes that its character set does not have."""
    if offset is None:
        try:
            data.decode(encoding)
            offset = 0
        except UnicodeDecodeError as error:
            offset = error.start
    return ExtractError(
        "not_utf8",
        f"{name} is not {encoding.upper()}: byte 0x{data[offset]:02X} at offset {offset}.",
        "Save it as UTF-8.",
    )
