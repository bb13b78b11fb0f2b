"""From the bytes of a file to its text, as Markdown where the format has structure.

One adapter for all formats: `extract(data, name)` returns the text or raises an ExtractError with a
machine name. Text stays as it was written; only line ends become newlines, and byte order marks go.
"""

from __future__ import annotations

import codecs
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from html_to_markdown._html_to_markdown import HtmlVisitor

MIMES: Mapping[str, str] = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".mdown": "text/markdown",
    ".mkd": "text/markdown",
    ".rst": "text/x-rst",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
}

SUFFIXES = frozenset(MIMES)
"""The suffixes of the formats that extract() reads. It also takes a name without any for text."""

# UTF-32 first: its little endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Formats that may have no NUL in them: PDF, ZIP (Office too), gzip, PNG, GIF, JPEG, RTF.
_SIGNATURES = (
    b"%PDF-", b"PK\x03\x04", b"\x1f\x8b", b"\x89PNG", b"GIF8", b"\xff\xd8\xff", b"{\\rtf",
)  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SAMPLE = 8192
# A title stands near the top, and is no longer than that.
_TOP = 65_536
_LONGEST = 500

# What surrounds the content of a page, and what has no text of its own.
_BOILERPLATE = (
    "nav", "footer", "[role=navigation]", "[role=search]", "[role=banner]", "[role=contentinfo]",
    "button", "select", "textarea", "iframe", "svg",
)  # fmt: skip

_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta\b[^>]*?charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(\w[^\n]*:.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*([\"']?)(.+?)\1[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|\*|~~|`+)(?! )([^*~`]+)(?<! )\1")


class ExtractError(Exception):
    """A file that no text comes from: machine name, sentence, and how to mend it."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Extracted:
    """The text of a file; a form feed in it separates pages."""

    text: str
    title: str
    mime: str
    metadata: dict[str, object] = field(default_factory=dict[str, object])


def supported(name: str) -> bool:
    """Whether extract() reads files of this name."""
    suffix = PurePath(name).suffix.lower()
    return not suffix or suffix in SUFFIXES


def extract(data: bytes, name: str) -> Extracted:
    """Extract the text of a file, whose name tells the format and may lend the title."""
    path = PurePath(name)
    if not supported(name):
        raise ExtractError(
            "unsupported_format",
            f"Files of the kind {path.suffix} cannot be read.",
            f"These can: {' '.join(sorted(SUFFIXES))}",
        )
    mime = MIMES.get(path.suffix.lower(), "text/plain")
    text = _decode(data, path)
    title = None
    if "html" in mime:
        title = _html_title(text)
        text = _from_html(text, path)
    if not text.strip():
        raise ExtractError("empty_file", f"{path.name} contains no text.")
    if title is None and mime != "text/plain":
        title = _first_heading(text)
    return Extracted(text, title or path.stem or path.name, mime)


def _decode(data: bytes, path: PurePath) -> str:
    mark, encoding = next(
        ((mark, encoding) for mark, encoding in _MARKS if data.startswith(mark)), (b"", "utf-8")
    )
    if encoding == "utf-8" and _is_binary(data):
        raise _binary(path)
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        offset = len(mark) + error.start
        raise ExtractError(
            "not_utf8",
            f"{path.name} is not {encoding.upper()}: byte 0x{data[offset]:02X} at offset {offset}.",
            "Save it as UTF-8." if mark else _iconv(data, path),
        ) from error
    if "\0" in text:
        raise _binary(path)
    return text.replace("\ufeff", "").replace("\r\n", "\n").replace("\r", "\n")


def _iconv(data: bytes, path: PurePath) -> str:
    """How to convert a file that is in the encoding it declares, or in the most common one."""
    declared = _CHARSET.search(data[:_SAMPLE])
    charset = declared[1].decode() if declared else "WINDOWS-1252"
    if charset.upper() in ("UTF-8", "UTF8"):
        charset = "WINDOWS-1252"
    source = shlex.quote(str(path))
    target = shlex.quote(str(path.parent / f"{path.stem}.utf8{path.suffix}"))
    return f"If it is {charset}: iconv -f {charset} -t UTF-8 {source} > {target}"


def _is_binary(data: bytes) -> bool:
    sample = data[:_SAMPLE]
    return (
        data.startswith(_SIGNATURES)
        or b"\0" in data
        or len(_CONTROL.findall(sample)) * 20 > len(sample)
    )


def _binary(path: PurePath) -> ExtractError:
    return ExtractError(
        "binary_file",
        f"{path.name} is not text, whatever its name says.",
        "Give it the suffix of its format. UTF-16 needs a byte order mark.",
    )


class _PlainLinks:
    """Keeps the text of links and images, not their addresses."""

    def visit_link(self, _ctx: object, href: str, text: str, _title: str) -> dict[str, str]:
        # An address stands for the text where a link has none.
        return {"type": "custom", "output": "" if text == href else text}

    def visit_image(self, _ctx: object, _src: str, alt: str, _title: str) -> dict[str, str]:
        return {"type": "custom", "output": alt}


def _from_html(html: str, path: PurePath) -> str:
    from html_to_markdown import ConversionOptions, PreprocessingOptions, WarningKind, convert

    result = convert(
        html,
        ConversionOptions(
            extract_metadata=False,
            compact_tables=True,
            exclude_selectors=list(_BOILERPLATE),
            # A form may hold the whole page, and a header its title.
            preprocessing=PreprocessingOptions(remove_navigation=False, remove_forms=False),
        ),
        cast("HtmlVisitor", _PlainLinks()),
    )
    if any(warning.kind == WarningKind.DEPTH_LIMIT_EXCEEDED for warning in result.warnings):
        raise ExtractError(
            "html_too_deep", f"{path.name} nests elements so deeply that its text is out of reach."
        )
    return result.content or ""


def _html_title(html: str) -> str | None:
    found = _TITLE.search(html[:_TOP])
    return " ".join(unescape(found[1]).split())[:_LONGEST] or None if found else None


def _first_heading(text: str) -> str | None:
    """The first heading of level 1, else the title of the front matter."""
    front = _FRONT_MATTER.match(text[:_SAMPLE])
    fence = above = ""
    for full_line in text[front.end() if front else 0 : _TOP].split("\n"):
        line = full_line[:_LONGEST]
        marker = _FENCE.match(line)
        if marker and not fence:
            fence = marker[1]
        elif fence:
            if marker and marker[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif heading := _ATX.match(line):
            return _plain(heading[1])
        elif above and _UNDERLINE.match(line):
            return _plain(above)
        above = "" if fence else line.strip()
    titled = _FRONT_TITLE.search(front[1]) if front else None
    return titled[2] if titled else None


def _plain(heading: str) -> str | None:
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading)).strip() or None
