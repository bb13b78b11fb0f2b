"""From files to documents in the database, in batches.

One statement stores a batch, and its transaction commits before the next is read: what was
reported as stored is stored, and whatever ends the run loses nothing but the batch under way.
Neither a file that cannot be read nor a document that is refused keeps the others out.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, cast
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError
from ragdb.extract import SUFFIXES as FORMATS
from ragdb.extract import ExtractError, extract
from ragdb.files import STDIN, Entry, Found, Missed, Skipped

MAX_BYTES = 64_000_000
"""The largest file, and the longest line of a JSONL file."""

# A batch ends with whichever comes first. Larger ones store no more documents a second.
BATCH_DOCUMENTS = 100
BATCH_CHARACTERS = 500_000

LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = FORMATS | LINES
"""What is taken for a document in a folder."""

_RETRIES = 3
_IN_THE_WAY = frozenset(
    {"not_installed", "database_unavailable", "database_login_refused", "database_overloaded"}
)

Status = Literal["ingested", "updated", "unchanged", "duplicate", "failed"]


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


@dataclass(frozen=True)
class Result:
    """What became of one file, or of one line of a JSONL file."""

    path: str
    status: Status
    document_id: UUID | None = None
    chunks: int = 0
    error: dict[str, str] | None = None


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
        return Failure(path, error.code, error.message, len(data))
    fields: dict[str, object] = {
        "external_id": None,
        "title": common.title or found.title,
        "content": found.text,
        "mime": found.mime,
    }
    return Document(path, _with_common(fields, found.metadata, common), len(data))


def batches(
    items: Iterable[Item],
) -> Generator[list[Item]]:
    """Put together what is stored at once."""
    batch: list[Item] = []
    documents = characters = 0
    for item in items:
        batch.append(item)
        if isinstance(item, Document):
            documents += 1
            characters += len(cast(str, item.fields["content"]))
        if documents >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS or len(batch) >= 1000:
            yield batch
            batch = []
            documents = characters = 0
    if batch:
        yield batch


def store(
    call: Callable[[Jsonb], list[DictRow]], batch: Iterable[Item]
) -> list[Result]:
    """Store a batch by `call`, which runs put_documents(); what was skipped has no result.

    Raises RagdbError when no document can be stored, whichever it is.
    """
    batch = list(batch)
    documents = [item for item in batch if isinstance(item, Document)]
    stored = iter(_store(call, documents) if documents else [])
    return [
        failed(item.path, item.code, item.message) if isinstance(item, Failure) else next(stored)
        for item in batch
        if not isinstance(item, Skipped)
    ]


def failed(path: str, code: str, message: str) -> Result:
    """The result of a failure."""
    return Result(path, "failed", error={"code": code, "message": message})


def _store(call: Callable[[Jsonb], list[DictRow]], documents: list[Document]) -> list[Result]:
    for attempt in range(_RETRIES):
        try:
            rows = call(Jsonb([document.fields for document in documents]))
            return [_result(document, row) for document, row in zip(documents, rows, strict=True)]
        except RagdbError as error:
            problem = error.problem
            if problem.status in (401, 403, 404) or problem.code in _IN_THE_WAY:
                raise
            if problem.code == "busy" and attempt + 1 < _RETRIES:
                continue
            if len(documents) == 1:
                return [failed(documents[0].path, problem.code, problem.message)]
            break
    return [result for document in documents for result in _store(call, [document])]


def _result(document: Document, row: DictRow) -> Result:
    if row["error"] is not None:
        return failed(document.path, row["error"], row["message"])
    return Result(document.path, row["status"], row["document_id"], row["chunks"])


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


def _read_file(
    entry: Found, file: BinaryIO, common: Common
) -> Generator[Document | Failure]:
    if entry.file.suffix.lower() in LINES:
        yield from _read_lines(entry, file, common)
        return
    data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        yield _too_large(entry)
        return
    document = _extract(data, entry.file.name, entry.path, common)
    if isinstance(document, Document):
        document.fields["external_id"] = entry.external_id
    yield document


def _read_lines(
    entry: Found, file: BinaryIO, common: Common
) -> Generator[Document | Failure]:
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
            "title": record.get("title") or str(name),
            "content": record.get("text", record.get("content")),
            "url": record.get("url"),
        }
        if not isinstance(fields["content"], str):
            message = "A line needs a text under the key text or content."
            yield Failure(f"{entry.path}#{name}", "invalid_document", message, len(line))
            continue
        own = record.get("metadata")
        metadata = cast(dict[str, object], own) if isinstance(own, dict) else {}
        fields = _with_common(fields, metadata, common)
        yield Document(f"{entry.path}#{name}", fields, len(line))


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
