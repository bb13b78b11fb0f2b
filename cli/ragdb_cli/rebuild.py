"""`ragdb rebuild`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("rebuild")
@click.option("--workspace", metavar="SLUG", help="Only texts of this one.")
@click.option("--after", metavar="NUMBER", type=int, default=0, help="Go on where it ended.")
@click.pass_obj
def cli(session: Session, workspace: str | None, after: int) -> None:
    """Divide, stem and embed all stored texts anew; search goes on meanwhile."""
    texts = chunks = 0
    position: int | None = after
    with session.member() as client, session.output.status("Rebuilding") as step:
        while position is not None:
            try:
                [row] = client.call("rebuild", p_after=position, p_workspace=workspace)
            except KeyboardInterrupt:
                session.output.note(f"Go on with: ragdb rebuild --after {position}")
                raise
            texts, chunks, position = texts + row["texts"], chunks + row["chunks"], row["next"]
            step(f"Rebuilding: {texts} of {texts + row['remaining']} texts")
    if session.output.is_json:
        session.output.document({"texts": texts, "chunks": chunks})
    else:
        session.output.text(f"{texts} texts rebuilt, {chunks} chunks.")
