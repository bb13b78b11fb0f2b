"""Rotating the key that secrets of data sources are sealed with, in all organizations."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ragdb_cli.session import Client

if TYPE_CHECKING:
    from ragdb_cli.output import Output

_SECONDS_BETWEEN_LOOKS = 0.5


def reseal(operator: Client) -> list[dict[str, Any]]:
    """Have workers seal all secrets with the current key; a job for each organization."""
    from ragdb.errors import RagdbError

    jobs: list[dict[str, Any]] = []
    for row in operator.call("organizations", read_only=True):
        client = _acting_for(operator, row["slug"])
        try:
            job = client.call("enqueue_job", p_kind="reseal_secrets")[0]
        except RagdbError as error:
            if error.problem.code != "organization_not_found":
                raise
            # Without an administrator there is nobody in whose name to do it.
            job = {"job_id": None, "status": "failed", "error": "no_administrator"}
        jobs.append({"organization": row["slug"], "error": None, **job})
    return jobs


def finished(operator: Client, jobs: list[dict[str, Any]], output: Output) -> list[dict[str, Any]]:
    """The jobs once all of them have ended."""
    ended: list[dict[str, Any]] = []
    with output.status("Waiting for workers") as say:
        for job in jobs:
            client, error = _acting_for(operator, job["organization"]), job["error"]
            while job["status"] not in ("succeeded", "failed", "cancelled"):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                row = client.call("get_job", read_only=True, p_job_id=job["job_id"])[0]
                job, error = {**job, "status": row["status"]}, row["error"]
            ended.append({**job, "error": error})
            say(f"Sealed anew in {len(ended)} of {len(jobs)} organizations")
    return ended


def _acting_for(operator: Client, organization: str) -> Client:
    return replace(operator, caller=replace(operator.caller, organization=organization))
