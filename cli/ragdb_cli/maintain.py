"""`ragdb maintain`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from ragdb_cli.command import command
from ragdb_cli.owner import table_owner
from ragdb_cli.session import Client, Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

_STEP = 8_000


@command("maintain")
@click.option("--check", is_flag=True, help="Also look whether texts, chunks and indexes agree.")
@click.pass_obj
def cli(session: Session, check: bool) -> int:
    """Clean up what deletes left behind; safe at any time, and searches are faster after it.

    Works in steps, each a transaction: interrupted, it goes on from there the next time. After an
    upgrade that brought a retrained embedding table it also gives every chunk its new vector;
    searches go on with the old ones until all of them have it. Where the operator's login owns the
    tables, the vector index is built anew when that is quicker than inserting into it, or when it
    finds too little, and tables that have changed a lot are analyzed.
    """
    from ragdb.errors import RagdbError
    from ragdb.vector_index import rebuild

    with session.member() as client, session.output.status("Cleaning up") as tell:
        done = _reembed(client, tell)
        loose: list[DictRow] = []
        with table_owner(session, client) as owner:
            if owner is not None:
                done["build the vector index"] = int(rebuild(owner))
                with suppress(RagdbError):  # a login that does not own the tables
                    tables = owner("analyze_tables")
                    done["analyze tables"] = sum(table["is_analyzed"] for table in tables)
                    loose = [table for table in tables if table["needs_vacuum"]]
        while True:
            rows = client.call("maintain", p_limit=_STEP)
            for row in rows:
                done[row["task"]] = done.get(row["task"], 0) + row["rows"]
            left = sum(row["remaining"] for row in rows)
            if not left or not any(row["rows"] for row in rows):
                break
            tell(f"Cleaning up, {left:,} chunks to go")
        problems = _problems(client, tell) if check else []
    tasks: list[DictRow] = [{"task": task, "rows": count} for task, count in done.items()]
    if session.output.is_json:
        session.output.document({"tasks": tasks, "vacuum": loose, "problems": problems})
    else:
        session.output.table(tasks, ("task", "rows"))
        for table in loose:
            session.output.note(
                f"{table['dead']:,} deleted rows in {table['name']}: vacuum analyze {table['name']}"
            )
        for problem in problems:
            session.output.warn(f"{problem['rows']:,} {problem['problem']}: see ragdb rebuild")
    return 1 if problems else 0


def _problems(client: Client, tell: Callable[[str], None]) -> list[DictRow]:
    tell("Comparing texts, chunks and indexes")
    return [row for row in client.call("check_integrity", read_only=True) if row["rows"]]


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
