"""Upkeep of an organization."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from ragdb.job import Job, JobFailed

_STEP = 8_000
"""Chunks in one transaction: a heartbeat finds it done, and an interruption loses little."""


class DeleteOldJobs(msgspec.Struct, forbid_unknown_fields=True):
    """Which jobs to forget."""

    days: Annotated[float, Meta(ge=0, le=36_500)] = 30


async def maintain(job: Job) -> object:
    """Clean up in all scopes of the organization, and follow a retrained embedding table.

    What was done is not told: it depends on documents that whoever asked may not read.
    """
    remaining: int | None = None
    while True:
        [step] = await job.call("reembed")
        # No fewer than before: somebody else is at it.
        if step["remaining"] in (0, remaining):
            break
        remaining = step["remaining"]
        await job.progress(0, "Embedding chunks anew")
    done = 0
    while True:
        rows = await job.call("maintain", p_limit=_STEP)
        left = sum(row["remaining"] for row in rows)
        touched = sum(row["rows"] for row in rows)
        if not left or not touched:
            return None
        done += touched
        await job.progress(done / (done + left), "Cleaning up")


async def delete_old_jobs(job: Job) -> object:
    """Forget jobs that ended long ago."""
    try:
        wanted = msgspec.convert(job.payload, DeleteOldJobs)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    [row] = await job.call("delete_old_jobs", p_older_than=timedelta(days=wanted.days))
    return {"deleted": row["delete_old_jobs"]}
