"""`ragdb schedule`: jobs that are made again and again."""

from __future__ import annotations

from typing import Any

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.session import Session


@group("schedule")
def cli() -> None:
    """Have jobs done again and again."""


@cli.command("put")
@click.argument("name")
@click.argument("cron")
@click.argument("kind")
@click.option("--payload", type=JSON_OBJECT, default="{}", help="With what.")
@click.option("--time-zone", default="UTC", show_default=True, help="Like Europe/Berlin.")
@click.option("--disabled", is_flag=True, help="Keep it, and make no jobs.")
@click.pass_obj
def put(
    session: Session, name: str, cron: str, kind: str, payload: dict[str, Any], time_zone: str,
    disabled: bool,
) -> None:  # fmt: skip
    """Make a schedule, or change the one of that name; its jobs run as you.

    CRON is minute, hour, day, month and weekday, like "30 2 * * mon-fri", or @hourly, @daily,
    @weekly, @monthly or @yearly.
    """
    with session.member() as client:
        made = client.call(
            "put_schedule", p_name=name, p_cron=cron, p_kind=kind, p_payload=payload,
            p_time_zone=time_zone, p_is_enabled=not disabled,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
    else:
        due = made["next_run_at"].astimezone().strftime("%Y-%m-%d %H:%M")
        session.output.text(f"{name}: next at {due}." if not disabled else f"{name}: disabled.")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the schedules."""
    with session.member() as client:
        rows = client.read("schedules")
    if session.output.is_json:
        session.output.document({"schedules": rows})
        return
    columns = ("name", "cron", "time_zone", "kind", "is_enabled", "next_run_at", "last_status")
    session.output.table(rows, columns)


@cli.command("rm")
@click.argument("name")
@click.pass_obj
def remove(session: Session, name: str) -> None:
    """Delete a schedule; the jobs it has made stay."""
    with session.member() as client:
        client.call("delete_schedule", p_name=name)
    if session.output.is_json:
        session.output.document({"deleted": 1})
    else:
        session.output.text(f"Deleted the schedule {name}.")
