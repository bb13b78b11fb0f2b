"""Documents into the database, in batches.

One statement stores a batch, and its transaction commits before the next is read: what was
reported as stored is stored, and whatever ends the run loses nothing but the batch under way.
Neither a file that cannot be read nor a document that is refused keeps the others out.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError
from ragdb.files import Skipped
from ragdb.reading import Document, Failure, Item


@dataclass(frozen=True)
class Limits:
    """A batch ends with whichever comes first."""

    documents: int = 200
    characters: int = 500_000
    items: int = 1000


# About a segment of the keyword index; the words of a batch are looked up once.
BULK = Limits(documents=4000, characters=3_000_000, items=8000)

_RETRIES = 3
_FATAL = frozenset(
    {"not_installed", "database_unavailable", "database_login_refused", "database_overloaded"}
)

Status = Literal["ingested", "updated", "unchanged", "duplicate", "failed"]


@dataclass(frozen=True)
class Result:
    """What became of one file, or of one line of a JSONL file."""

    path: str
    status: Status
    document_id: UUID | None = None
    chunks: int = 0
    error: dict[str, str | None] | None = None


def batches(items: Iterable[Item], limits: Limits = Limits()) -> Generator[list[Item]]:
    """Put together what is stored at once."""
    batch: list[Item] = []
    documents = characters = 0
    for item in items:
        batch.append(item)
        if isinstance(item, Document):
            documents += 1
            characters += len(cast(str, item.fields["content"]))
        if (
            documents >= limits.documents
            or characters >= limits.characters
            or len(batch) >= limits.items
        ):
            yield batch
            batch = []
            documents = characters = 0
    if batch:
        yield batch


def store(call: Callable[..., list[DictRow]], batch: list[Item]) -> list[Result]:
    """Store a batch by `call`, which runs put_documents(); what was skipped has no result.

    Raises RagdbError when no document can be stored, whichever it is.
    """
    documents = [item for item in batch if isinstance(item, Document)]
    stored = iter(_store(call, documents) if documents else [])
    return [
        failed(item.path, item.code, item.message, item.hint)
        if isinstance(item, Failure)
        else next(stored)
        for item in batch
        if not isinstance(item, Skipped)
    ]


def failed(path: str, code: str, message: str, hint: str | None = None) -> Result:
    """The result of a failure."""
    return Result(path, "failed", error={"code": code, "message": message, "hint": hint})


def _store(call: Callable[..., list[DictRow]], documents: list[Document]) -> list[Result]:
    for attempt in range(_RETRIES):
        try:
            rows = call(p_documents=Jsonb([document.fields for document in documents]))
            return [_result(document, row) for document, row in zip(documents, rows, strict=True)]
        except RagdbError as error:
            problem = error.problem
            if problem.status in (401, 403, 404) or problem.code in _FATAL:
                raise
            if problem.code == "busy" and attempt + 1 < _RETRIES:
                continue
            if len(documents) == 1:
                return [failed(documents[0].path, problem.code, problem.message, problem.hint)]
            break
    return [result for document in documents for result in _store(call, [document])]


def _result(document: Document, row: DictRow) -> Result:
    if row["error"] is not None:
        return failed(document.path, row["error"], row["message"])
    return Result(document.path, row["status"], row["document_id"], row["chunks"])
