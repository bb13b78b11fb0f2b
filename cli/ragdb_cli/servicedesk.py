"""`ragdb servicedesk`: the tickets of service desks, read from their databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.session import Session
from ragdb_cli.source import delete, errors, refresh, runs, show

if TYPE_CHECKING:
    from ragdb_cli.session import Client

_TEXT = click.File("r", "utf-8")


@group("servicedesk")
def cli() -> None:
    """Have the tickets of service desks read."""


@cli.command("add")
@click.argument("name")
@click.argument("db_type", type=click.Choice(["postgresql", "mysql", "mariadb", "oracle"]))
@click.option(
    "--tables", "tables_file", type=_TEXT, required=True,
    help="A JSON array: which columns of which tables; - reads standard input.",
)  # fmt: skip
@click.option(
    "--connection", "connection_file", type=_TEXT,
    help="The connection string; - reads standard input. Left out, the one that is there stays.",
)  # fmt: skip
@click.option(
    "--options", type=JSON_OBJECT, default="{}",
    help='Like {"time_zone": "Europe/Berlin"}, of times that have none in the database.',
)  # fmt: skip
@click.option("--workspace", metavar="SLUG", help="Default: the default workspace.")
@click.option("--label", "labels", multiple=True, help="For all its tickets; may be repeated.")
@click.option("--cron", help='When to read it, like "*/15 * * * *"; default: on request only.')
@click.option("--time-zone", default="UTC", show_default=True, help="Of the schedule.")
@click.option("--dry-run", is_flag=True, help="Read some tickets from here, and store nothing.")
@click.pass_obj
def add(
    session: Session, name: str, db_type: str, tables_file: Any, connection_file: Any,
    options: dict[str, Any], workspace: str | None, labels: tuple[str, ...], cron: str | None,
    time_zone: str, dry_run: bool,
) -> None:  # fmt: skip
    """Have the tickets of the service desk NAME read, or change how they are.

    The connection string is like mysql://user:password@host/database?tls=verify. A table is like
    {"table": "tickets", "id": "id", "title": "subject", "description": "body", "category":
    "queue", "priority": "prio", "status": "state", "updated": "updated_at"}.
    """
    from ragdb.outbound import Guard
    from ragdb.sources.driver import Tools
    from ragdb.sources.servicedesk import check, preview

    tables = _array(tables_file.read())
    url = connection_file.read().strip() if connection_file else None
    config = {**options, "db_type": db_type, "tables": tables}
    if dry_run and url is None:
        raise click.UsageError("--dry-run needs --connection.")
    if url is not None:
        reader = check(name, config, url, Tools(Guard(session.settings.allow_hosts)))
        if dry_run:
            _show(session, preview(reader, 5))
            return
    with session.member() as client:
        sealed = None if url is None else _sealed(session, client, name, config, url)
        made = client.call(
            "put_sd_connection", p_name=name, p_db_type=db_type, p_table_mappings=_jsonb(tables),
            p_connection_string=sealed, p_options=options, p_sync_schedule=cron,
            p_time_zone=time_zone, p_workspace=workspace, p_labels=list(labels),
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
        return
    due = made["next_sync"]
    said = due.astimezone().strftime("next at %Y-%m-%d %H:%M") if due else "read on request"
    session.output.text(f"{'Added' if made['is_new'] else 'Changed'} {name}: {said}.")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the service desks and how many tickets each has."""
    with session.member() as client:
        rows = client.read("sd_connections")
    if session.output.is_json:
        session.output.document({"connections": rows})
        return
    columns = ("name", "db_type", "workspace", "tickets", "sync_schedule", "last_sync")
    session.output.table(rows, (*columns, "last_status"))


# A service desk is a source.
cli.add_command(show, "show")
cli.add_command(refresh, "sync")
cli.add_command(runs, "runs")
cli.add_command(errors, "errors")
cli.add_command(delete, "delete")


def _array(text: str) -> list[dict[str, Any]]:
    # An object in an array is checked by the database, which says what is wrong with it.
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--tables") from error
    return cast("list[dict[str, Any]]", parsed if isinstance(parsed, list) else [parsed])


def _jsonb(tables: list[dict[str, Any]]) -> object:
    from psycopg.types.json import Jsonb

    return Jsonb(tables)


def _sealed(session: Session, client: Client, name: str, config: dict[str, Any], url: str) -> bytes:
    from ragdb.sources.secrets import Bound, sealed

    [known] = [row for row in client.read("source_types") if row["type"] == "servicedesk"]
    organization_id = client.call("whoami", read_only=True)[0]["organization_id"]
    bound = Bound(organization_id, name, "servicedesk", config, known["places"])
    return sealed(session.settings.secret_key, {"url": url}, known["secrets"], bound)


def _show(session: Session, tickets: list[dict[str, object]]) -> None:
    if session.output.is_json:
        session.output.document({"tickets": tickets})
        return
    columns = ("external_id", "title", "modified", "metadata", "error", "message")
    session.output.table([{**dict.fromkeys(columns), **row} for row in tickets], columns)
