"""From files to documents, as put_documents() takes them.

Whatever is wrong with a file becomes a Failure with a machine name, and the next one is read.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from ragdb.extract import SUFFIXES as FORMATS
from ragdb.extract import ExtractError, extract
from ragdb.files import STDIN, Entry, Found, Missed, Skipped, readable

MAX_BYTES = 64_000_000
"""The largest file, and the longest line of a JSONL file."""

LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = FORMATS | LINES
"""What is taken for a document in a folder."""


@dataclass(frozen=True)
class Document:
    """A document on its way in; `size` is how many bytes of the file it accounts for."""

    path: str
    fields: dict[str, object]
    size: int


@dataclass(frozen=True)
class Failure:
    """A document that there is none of."""

    path: str
    code: str
    message: str
    size: int = 0
    hint: str | None = None


@dataclass(frozen=True)
class Common:
    """What all documents of a run are given."""

    title: str | None = None
    language: str | None = None
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])


Item = Document | Failure | Skipped


def read(entries: Iterable[Entry], common: Common) -> Generator[Item]:
    """Read the files, one at a time; of two with the same external id the second fails."""
    seen: set[object] = set()
    for entry in entries:
        for document in _read_entry(entry, common):
            if isinstance(document, Document):
                external_id = document.fields["external_id"]
                if external_id in seen:
                    yield Failure(
                        document.path, "duplicate_external_id",
                        f"Another file of this run goes by {external_id} already;"
                        " put them into sources of their own, or name a root above both.",
                        document.size,
                    )  # fmt: skip
                    continue
                seen.add(external_id)
            yield document


def read_stream(stream: BinaryIO, name: str | None, common: Common) -> Document | Failure:
    """What standard input holds; without a name it is text that goes by its checksum."""
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return Failure(STDIN, "file_too_large", f"At most {MAX_BYTES} bytes are read.")
    document = _extract(data, name or "stdin.txt", STDIN, common)
    if isinstance(document, Document) and name:
        document.fields["external_id"] = name
    elif isinstance(document, Document) and not common.title:
        first = str(document.fields["content"]).strip().partition("\n")[0]
        document.fields["title"] = first[:80]
    return document


def _extract(data: bytes, name: str, path: str, common: Common) -> Document | Failure:
    """The document that a file's content makes; `name` tells its format."""
    try:
        found = extract(data, name)
    except ExtractError as error:
        return Failure(path, error.code, error.message, len(data), error.hint)
    fields: dict[str, object] = {
        "external_id": None,
        "title": common.title or found.title,
        "content": found.text,
        "mime": found.mime,
    }
    return Document(path, _with_common(fields, found.metadata, common), len(data))


def _read_entry(entry: Entry, common: Common) -> Generator[Item]:
    if isinstance(entry, Skipped):
        yield entry
    elif isinstance(entry, Missed):
        yield Failure(entry.path, entry.code, entry.message)
    elif entry.size > MAX_BYTES and entry.file.suffix.lower() not in LINES:
        yield _too_large(entry)
    else:
        try:
            with open(_open(entry), "rb") as file:
                yield from _read_file(entry, file, common)
        except OSError as error:
            message = f"It cannot be read: {error.strerror}."
            yield Failure(entry.path, "unreadable_file", message, entry.size)


def _open(entry: Found) -> int:
    """A handle that reading cannot block on, even if the file was replaced by a pipe meanwhile."""
    handle = os.open(entry.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file")
    return handle


def _read_file(entry: Found, file: BinaryIO, common: Common) -> Generator[Document | Failure]:
    if entry.file.suffix.lower() in LINES:
        yield from _read_lines(entry, file, common)
        return
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        yield _too_large(entry)
        return
    document = _extract(data, readable(entry.file.name), entry.path, common)
    if isinstance(document, Document):
        document.fields["external_id"] = entry.external_id
        # What a file is called says what it is about.
        document.fields["title"] = document.fields["title"] or entry.external_id
    yield document


def _read_lines(entry: Found, file: BinaryIO, common: Common) -> Generator[Document | Failure]:
    """A JSONL file: one document a line, by its _id or else by the line's number."""
    number = 0
    while line := file.readline(MAX_BYTES + 1):
        number += 1
        if not line.strip():
            continue
        path = f"{entry.path}#{number}"
        if len(line) > MAX_BYTES:
            yield Failure(path, "file_too_large", f"A line has over {MAX_BYTES} bytes.", len(line))
            return
        try:
            given = json.loads(line)
        except (ValueError, RecursionError):
            yield Failure(path, "invalid_json", "The line is not JSON.", len(line))
            continue
        if not isinstance(given, dict):
            yield Failure(path, "invalid_document", "A line is a JSON object.", len(line))
            continue
        record = cast(dict[str, object], given)
        name = record.get("_id", record.get("id", number))
        fields: dict[str, object] = {
            "external_id": f"{entry.external_id}#{name}",
            "title": record.get("title"),
            "content": record.get("text", record.get("content")),
            "url": record.get("url"),
        }
        problem = _problem_of(fields["content"])
        if problem:
            yield Failure(f"{entry.path}#{name}", *problem, len(line))
            continue
        own = record.get("metadata")
        metadata = cast(dict[str, object], own) if isinstance(own, dict) else {}
        fields = _with_common(fields, metadata, common)
        yield Document(f"{entry.path}#{name}", fields, len(line))


def _problem_of(text: object) -> tuple[str, str] | None:
    """What keeps a text of a JSONL file out of a database: machine name and sentence."""
    if not isinstance(text, str):
        return "invalid_document", "A line needs a text under the key text or content."
    if "\0" in text:
        return "nul_character", "The text contains a NUL character."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not_utf8", "The text contains half a surrogate pair."
    return None


def _with_common(
    fields: dict[str, object], metadata: Mapping[str, object], common: Common
) -> dict[str, object]:
    return fields | {
        "language": common.language,
        "labels": list(common.labels),
        "metadata": {**metadata, **common.metadata},
    }


def _too_large(entry: Found) -> Failure:
    message = f"It has {entry.size} bytes; at most {MAX_BYTES} are read."
    return Failure(entry.path, "file_too_large", message, entry.size)
