"""`ragdb start`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("start")
@click.pass_obj
def cli(session: Session) -> None:
    """Start the embedded PostgreSQL; does nothing when it runs."""
    from ragdb import logins

    server = logins.server(session.settings)
    was_ready = server.status().ready
    with session.output.status("Starting PostgreSQL") as progress:
        server.start(progress)
    if session.output.is_json:
        session.output.document({"running": True, "started": not was_ready})
    else:
        session.output.text("PostgreSQL runs already." if was_ready else "PostgreSQL runs.")
