"""JSON lines: one document a line, as put_documents() takes them, or as BEIR writes its corpora."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import IO, TYPE_CHECKING, cast

from ragdb.reading import Document, Failure

if TYPE_CHECKING:
    from ragdb.reading import Common


def read_lines(
    file: IO[bytes], path: str, external_id: str, common: Common, longest: int
) -> Generator[Document | Failure]:
    """The documents of a JSONL file, each by its external_id, its _id or else its line's number.

    A line that is none is reported by its number, for what it calls itself may be missing.
    """
    number = 0
    while line := file.readline(longest + 1):
        number += 1
        if not line.strip():
            continue
        where = f"{path} line {number}"
        if len(line) > longest:
            yield Failure(where, "file_too_large", f"A line has over {longest} bytes.", len(line))
            return
        try:
            given = json.loads(line)
        except (ValueError, RecursionError):
            yield Failure(where, "invalid_json", "The line is not JSON.", len(line))
            continue
        if not isinstance(given, dict):
            yield Failure(where, "invalid_document", "A line is a JSON object.", len(line))
            continue
        record = cast(dict[str, object], given)
        names = (record.get(key) for key in ("external_id", "_id", "id"))
        name = next((name for name in names if name is not None), number)
        problem = _problem_of(record, name)
        if problem:
            yield Failure(where, *problem, len(line))
            continue
        fields = _fields(record, f"{external_id}#{name}", str(name))
        fields = common.joined(fields, record.get("metadata"))
        yield Document(f"{path}#{name}", fields, len(line))


def _fields(record: Mapping[str, object], external_id: str, name: str) -> dict[str, object]:
    fields = {
        key: record[key]
        for key in ("url", "mime", "language", "labels", "date", "chunking")
        if record.get(key) is not None
    }
    return fields | {
        # What the line itself calls an external id is one; an id within the file is not.
        "external_id": name if record.get("external_id") is not None else external_id,
        "title": record.get("title"),
        "content": record.get("text", record.get("content")),
    }


def _problem_of(record: Mapping[str, object], name: object) -> tuple[str, str] | None:
    """What keeps a line out of a database: machine name and sentence."""
    text = record.get("text", record.get("content"))
    if not isinstance(text, str):
        return "invalid_document", "A line needs a text under the key text or content."
    if isinstance(name, bool) or not isinstance(name, str | int):
        return "invalid_document", "An id is a text or a whole number."
    if not isinstance(record.get("metadata"), dict | None):
        return "invalid_document", "metadata is a JSON object."
    if "\0" in text:
        return "nul_character", "The text contains a NUL character."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "not_utf8", "The text contains half a surrogate pair."
    return None
