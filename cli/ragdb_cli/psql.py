"""`ragdb psql`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from ragdb_cli.session import Session


@click.command(
    "psql",
    add_help_option=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PSQL OPTION]...")
@click.pass_obj
def cli(session: Session, arguments: tuple[str, ...]) -> None:
    """Open psql, ready for ragdb.search().

    Connects as the login that `ragdb init` made for SQL: it reads the rows of one organization and
    writes nothing. With --database-url the login given there is used. What follows is psql's own:
    ragdb psql -c "select title, score from ragdb.search('rotate keys')"
    """
    from psycopg import ProgrammingError, pq

    from ragdb import logins
    from ragdb.errors import Problem, RagdbError

    settings = session.settings
    given = session.options.database_url
    url = given or settings.analyst_url or settings.database_url
    if url is None:
        raise RagdbError(Problem(503, "not_installed", f"Nothing is set up in {settings.home}."))
    if url == settings.database_url and not given:
        session.output.note(
            "There is no login for SQL here. In a transaction, first:"
            " select ragdb.begin_context('<API key>');"
        )
    # By environment: other users see the arguments of a process.
    try:
        options = pq.Conninfo.parse(url.encode())
    except ProgrammingError as error:
        raise RagdbError(
            Problem(422, "invalid_database_url", "The database URL cannot be read.")
        ) from error
    environ = dict(os.environ)
    rest: list[str] = []
    for option in options:
        if option.val is None:
            continue
        if option.envvar:
            environ[option.envvar.decode()] = option.val.decode()
        else:
            rest.append(f"{option.keyword.decode()}='{option.val.decode()}'")
    program = _psql(embedded=logins.is_embedded(settings) and not given)
    sys.stdout.flush()
    os.execve(program, [str(program), *rest, *arguments], environ)  # noqa: S606


def _psql(*, embedded: bool) -> Path:
    """The wheel's program has no TLS; for another server the system's own is the better one."""
    from ragdb.embedded.programs import program

    if not embedded and (found := shutil.which("psql")):
        return Path(found)
    return program("psql")
