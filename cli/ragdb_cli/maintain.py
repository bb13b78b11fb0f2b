"""`ragdb maintain`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("maintain")
@click.pass_obj
def cli(session: Session) -> None:
    """Clean up what deletes left behind; safe at any time, and searches are faster after it."""
    with session.member() as client, session.output.status("Cleaning up"):
        rows = client.call("maintain")
    if session.output.is_json:
        session.output.document({"tasks": rows})
    else:
        session.output.table(rows, ("task", "rows"))
