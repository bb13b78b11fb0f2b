"""Files: uploaded to become documents, and given back as they came."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import (
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from litestar.params import FromPath
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Meta

from ragdb.errors import Problem, RagdbError
from ragdb.http import jobs, problems, uploads
from ragdb.http.auth import Session
from ragdb.http.body import JsonRequest
from ragdb.http.job_models import Enqueued, IdempotencyKey
from ragdb.http.later import LATER, Prefer, as_asked, wants_job
from ragdb.http.models import JsonObject, Stored
from ragdb.ingest import Result, twice

_PATH = "/api/v1/documents"
_WRITING = (400, 401, 403, 404, 413, 415, 422, 503)
_TEXT = Schema(type=OpenAPIType.STRING)
_FILE = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
_SHARED = {
    "source": "Where documents come from; default: default.",
    "workspace": "Slug or id of a workspace; default: the one named default.",
    "visibility": "private, workspace (default) or organization.",
    "language": "Name or code; default: what is found, else the workspace's.",
    "labels": "A name to filter by; may stand several times.",
    "metadata": "A JSON object to filter by.",
    "keep_original": "true keeps the files as well.",
}
_SINGLE = {
    "title": "Default: what the file says, else its name.",
    "external_id": "Its name in the source; default: the file's name.",
    "url": "Where people find the document.",
}
_REFUSED = {"file_too_large": 413, "unsupported_format": 415, "mislabelled_file": 415}


def _form(file: Schema, name: str, texts: dict[str, str]) -> RequestBody:
    properties = {
        field: Schema(type=OpenAPIType.STRING, description=text) for field, text in texts.items()
    }
    if "labels" in texts:
        properties["labels"] = Schema(
            type=OpenAPIType.ARRAY, items=_TEXT, description=texts["labels"]
        )
    schema = Schema(type=OpenAPIType.OBJECT, properties={name: file, **properties}, required=[name])
    return RequestBody({"multipart/form-data": OpenAPIMediaType(schema)}, required=True)


@dataclass
class _TakesFiles(Operation):
    request_body: Any = field(
        default_factory=lambda: _form(Schema(type=OpenAPIType.ARRAY, items=_FILE), "files", _SHARED)
    )


@dataclass
class _TakesFile(Operation):
    request_body: Any = field(default_factory=lambda: _form(_FILE, "file", _SHARED | _SINGLE))


class FileError(msgspec.Struct):
    """Why a file, or a part of it, is not stored."""

    code: Annotated[str, Meta(description="Machine name of the problem.")]
    message: str
    hint: Annotated[str | None, Meta(description="How to mend it.")]


class IngestedFile(msgspec.Struct):
    """What became of a file, of a part of a long text, or of one line of a JSONL file."""

    file: Annotated[
        str, Meta(description="Its name, with # and a part or an id in it, or with a faulty line.")
    ]
    status: Literal["ingested", "updated", "unchanged", "duplicate", "failed"]
    document_id: UUID | None
    chunks: Annotated[int, Meta(description="How many passages it has.")]
    error: FileError | None


class IngestedFiles(msgspec.Struct):
    """What became of each file."""

    message: str
    chunks_added: Annotated[int, Meta(description="Passages of what is new or was updated.")]
    files: list[IngestedFile]


@post(
    "/ingest/files",
    operation_id="ingestFiles",
    summary="Ingest files",
    tags=["Documents"],
    status_code=200,
    response_description="What became of each file",
    responses={202: LATER, **problems.responses(*_WRITING)},
    request_max_body_size=uploads.MAX_UPLOAD,
    operation_class=_TakesFiles,
)
async def ingest_files(
    request: JsonRequest,
    session: NamedDependency[Session],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[IngestedFiles] | Response[Enqueued]:
    """Store the documents in files; they are searchable when the response arrives.

    A file goes by its name in the source and replaces what went by it before; of two with the same
    name the second is refused. One that cannot be read is reported, and the others are stored.
    """
    await _may_write(session)
    async with uploads.received(request, frozenset({"files", *_SHARED})) as form:
        if not form.files:
            raise _no_file("files")
        place, common, keep = form.place(), form.common(), form.flag("keep_original")
        if wants_job(prefer):
            return await _enqueue(session, form, idempotency_key)
        results: list[Result] = []
        seen: set[str] = set()
        for name, file in form.files:
            if name in seen:
                results.append(twice(name))
                continue
            seen.add(name)
            results += await uploads.ingest(session, name, file, place, common, keep_original=keep)
    added = sum(r.chunks for r in results if r.status in ("ingested", "updated"))
    failed = sum(r.status == "failed" for r in results)
    return Response(
        IngestedFiles(
            f"{len(results) - failed} stored, {failed} failed.",
            added,
            [_reported(result) for result in results],
        )
    )


async def _enqueue(
    session: Session, form: uploads.Form, idempotency_key: str | None
) -> Response[Enqueued]:
    place, common = form.place(), form.common()
    payload = {
        "files": await uploads.leave(session, form.files), **asdict(place),
        "language": common.language, "labels": common.labels, "metadata": common.metadata,
        "keep_original": form.flag("keep_original"),
    }  # fmt: skip
    return as_asked(
        await jobs.enqueue(session, idempotency_key, "enqueue_files", p_payload=payload)
    )


@post(
    "/documents/upload",
    operation_id="uploadDocument",
    summary="Store a file",
    tags=["Documents"],
    status_code=200,
    response_description="It replaced a document, was there already, or shares another's text",
    response_headers=[
        ResponseHeader(name="Location", description="Its path.", documentation_only=True)
    ],
    responses={
        201: ResponseSpec(Stored, description="It is new", generate_examples=False),
        **problems.responses(*_WRITING),
    },
    request_max_body_size=uploads.MAX_UPLOAD,
    operation_class=_TakesFile,
)
async def upload_document(
    request: JsonRequest, session: NamedDependency[Session]
) -> Response[Stored]:
    """Store the document in a file; a form sent to `/api/v1/documents` comes here too.

    A text too long for one document becomes several; the first is returned, with the passages of
    all.
    """
    await _may_write(session)
    async with uploads.received(request, frozenset({"file", *_SHARED, *_SINGLE})) as form:
        if len(form.files) != 1:
            raise _no_file("file")
        [(name, file)] = form.files
        results = await uploads.ingest(
            session, name, file, form.place(), form.common(),
            external_id=form.text("external_id"), keep_original=form.flag("keep_original"),
        )  # fmt: skip
    for result in results:
        if result.error:
            raise RagdbError(_refusal(result))
    if not results or results[0].document_id is None or results[0].status == "failed":
        raise RagdbError(Problem(422, "empty_file", f"{name} holds no document."))
    first = results[0]
    stored = Stored(results[0].document_id, results[0].status, sum(r.chunks for r in results))
    return Response(
        stored,
        status_code=201 if first.status == "ingested" else 200,
        headers={"Location": f"{_PATH}/{stored.document_id}"},
    )


class _Original(msgspec.Struct):
    name: str
    mime: str
    sha256: str
    content: bytes
    created_at: datetime


@get(
    "/documents/{document_id:str}/original",
    operation_id="getOriginal",
    summary="Get the file of a document",
    tags=["Documents"],
    response_description="The file as it came",
    media_type="application/octet-stream",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def get_original(
    document_id: FromPath[UUID], session: NamedDependency[Session]
) -> Response[bytes]:
    """The file a document was read from, where it was kept."""
    [found] = await session.call(
        "get_original", returning=_Original, read_only=True, p_document_id=document_id
    )
    return Response(
        found.content,
        media_type=found.mime,
        headers={
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
            "ETag": f'"{found.sha256[:32]}"',
        },
    )


class FormsToUploads:
    """Takes a form sent to /api/v1/documents to where files are stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, maybe to another path."""
        if scope["type"] == "http" and scope["path"] == _PATH and scope["method"] == "POST":
            types = (value for name, value in scope["headers"] if name == b"content-type")
            if any(value.lower().startswith(b"multipart/form-data") for value in types):
                scope["path"] = f"{_PATH}/upload"
        await self._app(scope, receive, send)


async def _may_write(session: Session) -> None:
    """Refuse before gigabytes are received for nothing."""
    await session.call("require", returning=JsonObject, read_only=True, p_permission="data:write")


def _no_file(field: str) -> RagdbError:
    return RagdbError(
        Problem(
            422, "invalid_request", f"The request is not valid: A file is missing ({field}).",
            f"curl -F {field}=@report.pdf",
        )
    )  # fmt: skip


def _refusal(result: Result) -> Problem:
    error = result.error or {}
    code, message = str(error.get("code")), str(error.get("message"))
    return Problem(_REFUSED.get(code, 422), code, message, error.get("hint"))


def _reported(result: Result) -> IngestedFile:
    found = result.error
    error = None
    if found:
        error = FileError(str(found["code"]), str(found["message"]), found["hint"])
    return IngestedFile(result.path, result.status, result.document_id, result.chunks, error)


router = Router("/", route_handlers=[ingest_files, upload_document, get_original])
