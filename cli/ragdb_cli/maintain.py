"""`ragdb maintain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

_STEP = 8_000


@command("maintain")
@click.pass_obj
def cli(session: Session) -> None:
    """Clean up what deletes left behind; safe at any time, and searches are faster after it.

    Works in steps, each a transaction: interrupted, it goes on from there the next time.
    """
    done: dict[str, int] = {}
    with session.member() as client, session.output.status("Cleaning up") as tell:
        while True:
            rows = client.call("maintain", p_limit=_STEP)
            for row in rows:
                done[row["task"]] = done.get(row["task"], 0) + row["rows"]
            left = sum(row["remaining"] for row in rows)
            if not left or not any(row["rows"] for row in rows):
                break
            tell(f"Cleaning up, {left:,} chunks to go")
    tasks: list[DictRow] = [{"task": task, "rows": count} for task, count in done.items()]
    if session.output.is_json:
        session.output.document({"tasks": tasks})
    else:
        session.output.table(tasks, ("task", "rows"))
