"""`ragdb maintain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from ragdb_cli.command import command
from ragdb_cli.owner import table_owner
from ragdb_cli.session import Client, Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

_STEP = 8_000


@command("maintain")
@click.pass_obj
def cli(session: Session) -> None:
    """Clean up what deletes left behind; safe at any time, and searches are faster after it.

    Works in steps, each a transaction: interrupted, it goes on from there the next time. After an
    upgrade that brought a retrained embedding table it also gives every chunk its new vector;
    searches go on with the old ones until all of them have it. Where the operator's login owns the
    tables, the vector index is built anew when that is quicker than inserting into it, or when it
    finds too little.
    """
    from ragdb.vector_index import rebuild

    with session.member() as client, session.output.status("Cleaning up") as tell:
        done = _reembed(client, tell)
        with table_owner(session, client) as owner:
            if owner is not None and rebuild(owner):
                done["build the vector index"] = 1
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


def _reembed(client: Client, tell: Callable[[str], None]) -> dict[str, int]:
    embedded = dropped = 0
    remaining = None
    while True:
        step = client.call("reembed")[0]
        embedded += step["embedded"]
        dropped += step["dropped"]
        # No fewer than before: another session is at it.
        if step["remaining"] in (0, remaining):
            break
        remaining = step["remaining"]
        tell(f"Embedding chunks anew: {remaining:,} left")
    tell("Cleaning up")
    return {
        "embed chunks with the newest table": embedded,
        "drop vectors of older tables": dropped,
        "scopes of others still to embed": step["scopes_left"],
    }
