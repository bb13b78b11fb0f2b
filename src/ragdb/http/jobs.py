"""Jobs: what is done later, how far it is, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage
from msgspec import Meta

from ragdb.errors import RagdbError
from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.events import JobEvents
from ragdb.http.models import PAGE, JsonObject, PageLimit, Request

# Proxies end a connection that says nothing for a minute.
_SECONDS_OF_SILENCE = 15.0

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        description="Sent again, it returns the job that was enqueued with it.",
        schema_extra={"minLength": 1, "maxLength": 255},
    ),
]
Status = Literal["scheduled", "queued", "running", "succeeded", "failed", "cancelled"]


class EnqueueJob(Request):
    """Something to be done by a worker."""

    kind: Annotated[str, Meta(description="What is to be done.", examples=["maintain"])]
    payload: Annotated[
        JsonObject | None, Meta(description="With what.", examples=[{"days": 7}])
    ] = None
    priority: Annotated[
        Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None,
        Meta(
            description="0 to 9, 9 is done first; default 5.",
            examples=[5],
            extra_json_schema={"extra": {"minimum": 0, "maximum": 9}},
        ),
    ] = None
    run_at: Annotated[
        str | None, Meta(description="Not before this moment.", examples=["2027-01-31T03:00:00Z"])
    ] = None


class Enqueued(msgspec.Struct):
    """A job that waits for a worker."""

    job_id: UUID
    status: Status
    is_new: Annotated[bool, Meta(description="False where the idempotency key had a job already.")]


class Job(msgspec.Struct, kw_only=True):
    """A job and how far it is. Message, error message and result are its owner's alone."""

    job_id: UUID
    kind: str
    queue: str
    status: Status
    priority: int
    progress: Annotated[float, Meta(description="From 0 to 1.")]
    message: str | None
    attempt: int
    max_attempts: int
    email: Annotated[str | None, Meta(description="Who asked for it.")]
    schedule: Annotated[str | None, Meta(description="The schedule that made it.")]
    run_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    cancel_requested: bool
    error: Annotated[str | None, Meta(description="Machine name of why the last attempt failed.")]
    error_message: str | None
    result: object


class JobPage(msgspec.Struct):
    """Jobs, newest first."""

    jobs: list[Job]
    next: Annotated[
        UUID | None, Meta(description="The parameter `after` for the next page; null at the end.")
    ]


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
    session: Session, idempotency_key: str | None, **arguments: Any
) -> Response[Enqueued]:
    """Enqueue a job: the response that says where it is."""
    if idempotency_key is not None:
        arguments["p_idempotency_key"] = idempotency_key
    [enqueued] = await session.call("enqueue_job", returning=Enqueued, **arguments)
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
        **problems.responses(400, 401, 403, 404, 422, 503),
    },
)  # fmt: skip
async def watch_job(
    job_id: FromPath[UUID], session: NamedDependency[Session], state: State
) -> ServerSentEvent:
    """Server-sent events: the job as it is now, whenever it changes, and a last time at its end."""
    await _read(session, job_id)
    return ServerSentEvent(
        _events(session, state.job_events, job_id), headers={"Cache-Control": "no-store"}
    )


async def _events(
    session: Session, events: JobEvents, job_id: UUID
) -> AsyncGenerator[ServerSentEventMessage]:
    said: bytes | None = None
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
                if data != said:
                    yield ServerSentEventMessage(data, event="end" if has_ended else "progress")
                else:
                    yield ServerSentEventMessage(None, comment="still here")
                if has_ended:
                    return
                said = data
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
    route_handlers=[enqueue_job, list_jobs, get_job, cancel_job, retry_job, watch_job],
)
