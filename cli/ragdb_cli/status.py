"""`ragdb status`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("status")
@click.pass_obj
def cli(session: Session) -> int:
    """Show whether the database is there and holds this version; exit code 0, 3 or 6."""
    from ragdb import logins
    from ragdb.bootstrap import schema
    from ragdb.db import Database
    from ragdb.errors import RagdbError
    from ragdb_cli.failures import UNREACHABLE, VERSION, exit_code

    settings = session.settings
    shown: dict[str, object] = {"home": settings.home}
    if logins.is_embedded(settings):
        server = logins.server(settings)
        status = server.status()
        shown["server"] = {**asdict(status), "uptime": status.uptime and round(status.uptime)}
        state = "ready" if status.ready else "starting" if status.running else "stopped"
        lines = [f"server    {state}" + (f", process {status.pid}" if status.pid else "")]
    else:
        shown["server"] = None
        lines = ["server    not ragdb's own"]

    code = 0
    try:
        if settings.database_url is None:
            code = UNREACHABLE if not shown["server"] else VERSION
            shown["database"] = {"state": "missing", "message": "Nothing is set up."}
            lines.append("database  nothing is set up; run: ragdb init")
        else:
            with Database.connect(settings.database_url) as database:
                found = schema(database)
                code = 0 if found.ok else VERSION
                shown["database"] = {
                    "state": found.state, "version": found.database, "message": found.message,
                    "name": database.connection.info.dbname,
                }  # fmt: skip
            lines.append(f"database  {found.message}")
    except RagdbError as error:
        code = exit_code(error.problem)
        shown["database"] = {"state": "unreachable", "message": error.problem.message}
        lines.append(f"database  {error.problem.message}")

    if session.output.is_json:
        session.output.document(shown)
    else:
        for line in [f"home      {settings.home}", *lines]:
            session.output.text(line)
    return code
