"""`ragdb analyst`: logins for people who write SQL."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("analyst")
def cli() -> None:
    """Create logins for SQL (for operators)."""


@cli.command("create")
@click.argument("name")
@click.option("--org", metavar="SLUG", required=True, help="The organization whose rows it reads.")
@click.pass_obj
def create(session: Session, name: str, org: str) -> None:
    """Create an SQL login that reads one organization; prints its connection string.

    NAME is written in lower case letters, digits and underscores.
    """
    from ragdb import logins

    with session.operator() as client:
        url = logins.create_analyst(client.database, name, org)
    url = logins.from_elsewhere(url, session.settings)
    output = session.output
    if output.is_json:
        output.document({"login": name, "organization": org, "url": url})
        return
    output.text(url)
    output.note("Keep it: the password is stored nowhere and cannot be shown again.")
    if not logins.is_embedded(session.settings):
        return
    if session.settings.listen_addresses:
        output.note("The embedded server does not encrypt connections: tunnel those from outside.")
    else:
        output.note(
            "It works for whoever may enter RAGDB_HOME. For others, let the server listen on TCP:"
            " set RAGDB_LISTEN_ADDRESSES, then run ragdb stop && ragdb start."
        )
