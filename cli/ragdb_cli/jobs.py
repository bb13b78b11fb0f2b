"""`ragdb jobs`: what workers do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT, MOMENT
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from datetime import datetime

_STATUSES = ("scheduled", "queued", "running", "succeeded", "failed", "cancelled")
_SECONDS_BETWEEN_LOOKS = 0.5


@group("jobs")
def cli() -> None:
    """List, watch, cancel and retry jobs."""


@cli.command("list")
@click.option("-n", "--limit", type=int, default=50, show_default=True)
@click.option("--after", type=click.UUID, metavar="ID", help="Last job of the page before.")
@click.option("--status", type=click.Choice(_STATUSES), help="Those that are so.")
@click.option("--kind", help="Those of this kind.")
@click.pass_obj
def list_(
    session: Session, limit: int, after: UUID | None, status: str | None, kind: str | None
) -> None:
    """List jobs, the newest first."""
    with session.member() as client:
        rows = client.call(
            "list_jobs", read_only=True, p_limit=limit, p_after=after, p_status=status, p_kind=kind
        )
    if session.output.is_json:
        session.output.document({"jobs": rows})
        return
    for row in rows:
        row["progress"] = f"{100 * row['progress']:.0f} %"
    columns = ("job_id", "kind", "status", "progress", "attempt", "email", "created_at", "error")
    session.output.table(rows, columns)


@cli.command("queues")
@click.pass_obj
def queues(session: Session) -> None:
    """Show how many jobs wait in each queue, and for how long."""
    with session.member() as client:
        rows = client.read("queue_health")
    for row in rows:
        waits = row["oldest_waits"]
        row["oldest_waits"] = None if waits is None else round(waits.total_seconds(), 1)
    if session.output.is_json:
        session.output.document({"queues": rows})
        return
    columns = ("queue", "queued", "scheduled", "running", "failed", "succeeded_last_hour")
    session.output.table(rows, (*columns, "oldest_waits"))


@cli.command("enqueue")
@click.argument("kind")
@click.option("--payload", type=JSON_OBJECT, default="{}", help="With what.")
@click.option("--at", "run_at", type=MOMENT, help="Not before: a time like 2h or 2027-01-31.")
@click.option("--priority", type=int, default=5, show_default=True, help="0 to 9, 9 first.")
@click.option("--key", help="Enqueued once, however often with the same key.")
@click.pass_obj
def enqueue(
    session: Session, kind: str, payload: dict[str, Any], run_at: datetime | None, priority: int,
    key: str | None,
) -> None:  # fmt: skip
    """Have something done by a worker; prints the job's id."""
    with session.member() as client:
        made = client.call(
            "enqueue_job", p_kind=kind, p_payload=payload, p_priority=priority, p_run_at=run_at,
            p_idempotency_key=key,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
    else:
        session.output.text(str(made["job_id"]))


@cli.command("show")
@click.argument("job_id", type=click.UUID)
@click.pass_obj
def show(session: Session, job_id: UUID) -> None:
    """Show a job, and what it is about where it is your own."""
    with session.member() as client:
        job = client.call("get_job", read_only=True, p_job_id=job_id)[0]
    _print(session, job)


@cli.command("watch")
@click.argument("job_id", type=click.UUID)
@click.pass_obj
def watch(session: Session, job_id: UUID) -> int:
    """Wait until a job has ended, and show it; exit code 1 when it did not succeed."""
    with session.member() as client, session.output.status("Waiting") as say:
        while True:
            job = client.call("get_job", read_only=True, p_job_id=job_id)[0]
            if job["finished_at"] is not None:
                break
            said = f": {job['message']}" if job["message"] else ""
            say(f"{job['status']}, {100 * job['progress']:.0f} %{said}")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    _print(session, job)
    return 0 if job["status"] == "succeeded" else 1


@cli.command("cancel")
@click.argument("job_id", type=click.UUID)
@click.pass_obj
def cancel(session: Session, job_id: UUID) -> None:
    """Cancel a job that has not ended."""
    with session.member() as client:
        job = client.call("cancel_job", p_job_id=job_id)[0]
    if session.output.is_json:
        session.output.document(job)
    elif job["status"] == "cancelled":
        session.output.text(f"Cancelled {job_id}.")
    else:
        session.output.text(f"{job_id} ends as soon as its worker has let go of it.")


@cli.command("retry")
@click.argument("job_id", type=click.UUID, required=False)
@click.option("--kind", help="All of this kind that failed.")
@click.pass_obj
def retry(session: Session, job_id: UUID | None, kind: str | None) -> None:
    """Try a job again that failed or was cancelled, or all that failed."""
    with session.member() as client:
        retried = client.call("retry_failed", p_job_id=job_id, p_kind=kind)[0]["retry_failed"]
    if session.output.is_json:
        session.output.document({"retried": retried})
    else:
        session.output.text(f"{retried} job{'' if retried == 1 else 's'} will be tried again.")


def _print(session: Session, job: dict[str, Any]) -> None:
    if session.output.is_json:
        session.output.document(job)
    else:
        session.output.fields(job)
