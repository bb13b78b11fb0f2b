"""Schedules: jobs that are made again and again; and the queues they end up in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import JsonObject, Request, described


class ScheduleRequest(Request):
    """When a job is to be made, and which."""

    name: Annotated[str, described("Its name.", "nightly", min_length=1, max_length=200)]
    cron: Annotated[
        str,
        described(
            "Minute, hour, day, month and weekday, or `@hourly`, `@daily`, `@weekly`, `@monthly`,"
            " `@yearly`.",
            "30 2 * * mon-fri",
        ),
    ]
    kind: Annotated[str, described("What is to be done.", "maintain")]
    payload: Annotated[JsonObject | None, described("With what.", {"days": 7})] = None
    time_zone: Annotated[
        str | None, described("In which `cron` is meant; default UTC.", "Europe/Berlin")
    ] = None
    is_enabled: Annotated[bool | None, described("Whether it makes jobs; default true.")] = None


class ScheduleStored(msgspec.Struct):
    """A schedule that was stored."""

    schedule_id: UUID
    next_run_at: datetime


class Schedule(msgspec.Struct, kw_only=True):
    """A schedule, and what came of it last."""

    schedule_id: UUID
    name: str
    cron: str
    time_zone: str
    kind: str
    payload: JsonObject
    is_enabled: bool
    email: Annotated[str | None, Meta(description="In whose name its jobs run.")]
    next_run_at: datetime
    last_run_at: datetime | None
    last_job_id: UUID | None
    last_status: str | None


class ScheduleList(msgspec.Struct):
    """Every schedule of the organization."""

    schedules: list[Schedule]


class Queue(msgspec.Struct, kw_only=True):
    """How much there is to do."""

    queue: str
    queued: int
    scheduled: Annotated[int, Meta(description="Not due yet, or waiting for another attempt.")]
    running: int
    failed: Annotated[int, Meta(description="Failed for good, and not tried again.")]
    succeeded_last_hour: int
    oldest_waits: Annotated[
        timedelta | None, Meta(description="Since when the oldest has been due (ISO 8601).")
    ]


class QueueList(msgspec.Struct):
    """Every queue, empty ones too."""

    queues: list[Queue]


@get(
    operation_id="listSchedules",
    summary="List schedules",
    response_description="All of the organization",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_schedules(session: NamedDependency[Session]) -> ScheduleList:
    """When each makes its next job, and what became of the last."""
    return ScheduleList(await session.read("schedules", returning=Schedule))


@put(
    operation_id="putSchedule",
    summary="Store a schedule",
    response_description="It is stored",
    responses=problems.responses(400, 401, 403, 413, 415, 422, 503),
)
async def put_schedule(
    data: JSONBody[ScheduleRequest], session: NamedDependency[Session]
) -> ScheduleStored:
    """Make a schedule, or change the one of that name; its jobs run as the caller."""
    [stored] = await session.call("put_schedule", returning=ScheduleStored, **data.arguments())
    return stored


@delete(
    operation_id="deleteSchedule",
    summary="Delete a schedule",
    response_description="It is gone; the jobs it has made stay",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def delete_schedule(
    session: NamedDependency[Session],
    name: Annotated[str, QueryParameter(description="Which.")],
) -> None:
    """Make no more jobs by a schedule."""
    await session.call("delete_schedule", returning=JsonObject, p_name=name)


@get(
    "/queues",
    operation_id="listQueues",
    summary="List queues",
    tags=["Jobs"],
    response_description="All queues",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_queues(session: NamedDependency[Session]) -> QueueList:
    """How many jobs wait, run and have failed, and how long the oldest has been waiting."""
    return QueueList(await session.read("queue_health", returning=Queue))


router = Router(
    "/schedules",
    tags=["Jobs"],
    route_handlers=[list_schedules, put_schedule, delete_schedule],
)
