"""`ragdb version`."""

from __future__ import annotations

import platform

import click

from ragdb import __version__
from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("version")
@click.pass_obj
def cli(session: Session) -> None:
    """Show the versions of ragdb, of its schema, and of what they run on."""
    from ragdb.bootstrap import schema
    from ragdb.db import Database
    from ragdb.doctor import extension_version
    from ragdb.errors import RagdbError

    shown: dict[str, str | None] = {
        "ragdb": __version__, "schema": None, "postgresql": None, "pgvector": None,
        "python": platform.python_version(),
    }  # fmt: skip
    url = session.settings.database_url
    if url is not None:
        try:
            with Database.connect(url) as database:
                number = database.connection.info.server_version
                shown["postgresql"] = f"{number // 10000}.{number % 10000}"
                shown["schema"] = schema(database).database
                shown["pgvector"] = extension_version(database, "vector")
        except RagdbError as error:
            session.output.note(error.problem.message)
    if session.output.is_json:
        session.output.document(shown)
        return
    for name, value in shown.items():
        session.output.text(f"{name:<11} {value or '-'}")
