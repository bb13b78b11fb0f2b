"""Jobs: what is done later, how far it is, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from ragdb.errors import RagdbError
from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.events import JobEvents
from ragdb.http.job_models import (
    Enqueued,
    EnqueueJob,
    IdempotencyKey,
    Job,
    JobPage,
    Retried,
    RetryJobs,
    Status,
)
from ragdb.http.models import PAGE, JsonObject, PageLimit
from ragdb.http.openapi import OptionalBody

# Proxies end a connection that says nothing for a minute.
_SECONDS_OF_SILENCE = 15.0


@post(
    operation_id="enqueueJob",
    summary="Enqueue a job",
    status_code=202,
    response_description="It waits for a worker",
    response_headers=[
        ResponseHeader(name="Location", description="The job's path.", documentation_only=True)
    ],
    responses=problems.responses(400, 401, 403, 409, 413, 415, 422, 503),
)
async def enqueue_job(
    data: JSONBody[EnqueueJob],
    session: NamedDependency[Session],
    idempotency_key: IdempotencyKey = None,
) -> Response[Enqueued]:
    """Have something done by a worker, with no more than the caller's rights."""
    return await enqueue(session, idempotency_key, **data.arguments())


async def enqueue(
    session: Session, idempotency_key: str | None, function: str = "enqueue_job", **arguments: Any
) -> Response[Enqueued]:
    """Enqueue a job: the response that says where it is."""
    if idempotency_key is not None:
        arguments["p_idempotency_key"] = idempotency_key
    [enqueued] = await session.call(function, returning=Enqueued, **arguments)
    location = {"Location": f"/api/v1/jobs/{enqueued.job_id}"}
    return Response(enqueued, status_code=202, headers=location)


@get(
    operation_id="listJobs",
    summary="List jobs",
    response_description="A page of jobs",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def list_jobs(
    session: NamedDependency[Session],
    limit: PageLimit = PAGE,
    after: Annotated[UUID | None, QueryParameter(description="`next` of the page before.")] = None,
    status: Annotated[Status | None, QueryParameter(description="Only these.")] = None,
    kind: Annotated[str | None, QueryParameter(description="Only of this kind.")] = None,
) -> JobPage:
    """The organization's jobs, newest first."""
    found = await session.call(
        "list_jobs", returning=Job, read_only=True,
        p_limit=limit, p_after=after, p_status=status, p_kind=kind,
    )  # fmt: skip
    return JobPage(found, next=found[-1].job_id if len(found) == limit else None)


@get(
    "/{job_id:str}",
    operation_id="getJob",
    summary="Get a job",
    response_description="The job",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def get_job(job_id: FromPath[UUID], session: NamedDependency[Session]) -> Job:
    """How far a job is, and what came of it."""
    return await _read(session, job_id)


@post(
    "/{job_id:str}/cancel",
    operation_id="cancelJob",
    summary="Cancel a job",
    status_code=200,
    response_description="It is cancelled, or will be as soon as its worker has let go of it",
    responses=problems.responses(400, 401, 403, 404, 409, 422, 503),
)
async def cancel_job(job_id: FromPath[UUID], session: NamedDependency[Session]) -> Job:
    """Cancel a job that has not ended; what it has stored stays stored."""
    await session.call("cancel_job", returning=JsonObject, p_job_id=job_id)
    return await _read(session, job_id)


@post(
    "/{job_id:str}/retry",
    operation_id="retryJob",
    summary="Retry a job",
    status_code=200,
    response_description="It waits for a worker again",
    responses=problems.responses(400, 401, 403, 404, 409, 422, 503),
)
async def retry_job(job_id: FromPath[UUID], session: NamedDependency[Session]) -> Job:
    """Try a job again that failed for good or was cancelled."""
    await session.call("retry_failed", returning=JsonObject, p_job_id=job_id)
    return await _read(session, job_id)


@post(
    "/retry",
    operation_id="retryJobs",
    summary="Retry all that failed",
    status_code=200,
    response_description="How many wait for a worker again",
    responses=problems.responses(400, 401, 403, 415, 422, 503),
    operation_class=OptionalBody,
)
async def retry_jobs(
    session: NamedDependency[Session], data: JSONBody[RetryJobs | None] = None
) -> Retried:
    """Try all jobs again that failed for good, one's own or, with `rag:config`, everybody's."""
    arguments = data.arguments() if data else {}
    [row] = await session.call("retry_failed", returning=JsonObject, **arguments)
    return msgspec.convert({"retried": row["retry_failed"]}, Retried)


@get(
    "/{job_id:str}/events",
    operation_id="watchJob",
    summary="Watch a job",
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            str, media_type="text/event-stream", generate_examples=False,
            description="An event `progress` with the job whenever it changed, then one `end`",
        ),
        204: ResponseSpec(None, description="Its end was seen: Last-Event-ID is that of `end`"),
        **problems.responses(400, 401, 403, 404, 422, 503),
    },
)  # fmt: skip
async def watch_job(
    job_id: FromPath[UUID],
    session: NamedDependency[Session],
    state: State,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(
            name="Last-Event-ID", description="`id` of the last event that was received."
        ),
    ] = None,
) -> ServerSentEvent | Response[None]:
    """Server-sent events: the job as it is now, whenever it changes, and a last time at its end.

    Whoever comes back with the header Last-Event-ID is told nothing twice.
    """
    job = await _read(session, job_id)
    if job.finished_at is not None and last_event_id == _event_id(msgspec.json.encode(job)):
        return Response(None, status_code=204)
    return ServerSentEvent(
        _events(session, state.job_events, job_id, last_event_id),
        headers={"Cache-Control": "no-store"},
    )


def _event_id(data: bytes) -> str:
    """An event is the whole job, so what it says is what tells it from others."""
    return sha256(data).hexdigest()[:16]


async def _events(
    session: Session, events: JobEvents, job_id: UUID, said: str | None
) -> AsyncGenerator[ServerSentEventMessage]:
    async with events.of(job_id) as changed:
        while True:
            changed.clear()
            try:
                job = await _read(session, job_id)
            except RagdbError as error:
                if error.problem.status < 500:  # the key was revoked, or the job is forgotten
                    yield ServerSentEventMessage(error.problem.code, event="error")
                    return
            else:
                data = msgspec.json.encode(job)
                has_ended = job.finished_at is not None
                event_id = _event_id(data)
                if event_id != said:
                    event = "end" if has_ended else "progress"
                    yield ServerSentEventMessage(data, event=event, id=event_id)
                else:
                    yield ServerSentEventMessage(None, comment="still here")
                if has_ended:
                    return
                said = event_id
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_OF_SILENCE):
                    await changed.wait()
            if events.is_closing:
                return


async def _read(session: Session, job_id: UUID) -> Job:
    [job] = await session.call("get_job", returning=Job, read_only=True, p_job_id=job_id)
    return job


router = Router(
    "/jobs",
    tags=["Jobs"],
    route_handlers=[enqueue_job, list_jobs, get_job, cancel_job, retry_job, retry_jobs, watch_job],
)
