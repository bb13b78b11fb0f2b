"""`ragdb stop`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("stop")
@click.pass_obj
def cli(session: Session) -> None:
    """Stop the embedded PostgreSQL; sessions end, committed data is safe."""
    from ragdb import logins

    server = logins.server(session.settings)
    was_running = server.status().running
    with session.output.status("Stopping PostgreSQL"):
        server.stop()
    if session.output.is_json:
        session.output.document({"running": False, "stopped": was_running})
    else:
        session.output.text("PostgreSQL stopped." if was_running else "PostgreSQL does not run.")
