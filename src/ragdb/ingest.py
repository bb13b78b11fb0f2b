"""Documents into the database, in batches.

One statement stores a batch, and its transaction commits before the next is read: what was
reported as stored is stored, and whatever ends the run loses nothing but the batch under way.
Neither a file that cannot be read nor a document that is refused keeps the others out.

`ingest_file()` is the same for one file that is at hand, such as an upload.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, Literal, Protocol, cast
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError
from ragdb.extraction.language import languages
from ragdb.files import Skipped
from ragdb.reading import Common, Document, Failure, Item, read_file


@dataclass(frozen=True)
class Limits:
    """A batch ends with whichever comes first."""

    documents: int = 200
    characters: int = 1_000_000
    items: int = 1000


# Some segments of the keyword index; the words of a batch are looked up once.
BULK = Limits(documents=8000, characters=6_000_000, items=16000)

_RETRIES = 3
_FATAL = frozenset(
    {"not_installed", "database_unavailable", "database_login_refused", "database_overloaded"}
)

Status = Literal["ingested", "updated", "unchanged", "duplicate", "failed"]


class Call(Protocol):
    """Calls ragdb.<function>; raises RagdbError."""

    def __call__(self, function: str, /, **arguments: Any) -> list[DictRow]:
        """The rows it returns."""
        ...


@dataclass(frozen=True)
class Place:
    """Where documents go, as put_documents() has it."""

    source: str = "default"
    workspace: str | None = None
    visibility: str = "workspace"

    def arguments(self) -> dict[str, object]:
        """As arguments of a stored function."""
        return {f"p_{name}": value for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Result:
    """What became of one file, of a part of it, or of one line of a JSONL file."""

    path: str
    status: Status
    document_id: UUID | None = None
    chunks: int = 0
    error: dict[str, str | None] | None = None


def batches(items: Iterable[Item], limits: Limits = Limits()) -> Generator[list[Item]]:
    """Put together what is stored at once, each document with its language if that can be told."""
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
            yield _with_languages(batch)
            batch = []
            documents = characters = 0
    if batch:
        yield _with_languages(batch)


def _with_languages(batch: list[Item]) -> list[Item]:
    asked = [
        number
        for number, item in enumerate(batch)
        if isinstance(item, Document) and item.fields["language"] is None
    ]
    documents = [cast(Document, batch[number]) for number in asked]
    found = languages([cast(str, document.fields["content"]) for document in documents])
    for number, document, language in zip(asked, documents, found, strict=True):
        batch[number] = replace(document, fields=document.fields | {"language": language})
    return batch


def make_source(call: Call, place: Place) -> None:
    """Create the source, if it is new, before several writers would wait for one another's.

    Raises RagdbError when nothing can be stored there.
    """
    call("put_documents", p_documents=Jsonb([]), **place.arguments())


def store(
    call: Call, place: Place, batch: Iterable[Item], keep_original: bool = False
) -> list[Result]:
    """Store a batch; what was skipped has no result.

    keep_original: also the files, of those that are one document.

    Raises RagdbError when no document can be stored, whichever it is.
    """
    documents = [item for item in batch if isinstance(item, Document)]
    results = _store(call, place, documents) if documents else []
    _trim(call, place, documents, results)
    if keep_original:
        pairs = zip(documents, results, strict=True)
        results = [_kept(call, document, result) for document, result in pairs]
    stored = iter(results)
    return [
        failed(item.path, item.code, item.message, item.hint)
        if isinstance(item, Failure)
        else next(stored)
        for item in batch
        if not isinstance(item, Skipped)
    ]


def _kept(call: Call, document: Document, result: Result) -> Result:
    """Keep the file of a document that was stored; where that fails, the document has."""
    if result.document_id is None or document.original is None:
        return result
    try:
        call(
            "keep_original", p_document_id=result.document_id, p_name=document.name,
            p_mime=document.fields["mime"], p_content=document.original(),
        )  # fmt: skip
    except OSError as error:
        return failed(document.path, "unreadable_file", f"It cannot be kept: {error.strerror}.")
    except RagdbError as error:
        problem = error.problem
        if problem.code in _FATAL:
            raise
        return failed(document.path, problem.code, problem.message, problem.hint)
    return result


def ingest_file(
    call: Call,
    file: IO[bytes],
    name: str,
    place: Place,
    common: Common,
    *,
    external_id: str | None = None,
    keep_original: bool = False,
) -> list[Result]:
    """Store the documents of one file that is open for reading; `name` is what it is called.

    It goes by its name in the source, unless there is an external id. Raises RagdbError when
    nothing can be stored at all, whatever the file.
    """
    items = read_file(file, name, name, external_id or name, common)
    return [
        result for batch in batches(items) for result in store(call, place, batch, keep_original)
    ]


def failed(path: str, code: str, message: str, hint: str | None = None) -> Result:
    """The result of a failure."""
    return Result(path, "failed", error={"code": code, "message": message, "hint": hint})


def twice(name: str) -> Result:
    """The result of a file that goes by the name of another one sent with it."""
    return failed(
        name, "duplicate_external_id", f"Another file that was sent goes by {name} already.",
        "Send it by itself with another name, or to a source of its own.",
    )  # fmt: skip


def _store(call: Call, place: Place, documents: list[Document]) -> list[Result]:
    for attempt in range(_RETRIES):
        try:
            fields = Jsonb([document.fields for document in documents])
            rows = call("put_documents", p_documents=fields, **place.arguments())
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
    return [result for document in documents for result in _store(call, place, [document])]


def _trim(call: Call, place: Place, documents: list[Document], results: list[Result]) -> None:
    """Delete what is left of files that were in more parts before."""
    changed = [
        document
        for document, result in zip(documents, results, strict=True)
        if document.whole is not None
        and document.parts is not None
        and (document.parts > 0 or result.status in ("ingested", "duplicate"))
    ]
    if changed:
        call(
            "trim_parts",
            p_external_ids=[document.whole for document in changed],
            p_parts=[document.parts for document in changed],
            **place.arguments(),
        )


def _result(document: Document, row: DictRow) -> Result:
    if row["error"] is not None:
        return failed(document.path, row["error"], row["message"])
    return Result(document.path, row["status"], row["document_id"], row["chunks"])
