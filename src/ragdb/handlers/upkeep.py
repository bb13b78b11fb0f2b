"""Upkeep that reads every text: indexing anew, and removing copies."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ragdb.job import Job, JobFailed


class Rebuild(msgspec.Struct, forbid_unknown_fields=True):
    """Which texts to index anew, and how many in one transaction."""

    workspace: str | None = None
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 100


class Dedupe(msgspec.Struct, forbid_unknown_fields=True):
    """Where to look for copies."""

    workspace: str | None = None


async def rebuild(job: Job) -> object:
    """Index all texts anew, a batch in each transaction."""
    try:
        wanted = msgspec.convert(job.payload, Rebuild)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    texts = chunks = 0
    after: int | None = 0
    while after is not None:
        [row] = await job.call(
            "rebuild", p_after=after, p_limit=wanted.batch, p_workspace=wanted.workspace
        )
        texts, chunks, after = texts + row["texts"], chunks + row["chunks"], row["next"]
        total = texts + row["remaining"]
        await job.progress(texts / total if total else 1, f"{texts} of {total} texts")
    return {"texts": texts, "chunks": chunks}


async def dedupe(job: Job) -> object:
    """Delete documents whose text another one has."""
    try:
        wanted = msgspec.convert(job.payload, Dedupe)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    deleted = 0
    while rows := await job.call("dedupe", p_workspace=wanted.workspace, p_apply=True):
        deleted += len(rows)
        await job.progress(0.5, f"{deleted} copies deleted")
    return {"deleted": deleted}
