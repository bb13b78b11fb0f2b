"""`ragdb maintain`."""

from __future__ import annotations

from collections.abc import Callable

import click

from ragdb_cli.command import command
from ragdb_cli.session import Client, Session


@command("maintain")
@click.pass_obj
def cli(session: Session) -> None:
    """Clean up what deletes left behind; safe at any time, and searches are faster after it.

    After an upgrade that brought a retrained embedding table it also gives every chunk its new
    vector; searches go on with the old ones until all of them have it.
    """
    with session.member() as client, session.output.status("Cleaning up") as tell:
        rows = [*_reembed(client, tell), *client.call("maintain")]
    if session.output.is_json:
        session.output.document({"tasks": rows})
    else:
        session.output.table(rows, ("task", "rows"))


def _reembed(client: Client, tell: Callable[[str], None]) -> list[dict[str, object]]:
    """Batch by batch, each in a transaction of its own: interrupted, the next run goes on."""
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
    return [
        {"task": "embed chunks with the newest table", "rows": embedded},
        {"task": "drop vectors of older tables", "rows": dropped},
        {"task": "scopes of others still to embed", "rows": step["scopes_left"]},
    ]
