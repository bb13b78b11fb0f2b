"""`ragdb source`: where documents come from."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("source")
def cli() -> None:
    """List where documents come from."""


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the sources and how many documents each has."""
    with session.member() as client:
        rows = client.read("sources")
    if session.output.is_json:
        session.output.document({"sources": rows})
    else:
        session.output.table(rows, ("name", "type", "workspace", "documents", "created_at"))
