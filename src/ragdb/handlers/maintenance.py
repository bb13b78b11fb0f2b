"""Upkeep of an organization."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from ragdb.job import Job, JobFailed


class DeleteOldJobs(msgspec.Struct, forbid_unknown_fields=True):
    """Which jobs to forget."""

    days: Annotated[float, Meta(ge=0, le=36_500)] = 30


async def maintain(job: Job) -> object:
    """Clean up in all scopes of the organization.

    What was done is not told: it depends on documents that whoever asked may not read.
    """
    await job.call("maintain")
    return None


async def delete_old_jobs(job: Job) -> object:
    """Forget jobs that ended long ago."""
    try:
        wanted = msgspec.convert(job.payload, DeleteOldJobs)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    [row] = await job.call("delete_old_jobs", p_older_than=timedelta(days=wanted.days))
    return {"deleted": row["delete_old_jobs"]}
