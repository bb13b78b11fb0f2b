"""Documents that come in as a job."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta
from psycopg.types.json import Jsonb

from ragdb.ingest import Limits
from ragdb.job import Job, JobFailed


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments of ragdb.put_documents()."""

    documents: Annotated[list[Any], Meta(max_length=100_000)]
    source: str = "default"
    workspace: str | None = None
    visibility: str = "workspace"


async def put_documents(job: Job) -> object:
    """Store documents, a batch in each transaction; those of a batch that ended stay.

    The result counts them by what became of them, and names those that failed.
    """
    try:
        payload = msgspec.convert(job.payload, Payload)
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    counted: Counter[str] = Counter()
    failed: list[dict[str, object]] = []
    done = 0
    while done < len(payload.documents):
        batch = _batch(payload.documents, done)
        rows = await job.call(
            "put_documents", p_documents=Jsonb(batch), p_source=payload.source,
            p_workspace=payload.workspace, p_visibility=payload.visibility,
        )  # fmt: skip
        for row in rows:
            counted[row["status"]] += 1
            if row["status"] == "failed":
                failed.append(
                    {
                        "ordinal": done + row["ordinal"], "external_id": row["external_id"],
                        "error": row["error"], "message": row["message"],
                    }
                )  # fmt: skip
        done += len(batch)
        await job.progress(
            done / len(payload.documents), f"{done} of {len(payload.documents)} documents"
        )
    return {"documents": dict(counted), "failed": failed[:1000]}


def _batch(documents: list[Any], start: int) -> list[Any]:
    """As many of the documents as one transaction takes."""
    characters, limits = 0, Limits()
    for end, document in enumerate(documents[start : start + limits.documents], start + 1):
        if isinstance(document, dict):
            content = cast("dict[str, Any]", document).get("content")
            characters += len(content) if isinstance(content, str) else 0
        if characters >= limits.characters:
            return documents[start:end]
    return documents[start : start + limits.documents]
