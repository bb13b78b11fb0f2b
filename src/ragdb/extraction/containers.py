"""What is in a ZIP or OLE file, seen before a parser takes it apart."""

from __future__ import annotations

import io
import struct
import zipfile

from ragdb.extraction.kinds import DOCX, EPUB, ODT, PPTX, XLSX
from ragdb.extraction.result import ExtractError

MAX_ENTRIES = 20_000
MAX_UNPACKED = 1_000_000_000
MAX_RATIO = 200
"""How much larger than the file its content may be; up to 100 MB it may be anything."""

_UNSUSPICIOUS = 100_000_000
_BY_PART = (("word/document.xml", DOCX), ("ppt/presentation.xml", PPTX), ("xl/workbook.xml", XLSX))
_BY_MIMETYPE = {EPUB.encode(): EPUB, ODT.encode(): ODT}
_OPEN = "Remove the password in the program that made it, and save it again."
_SAVE = "Open it in the program that made it, and save it again."


def office_kind(data: bytes, name: str) -> str:
    """The media type of a ZIP file; raises ExtractError for a bomb and for any other archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _refuse_bomb(entries, len(data), name)
            if any(entry.flag_bits & 1 for entry in entries):
                raise encrypted(name)
            kind = _kind(archive, {entry.filename for entry in entries})
            if kind == ODT and b"encryption-data" in _beginning(archive, "META-INF/manifest.xml"):
                raise encrypted(name)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, ValueError, EOFError) as error:
        raise ExtractError(
            "corrupt_file", f"{name} is a damaged or incomplete ZIP or Office file.", _SAVE
        ) from error
    if kind is None:
        raise ExtractError(
            "unsupported_format", f"{name} is an archive, not a document.",
            "Unpack it, and add the folder.",
        )  # fmt: skip
    return kind


def refuse_ole(data: bytes, name: str) -> ExtractError:
    """Why no text comes from an OLE file: it is encrypted, or of an older format."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return encrypted(name)
    return ExtractError(
        "unsupported_format", f"{name} is in a format of Office before 2007, or an Outlook file.",
        "Save it as .docx, .xlsx, .pptx or .eml.",
    )  # fmt: skip


def encrypted(name: str) -> ExtractError:
    """A file that asks for a password."""
    return ExtractError("encrypted_file", f"{name} is encrypted with a password.", _OPEN)


def bomb(name: str) -> ExtractError:
    """A file that is far larger inside than outside."""
    return ExtractError(
        "archive_bomb", f"{name} unpacks to far more than a document holds.",
        "If it is genuine, save it in another format or divide it.",
    )  # fmt: skip


def _refuse_bomb(entries: list[zipfile.ZipInfo], size: int, name: str) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if (
        len(entries) > MAX_ENTRIES
        or unpacked > MAX_UNPACKED
        or (unpacked > _UNSUSPICIOUS and unpacked > MAX_RATIO * size)
    ):
        raise bomb(name)


def _kind(archive: zipfile.ZipFile, names: set[str]) -> str | None:
    if "[Content_Types].xml" in names:
        return next((mime for part, mime in _BY_PART if part in names), None)
    if "mimetype" in names:
        return _BY_MIMETYPE.get(_beginning(archive, "mimetype").strip())
    return EPUB if "META-INF/container.xml" in names else None


def _beginning(archive: zipfile.ZipFile, part: str) -> bytes:
    try:
        with archive.open(part) as file:
            return file.read(1_000_000)
    except KeyError:
        return b""
