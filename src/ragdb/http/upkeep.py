"""Upkeep of documents that somebody asks for; workers do it."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, Router, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from ragdb.http import jobs, problems
from ragdb.http.auth import Session
from ragdb.http.job_models import Enqueued, IdempotencyKey
from ragdb.http.models import Request
from ragdb.http.openapi import OptionalBody

_LOCATION = ResponseHeader(name="Location", description="The job's path.", documentation_only=True)
_REFUSALS = problems.responses(400, 401, 403, 409, 413, 415, 422, 503)


class UpkeepRequest(Request):
    """Where."""

    workspace: Annotated[
        str | None, Meta(description="Only there: slug or id.", examples=["default"])
    ] = None


@post(
    "/dedupe",
    operation_id="dedupe",
    summary="Delete copies of documents",
    status_code=202,
    response_description="It waits for a worker",
    response_headers=[_LOCATION],
    responses=_REFUSALS,
    operation_class=OptionalBody,
)
async def dedupe(
    session: NamedDependency[Session],
    data: JSONBody[UpkeepRequest | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Enqueued]:
    """Delete documents whose text another one of the workspace has; the oldest stays."""
    return await _enqueue(session, "dedupe", data, idempotency_key)


@post(
    "/rebuild",
    operation_id="rebuild",
    summary="Index all texts anew",
    status_code=202,
    response_description="It waits for a worker",
    response_headers=[_LOCATION],
    responses=_REFUSALS,
    operation_class=OptionalBody,
)
async def rebuild(
    session: NamedDependency[Session],
    data: JSONBody[UpkeepRequest | None] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Enqueued]:
    """Divide, stem and embed all stored texts anew; search goes on meanwhile."""
    return await _enqueue(session, "rebuild", data, idempotency_key)


async def _enqueue(
    session: Session, kind: str, data: UpkeepRequest | None, idempotency_key: str | None
) -> Response[Enqueued]:
    payload = {"workspace": data.workspace} if data and data.workspace else {}
    return await jobs.enqueue(session, idempotency_key, p_kind=kind, p_payload=payload)


router = Router("/", tags=["Jobs"], route_handlers=[dedupe, rebuild])
