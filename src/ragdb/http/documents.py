"""Documents: in, out, and gone."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from psycopg.types.json import Jsonb

from ragdb.http import jobs, problems
from ragdb.http.auth import Session
from ragdb.http.job_models import Enqueued, IdempotencyKey
from ragdb.http.later import LATER, Prefer, as_asked, wants_job
from ragdb.http.models import (
    PAGE,
    BatchItem,
    BatchResponse,
    Document,
    DocumentPage,
    DocumentReplacement,
    JsonObject,
    ListedDocument,
    PageLimit,
    PutDocument,
    PutDocuments,
    Stored,
)

MAX_BODY = 32_000_000

_WRITING = (400, 401, 403, 404, 409, 413, 415, 422, 503)


@post(
    operation_id="putDocument",
    summary="Store a document",
    status_code=200,
    response_description="It replaced a document, was there already, or shares another's text",
    response_headers=[
        ResponseHeader(name="Location", description="Its path.", documentation_only=True)
    ],
    responses={
        201: ResponseSpec(Stored, description="It is new", generate_examples=False),
        202: LATER,
        **problems.responses(*_WRITING),
    },
    request_max_body_size=MAX_BODY,
)
async def put_document(
    data: JSONBody[PutDocument],
    session: NamedDependency[Session],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Stored] | Response[Enqueued]:
    """Store one document; it is searchable when the response arrives.

    A document with the same source, external id and visibility is replaced.
    """
    if wants_job(prefer):
        document, place = data.divided()
        return await _enqueue(session, idempotency_key, [document], place)
    [stored] = await session.call("put_document", returning=Stored, **data.arguments())
    return Response(
        stored,
        status_code=201 if stored.status == "ingested" else 200,
        headers={"Location": f"/api/v1/documents/{stored.document_id}"},
    )


@post(
    "/batch",
    operation_id="putDocuments",
    summary="Store several documents",
    status_code=200,
    response_description="What became of each",
    responses={202: LATER, **problems.responses(*_WRITING)},
    request_max_body_size=MAX_BODY,
)
async def put_documents(
    data: JSONBody[PutDocuments],
    session: NamedDependency[Session],
    prefer: Prefer = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[BatchResponse] | Response[Enqueued]:
    """Store documents in one transaction; a faulty one fails alone and is reported."""
    if wants_job(prefer):
        return await _enqueue(session, idempotency_key, data.documents, data.place())
    arguments = data.arguments()
    arguments["p_documents"] = Jsonb(data.documents)
    items = await session.call("put_documents", returning=BatchItem, **arguments)
    return Response(BatchResponse(items))


@get(
    operation_id="listDocuments",
    summary="List documents",
    response_description="A page of documents",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def list_documents(
    session: NamedDependency[Session],
    limit: PageLimit = PAGE,
    after: Annotated[
        str | None,
        QueryParameter(
            description="`next` of the page before, or the `cursor` of one of its documents. It"
            " holds when that document is deleted."
        ),
    ] = None,
    workspace: Annotated[str | None, QueryParameter(description="Only this one's.")] = None,
    source: Annotated[str | None, QueryParameter(description="Only from this source.")] = None,
) -> DocumentPage:
    """The documents the caller may read, newest first, without their texts."""
    found = await session.call(
        "list_documents", returning=ListedDocument, read_only=True,
        p_limit=limit, p_after=after, p_workspace=workspace, p_source=source,
    )  # fmt: skip
    return DocumentPage(found, next=found[-1].cursor if len(found) == limit else None)


@get(
    "/{document_id:str}",
    operation_id="getDocument",
    summary="Get a document",
    response_description="The document with its text",
    response_headers=[
        ResponseHeader(name="ETag", description="For If-None-Match.", documentation_only=True)
    ],
    responses={
        304: ResponseSpec(None, description="It is still the one in If-None-Match"),
        **problems.responses(400, 401, 403, 404, 422, 503),
    },
)
async def get_document(
    document_id: FromPath[UUID],
    session: NamedDependency[Session],
    if_none_match: Annotated[
        str | None, HeaderParameter(name="If-None-Match", description="ETags the caller has.")
    ] = None,
) -> Response[Document | None]:
    """One document with its text."""
    [document] = await session.call(
        "get_document", returning=Document, read_only=True, p_document_id=document_id
    )
    etag = f'"{sha256(msgspec.json.encode(document)).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _has_one_of(if_none_match, etag):
        return Response(None, status_code=304, headers=headers)
    return Response(document, headers=headers)


@put(
    "/{document_id:str}",
    operation_id="replaceDocument",
    summary="Replace a document",
    response_description="It has been replaced, or was the same already",
    responses=problems.responses(*_WRITING),
    request_max_body_size=MAX_BODY,
)
async def replace_document(
    document_id: FromPath[UUID],
    data: JSONBody[DocumentReplacement],
    session: NamedDependency[Session],
) -> Stored:
    """Give a document another text, title and so on; it keeps its id, source and visibility."""
    [stored] = await session.call(
        "replace_document", returning=Stored, p_document_id=document_id, **data.arguments()
    )
    return stored


@delete(
    "/{document_id:str}",
    operation_id="deleteDocument",
    summary="Delete a document",
    response_description="It is gone, and so is every stored answer that quotes it",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def delete_document(document_id: FromPath[UUID], session: NamedDependency[Session]) -> None:
    """Delete a document; when the response arrives nothing of it can be read or found."""
    await session.call("delete_document", returning=JsonObject, p_document_id=document_id)


async def _enqueue(
    session: Session, idempotency_key: str | None, documents: list[JsonObject], place: JsonObject
) -> Response[Enqueued]:
    return as_asked(
        await jobs.enqueue(
            session, idempotency_key,
            p_kind="put_documents", p_payload={"documents": documents, **place},
        )
    )  # fmt: skip


def _has_one_of(if_none_match: str | None, etag: str) -> bool:
    """Whether a header If-None-Match names this ETag (RFC 9110, 13.1.2: weakly compared)."""
    named = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return not named.isdisjoint({etag, "*"})


router = Router(
    "/documents",
    tags=["Documents"],
    route_handlers=[
        put_document, put_documents, list_documents, get_document, replace_document, delete_document
    ],
)  # fmt: skip
