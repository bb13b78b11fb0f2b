"""What a file is: by its first bytes, and by its name only where any text could be meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from ragdb.extraction.charset import MARKS, is_binary
from ragdb.extraction.result import ExtractError

HEAD = 8192
"""How many bytes of a file tell its kind."""

PLAIN, MARKDOWN, RST = "text/plain", "text/markdown", "text/x-rst"
HTML, XHTML = "text/html", "application/xhtml+xml"
CSV, TSV, JSON = "text/csv", "text/tab-separated-values", "application/json"
EMAIL, RTF, PDF = "message/rfc822", "application/rtf", "application/pdf"
ZIP, OLE = "application/zip", "application/x-ole-storage"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
EPUB = "application/epub+zip"

TEXTS = frozenset({PLAIN, MARKDOWN, RST})
TABLES = frozenset({CSV, TSV})
"""Read as they are, without a parser."""

MIMES: Mapping[str, str] = {
    ".txt": PLAIN, ".text": PLAIN, ".log": PLAIN, ".md": MARKDOWN, ".markdown": MARKDOWN,
    ".mdown": MARKDOWN, ".mkd": MARKDOWN, ".rst": RST, ".html": HTML, ".htm": HTML,
    ".xhtml": XHTML, ".csv": CSV, ".tsv": TSV, ".json": JSON, ".eml": EMAIL, ".rtf": RTF,
    ".pdf": PDF, ".docx": DOCX, ".pptx": PPTX, ".xlsx": XLSX, ".odt": ODT, ".epub": EPUB,
}  # fmt: skip

SUFFIXES = frozenset(MIMES)
"""The suffixes of what can be read; without one, a file is text or what its first bytes say."""

_WRITTEN = frozenset({PLAIN, MARKDOWN, RST, HTML, XHTML, CSV, TSV, JSON, EMAIL})

_SIGNATURES = (
    (b"%PDF-", PDF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (b"{\\rtf", RTF),
)
_OTHERS = (
    (b"\x89PNG\r\n", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"), (b"II*\0", "a TIFF picture"), (b"MM\0*", "a TIFF picture"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"), (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"), (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "an SQLite database"), (b"ID3", "a sound"), (b"OggS", "a sound"),
    (b"\0\0\0\x18ftyp", "a film"), (b"\0\0\0\x20ftyp", "a film"), (b"RIFF", "a sound or film"),
)  # fmt: skip

_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_EMAIL = re.compile(
    rb"^(?:from|to|subject|date|received|return-path|message-id|mime-version|delivered-to):[ \t]",
    re.I | re.M,
)


def kind_of(head: bytes, name: str) -> str:
    """The media type of a file that begins like this; raises ExtractError for what is not read.

    A ZIP or OLE file is only known to be one: what is in it is seen where it is taken apart.
    """
    suffix = PurePath(name).suffix.lower()
    start = head.lstrip(b"\xef\xbb\xbf\r\n\t ") if suffix == ".pdf" else head
    for signature, mime in _SIGNATURES:
        if start.startswith(signature):
            return mime
    marked = head.startswith(MARKS)
    if not marked and is_binary(head):
        raise _no_text(head, name, suffix)
    meant = MIMES.get(suffix, PLAIN)
    if meant in _WRITTEN and meant != PLAIN:
        return meant
    if _HTML.match(head):
        return HTML
    if meant != PLAIN or not suffix:
        return EMAIL if _looks_like_email(head) else PLAIN
    return PLAIN


def _looks_like_email(head: bytes) -> bool:
    """Whether it begins with header fields, three of the usual ones at least."""
    fields = head.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    lines = fields.split(b"\n")
    return (
        all(re.match(rb"[!-9;-~]+:|[ \t]", line) for line in lines)
        and len({found.lower() for found in _EMAIL.findall(fields)}) >= 3
    )


def _no_text(head: bytes, name: str, suffix: str) -> ExtractError:
    shown = PurePath(name).name
    what = next((what for signature, what in _OTHERS if head.startswith(signature)), None)
    known = f"These kinds can be read: {' '.join(sorted(SUFFIXES))}"
    if suffix not in SUFFIXES:
        about = f"{shown} is {what}" if what else f"{shown} is neither text nor a known format"
        return ExtractError("unsupported_format", f"{about}, which cannot be read.", known)
    if what:
        return ExtractError(
            "mislabelled_file", f"{shown} is {what}, whatever its name says.", known
        )
    if MIMES[suffix] in _WRITTEN:
        return ExtractError(
            "binary_file", f"{shown} is not text, whatever its name says.",
            "Give it the suffix of its format. UTF-16 needs a byte order mark.",
        )  # fmt: skip
    return ExtractError(
        "corrupt_file", f"{shown} does not begin like a {suffix} file.",
        "Open it in the program that made it, and save it again.",
    )  # fmt: skip
