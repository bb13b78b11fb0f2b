"""Documents by way of xberg; imported by the worker process alone.

Its cache stays off: it would keep the text of every tenant in the home directory.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePath

import msgspec
import xberg

from ragdb.extraction import containers, kinds
from ragdb.extraction.result import Extracted, ExtractError
from ragdb.extraction.titles import first_heading

MAX_CHARACTERS = 100_000_000

_NUMBERED = frozenset({kinds.PDF, kinds.PPTX, kinds.XLSX})
_PAGED = _NUMBERED | {kinds.DOCX}
_LIMITS = xberg.SecurityLimits(
    max_archive_size=containers.MAX_UNPACKED,
    max_compression_ratio=1000,
    max_files_in_archive=containers.MAX_ENTRIES,
    max_content_size=MAX_CHARACTERS,
    max_table_cells=10_000_000,
)

# A mark of Markdown that xberg escaped; a heading or a cell must not begin by it.
_ESCAPED = re.compile(r"\\([!\"$-/:-@\[\]^_{}~])")
_LINK = re.compile(r"!?\[([^\[\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?: +\"[^\"\n]*\")?\)")
_LOST_BULLET = re.compile(r"^([ \t]*(?:[-*+]|\d{1,3}\.))[ \t]*\n[ \t]*\n(?=[^\s*+-])", re.MULTILINE)
_NO_TITLE = re.compile(
    r"^(?:microsoft \w+ - .*|untitled.*|powerpoint presentation|.*\.\w{2,4}|\W*)$", re.IGNORECASE
)
_ANY_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Ocr:
    """Reading pictures of text: the languages to try, and what to do before it begins."""

    languages: list[str]
    begin: Callable[[], None]


def parse(data: bytes, kind: str, name: str, ocr: Ocr | None = None) -> Extracted:
    """The text of a document; raises ExtractError."""
    if kind == kinds.ZIP:
        kind = containers.office_kind(data, name)
    elif kind == kinds.OLE:
        raise containers.refuse_ole(data, name)
    elif kind == kinds.JSON:
        _check_json(data, name)
    found = _run(data, kind, name)
    pages = _pages(found, kind)
    blank = [number for number, page in enumerate(pages, 1) if not page.strip()]
    if kind == kinds.PDF and blank and ocr:
        ocr.begin()
        found = _run(data, kind, name, ocr.languages, blank)
        pages = _pages(found, kind)
    # A form feed after the last page too, where there is but one: so it is known to be a page.
    is_paged = len(pages) > 1 or kind in _NUMBERED
    text = "\f".join([*pages, ""] if is_paged and len(pages) == 1 else pages).replace("\0", "")
    if not text.strip():
        raise _no_text(name, kind, ocr is not None)
    if len(text) > MAX_CHARACTERS:
        raise containers.bomb(name)
    said = found.metadata
    metadata: dict[str, object] = {"pages": len(pages)} if is_paged else {}
    if said.authors:
        metadata["authors"] = [author for author in said.authors if author.strip()]
    return Extracted(
        text, _title(said.title or said.subject, text, kind, name), kind, metadata,
        _date(said.modified_at or said.created_at),
    )  # fmt: skip


def languages(texts: list[str]) -> list[str | None]:
    """The language of each text (ISO 639-3), null where it cannot be told for sure."""
    config = xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        language_detection=xberg.LanguageDetectionConfig(
            enabled=True, min_confidence=0.9, detect_multiple=False
        ),
    )
    found = [asyncio.run(_extract(text.encode(), kinds.PLAIN, config)) for text in texts]
    return [(document.detected_languages or [None])[0] for document in found]


def plain(data: bytes) -> str:
    """A text in whatever character set; spaces are not kept."""
    config = xberg.ExtractionConfig(
        use_cache=False, disable_ocr=True, enable_quality_processing=False
    )
    return asyncio.run(_extract(data, kinds.PLAIN, config)).content


def _run(
    data: bytes, kind: str, name: str, ocr_languages: list[str] | None = None,
    ocr_pages: list[int] | None = None,
) -> xberg.ExtractedDocument:  # fmt: skip
    config = xberg.ExtractionConfig(
        use_cache=False,
        output_format="markdown",
        disable_ocr=not ocr_languages,
        ocr=_ocr(ocr_languages) if ocr_languages else None,
        force_ocr_pages=ocr_pages,
        ocr_embedded_images=False,
        pages=xberg.PageConfig(extract_pages=True),
        concurrency=xberg.ConcurrencyConfig(max_threads=1),
        security_limits=_LIMITS,
        extraction_timeout_secs=None,
    )
    try:
        return asyncio.run(_extract(data, kind, config))
    except RuntimeError as error:
        raise _refusal(str(error), name) from error


def _ocr(ocr_languages: list[str]) -> xberg.OcrConfig:
    # It has a cache of its own.
    return xberg.OcrConfig(
        language=ocr_languages, tesseract_config=xberg.TesseractConfig(use_cache=False)
    )


async def _extract(
    data: bytes, kind: str, config: xberg.ExtractionConfig
) -> xberg.ExtractedDocument:
    given = xberg.ExtractInput(kind=xberg.ExtractInputKind.BYTES, bytes=data, mime_type=kind)
    result = await xberg.extract(given, config)
    if not result.results:
        raise RuntimeError(result.errors[0].message if result.errors else "nothing came out")
    return result.results[0]


def _pages(found: xberg.ExtractedDocument, kind: str) -> list[str]:
    pages = found.pages if kind in _PAGED and found.pages else None
    if pages is None:
        return [_tidy(found.content)]
    texts: dict[int, str] = {}
    for page in pages:
        text = _tidy(page.content).strip()
        if kind == kinds.XLSX and text:
            text = f"## {page.sheet_name}\n\n{text}"
        elif kind == kinds.PPTX and text and not text.startswith("#"):
            text = f"## Slide {page.page_number}\n\n{text}"
        if kind == kinds.PPTX and page.speaker_notes and page.speaker_notes not in text:
            text = f"{text}\n\n{page.speaker_notes.strip()}"
        texts[page.page_number] = text
    # What is on no page, such as notes at the end, must not be lost.
    whole = _tidy(found.content)
    if kind == kinds.DOCX and 1.02 * sum(map(len, texts.values())) < len(whole.strip()) - 50:
        return [whole]
    return [f"{texts.get(number, '')}\n" for number in range(1, max(texts) + 1)]


def _tidy(markdown: str) -> str:
    """Without backslashes before what is no mark, addresses of links, and lonely bullets."""
    text = _LINK.sub(r"\1", _ESCAPED.sub(r"\1", markdown).replace("\f", "\n"))
    return _LOST_BULLET.sub(r"\1 ", text)


def _title(said: str | None, text: str, kind: str, name: str) -> str:
    title = " ".join((said or "").split())
    if title and (kind == kinds.EMAIL or not _NO_TITLE.match(title)):
        return title[:500]
    if kind == kinds.PPTX and (heading := _ANY_HEADING.search(text)):
        return heading[1][:500]
    return (first_heading(text) if kind != kinds.JSON else None) or PurePath(name).stem


def _check_json(data: bytes, name: str) -> None:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExtractError(
            "invalid_json", f"{name} is not JSON in UTF-8: {error}.",
            "JSON lines, one document each, go into a file called .jsonl.",
        ) from error  # fmt: skip


def _date(said: str | None) -> str | None:
    """A moment in ISO 8601, if it is one."""
    if not said:
        return None
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return read(said.strip()).isoformat()
        except (ValueError, TypeError, IndexError):
            continue
    return None


def _refusal(said: str, name: str) -> ExtractError:
    lowered = said.lower()
    if "password" in lowered or "encrypt" in lowered or "decrypt" in lowered:
        return containers.encrypted(name)
    if "limit" in lowered or "bomb" in lowered or "too large" in lowered:
        return containers.bomb(name)
    return ExtractError(
        "corrupt_file", f"{name} is damaged or incomplete: {said[:200]}",
        "Open it in the program that made it, and save it again.",
    )  # fmt: skip


def _no_text(name: str, kind: str, was_read: bool) -> ExtractError:
    if kind != kinds.PDF:
        return ExtractError("empty_file", f"{name} contains no text.")
    if was_read:
        return ExtractError("empty_file", f"No text was recognized in the pictures of {name}.")
    return ExtractError(
        "no_text_layer", f"{name} holds pictures of pages and no text.",
        "Install Tesseract's data (Debian and Ubuntu: apt-get install tesseract-ocr-eng), or set"
        " TESSDATA_PREFIX to where it is.",
    )  # fmt: skip
