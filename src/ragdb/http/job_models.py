"""What requests and responses about jobs look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar.params import HeaderParameter
from msgspec import Meta

from ragdb.http.models import JsonObject, Request

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


class RetryJobs(Request):
    """Which of the jobs that failed."""

    kind: Annotated[str | None, Meta(description="Only of this kind.")] = None


class Retried(msgspec.Struct):
    """How many jobs will be tried again."""

    retried: int


class JobPage(msgspec.Struct):
    """Jobs, newest first."""

    jobs: list[Job]
    next: Annotated[
        UUID | None, Meta(description="The parameter `after` for the next page; null at the end.")
    ]
