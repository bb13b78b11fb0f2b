"""`ragdb init`."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from ragdb_cli.command import command
from ragdb_cli.output import Output
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from ragdb.bootstrap import InitReport


def _slug(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", value):
        raise click.BadParameter("lower case letters, digits and hyphens, like acme-inc")
    return value


def _email(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", value):
        raise click.BadParameter("an e-mail address, like anna@example.org")
    return value


@command("init")
@click.option("--org", metavar="SLUG", callback=_slug, help="The organization; default: default.")
@click.option("--name", help="Its name, when it is created; default: the slug.")
@click.option(
    "--email", default="admin@localhost", show_default=True, callback=_email,
    help="Its administrator, when it is created.",
)  # fmt: skip
@click.pass_obj
def cli(session: Session, org: str | None, name: str | None, email: str) -> None:
    """Set everything up, or bring it up to date; what is there already stays as it is.

    Starts the embedded PostgreSQL unless a database URL is set, installs or upgrades the schema,
    creates an organization, its administrator, an API key and a login for psql, and writes
    RAGDB_HOME/credentials, which every command reads.
    """
    from ragdb.bootstrap import Wishes, init

    began = time.perf_counter()
    settings = session.settings
    with session.output.status("Setting up") as progress:
        report = init(settings, Wishes(org, name, email), progress)
    seconds = round(time.perf_counter() - began, 2)

    if session.output.is_json:
        session.output.document(
            {
                "changed": bool(report.changes),
                "changes": report.changes,
                "notes": report.notes,
                "home": report.home,
                "credentials": report.credentials,
                "database": {"name": report.database, "server": report.server,
                             "embedded": report.embedded, "version": report.version},
                "organization": report.organization,
                "email": report.email,
                "sql_login": report.sql_login,
                "seconds": seconds,
            }
        )  # fmt: skip
    else:
        _print(session.output, report, seconds)


def _print(output: Output, report: InitReport, seconds: float) -> None:
    where = "embedded " if report.embedded else ""
    server = f"{where}{report.server}"
    output.text(f"ragdb {report.version} in the database {report.database} ({server})")
    output.text(f"organization  {report.organization}, as {report.email}")
    output.text(f"credentials   {report.credentials}")
    for change in report.changes:
        output.note(f"+ {change}")
    for note in report.notes:
        output.note(note)
    output.note(f"Done in {seconds:g} s." if report.changes else "Nothing to change.")
