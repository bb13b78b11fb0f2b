"""`ragdb dedupe`."""

from __future__ import annotations

import click
from psycopg.rows import DictRow

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("dedupe")
@click.option("--workspace", metavar="SLUG", help="Only in this one.")
@click.option("--delete", is_flag=True, help="Delete the copies; the oldest stays.")
@click.pass_obj
def cli(session: Session, workspace: str | None, delete: bool) -> None:
    """List documents whose text another document of the workspace has."""
    copies: list[DictRow] = []
    with session.member() as client, session.output.status("Comparing"):
        while rows := client.call("dedupe", p_workspace=workspace, p_apply=delete):
            copies += rows
            if not delete:
                break
    if session.output.is_json:
        session.output.document({"deleted": delete, "copies": copies})
        return
    session.output.table(copies, ("title", "source", "document_id", "kept_title", "kept_id"))
    if copies and not delete:
        session.output.note("Delete these copies with: ragdb dedupe --delete")
