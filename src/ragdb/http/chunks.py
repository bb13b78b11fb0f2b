"""Chunks as records, out of one system and into another."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from psycopg.types.json import Jsonb

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.documents import MAX_BODY
from ragdb.http.models import (
    PAGE,
    BatchItem,
    BatchResponse,
    JsonObject,
    PageLimit,
    Request,
    Workspace,
    described,
)


class ImportChunks(Request):
    """Chunks that another system has cut."""

    records: Annotated[
        list[JsonObject],
        described(
            "As they are exported: `id`, `source` with `type` and `path`, `content`, `metadata`.",
            [{"id": "7", "source": {"type": "file", "path": "a.pdf"}, "content": "Keys rotate."}],
        ),
    ]
    source: Annotated[
        str | None, described("A name for where they come from; default: import.", "import")
    ] = None
    workspace: Workspace = None


class ChunkPage(msgspec.Struct):
    """Chunks, and where the next page begins."""

    records: list[JsonObject]
    next: Annotated[
        int | None, Meta(description="The parameter `after` for the next page; null at the end.")
    ]


class _Exported(msgspec.Struct):
    chunk_id: int
    record: JsonObject


@get(
    operation_id="exportChunks",
    summary="Export chunks",
    response_description="A page of chunks",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def export_chunks(
    session: NamedDependency[Session],
    limit: PageLimit = PAGE,
    after: Annotated[
        int, QueryParameter(description="`next` of the page before.", ge=0, le=2**63 - 1)
    ] = 0,
    workspace: Annotated[str | None, QueryParameter(description="Only this one's.")] = None,
) -> ChunkPage:
    """Every chunk the caller may read, with its embedding."""
    found = await session.call(
        "export_chunks", returning=_Exported, read_only=True,
        p_limit=limit, p_after=after, p_workspace=workspace,
    )  # fmt: skip
    records = [row.record for row in found]
    return ChunkPage(records, found[-1].chunk_id if len(found) == limit else None)


@post(
    operation_id="importChunks",
    summary="Import chunks",
    status_code=200,
    response_description="What became of each",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
    request_max_body_size=MAX_BODY,
)
async def import_chunks(
    data: JSONBody[ImportChunks], session: NamedDependency[Session]
) -> BatchResponse:
    """Store chunks in one transaction, each as a document under its id; the same id replaces."""
    arguments = data.arguments()
    arguments["p_records"] = Jsonb(data.records)
    return BatchResponse(await session.call("import_chunks", returning=BatchItem, **arguments))


router = Router("/chunks", tags=["Documents"], route_handlers=[export_chunks, import_chunks])
