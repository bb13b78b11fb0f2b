"""`ragdb source`: where documents come from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from ragdb_cli.session import Client

_SECONDS_BETWEEN_LOOKS = 0.5
_WORKSPACE = click.option("--workspace", metavar="SLUG", help="Where, if there are several.")
_COUNTS = ("seen", "added", "changed", "unchanged", "failed", "deleted")


@group("source")
def cli() -> None:
    """Have sources read again and again; list where documents come from."""


@cli.command("types")
@click.pass_obj
def types(session: Session) -> None:
    """List what sources can be, and what each has to be told."""
    with session.member() as client:
        rows = client.read("source_types")
    if session.output.is_json:
        session.output.document({"types": rows})
        return
    for row in rows:
        row["config"] = ", ".join(row["config"])
        row["secrets"] = ", ".join(row["secrets"])
    session.output.table(rows, ("type", "description", "config", "secrets"))


@cli.command("add")
@click.argument("name")
@click.argument("type_")
@click.option("--config", type=JSON_OBJECT, default="{}", help="See: ragdb source types --json")
@click.option(
    "--secrets", "secrets_file", type=click.File("r", "utf-8"),
    help="A JSON object of secrets; - reads standard input. Left out, those that are there stay.",
)  # fmt: skip
@click.option("--workspace", metavar="SLUG", help="Default: the default workspace.")
@click.option(
    "--visibility", type=click.Choice(["private", "workspace", "organization"]),
    default="workspace", show_default=True,
)  # fmt: skip
@click.option("--label", "labels", multiple=True, help="For all its documents; may be repeated.")
@click.option("--cron", help='When to refresh it, like "0 3 * * *"; default: on request only.')
@click.option("--time-zone", default="UTC", show_default=True, help="Like Europe/Berlin.")
@click.option(
    "--sweep-limit", type=click.FloatRange(0, 1), default=0.5, show_default=True,
    help="The share of its documents that one refresh may delete.",
)  # fmt: skip
@click.pass_obj
def add(
    session: Session, name: str, type_: str, config: dict[str, Any], secrets_file: Any,
    workspace: str | None, visibility: str, labels: tuple[str, ...], cron: str | None,
    time_zone: str, sweep_limit: float,
) -> None:  # fmt: skip
    """Have the source NAME read by workers, or change how it is.

    TYPE is one of `ragdb source types`. Refreshed in your name: see `ragdb source refresh`.
    """
    given = None if secrets_file is None else JSON_OBJECT.convert(secrets_file.read(), None, None)
    with session.member() as client:
        secrets = None
        if given is not None:
            secrets = _sealed(session, client, name, type_, config, given)
        made = client.call(
            "put_source", p_name=name, p_type=type_, p_config=config, p_secrets=secrets,
            p_workspace=workspace, p_visibility=visibility, p_labels=list(labels), p_cron=cron,
            p_time_zone=time_zone, p_sweep_limit=sweep_limit,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
        return
    due = made["next_run_at"]
    said = due.astimezone().strftime("next at %Y-%m-%d %H:%M") if due else "refreshed on request"
    session.output.text(f"{'Added' if made['is_new'] else 'Changed'} {name}: {said}.")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the sources and how many documents each has."""
    with session.member() as client:
        rows = client.read("sources")
    if session.output.is_json:
        session.output.document({"sources": rows})
        return
    columns = ("name", "type", "workspace", "documents", "cron", "refreshed_at", "last_status")
    session.output.table(rows, columns)


@cli.command("show")
@click.argument("name")
@_WORKSPACE
@click.pass_obj
def show(session: Session, name: str, workspace: str | None) -> None:
    """Show a source and how it is read, without its secrets."""
    with session.member() as client:
        source_id = _find(client, name, workspace)
        row = client.call("get_source", read_only=True, p_source_id=source_id)[0]
    if session.output.is_json:
        session.output.document(row)
        return
    session.output.fields(row)


@cli.command("refresh")
@click.argument("name")
@_WORKSPACE
@click.option("--full", is_flag=True, help="All of it, and not what changed since.")
@click.option(
    "--sweep-limit", type=click.FloatRange(0, 1),
    help="The share of its documents that may be deleted this time.",
)  # fmt: skip
@click.option("--wait", is_flag=True, help="Until it is done; exit code 1 when that fails.")
@click.pass_obj
def refresh(
    session: Session, name: str, workspace: str | None, full: bool, sweep_limit: float | None,
    wait: bool,
) -> int:  # fmt: skip
    """Have a source read again by a worker; prints the job's id."""
    with session.member() as client, session.output.status("Waiting") as say:
        job = client.call(
            "refresh_source", p_source_id=_find(client, name, workspace), p_full=full,
            p_sweep_limit=sweep_limit,
        )[0]  # fmt: skip
        while wait and job.get("finished_at") is None:
            job = client.call("get_job", read_only=True, p_job_id=job["job_id"])[0]
            say(f"{job['status']}{': ' + job['message'] if job['message'] else ''}")
            time.sleep(0 if job["finished_at"] else _SECONDS_BETWEEN_LOOKS)
    if session.output.is_json:
        session.output.document(job)
    elif not wait:
        session.output.text(str(job["job_id"]))
    else:
        result: dict[str, Any] = job["result"] or {}
        counts = ", ".join(f"{result[count]} {count}" for count in _COUNTS if count in result)
        said = result.get("message") or job["error_message"]
        session.output.text(f"{result.get('status') or job['status']}: {counts or said}")
        if counts and said:
            session.output.note(said)
    return 0 if not wait or job["status"] == "succeeded" else 1


@cli.command("runs")
@click.argument("name")
@_WORKSPACE
@click.option("-n", "--limit", type=int, default=20, show_default=True)
@click.pass_obj
def runs(session: Session, name: str, workspace: str | None, limit: int) -> None:
    """List how a source was read, the last time first."""
    with session.member() as client:
        source_id = _find(client, name, workspace)
        rows = client.call("list_sync_runs", read_only=True, p_source_id=source_id, p_limit=limit)
    if session.output.is_json:
        session.output.document({"runs": rows})
        return
    session.output.table(rows, ("started_at", "status", *_COUNTS, "error", "message"))


@cli.command("errors")
@click.argument("name")
@_WORKSPACE
@click.option("--run", "run_id", type=click.UUID, help="Which; default: the last.")
@click.option("-n", "--limit", type=int, default=100, show_default=True)
@click.pass_obj
def errors(
    session: Session, name: str, workspace: str | None, run_id: UUID | None, limit: int
) -> None:
    """List what could not be read from a source, and why."""
    with session.member() as client:
        rows = client.call(
            "list_sync_errors", read_only=True, p_source_id=_find(client, name, workspace),
            p_run_id=run_id, p_limit=limit,
        )  # fmt: skip
    if session.output.is_json:
        session.output.document({"errors": rows})
        return
    session.output.table(rows, ("external_id", "error", "message"))


@cli.command("delete")
@click.argument("name")
@_WORKSPACE
@click.pass_obj
def delete(session: Session, name: str, workspace: str | None) -> None:
    """Delete a source and all its documents."""
    with session.member() as client:
        source_id = _find(client, name, workspace)
        deleted = client.call("delete_source", p_source_id=source_id)[0]["delete_source"]
    if session.output.is_json:
        session.output.document({"deleted": deleted})
    else:
        documents = f"{deleted} document{'' if deleted == 1 else 's'}"
        session.output.text(f"Deleted {name} and {documents}.")


@cli.command("rotate-key")
@click.option("--finish", is_flag=True, help="Wait until that is done, and forget the old keys.")
@click.pass_obj
def rotate_key(session: Session, finish: bool) -> int:
    """Seal all secrets with a new key of RAGDB_HOME/secret.key (for operators).

    Workers do it, in every organization. Until --finish the old keys stay in the file behind the
    new one and open what they have sealed. Other machines that have a copy need the new one.
    """
    from ragdb.paths import SECRET_KEY
    from ragdb.sealing import drop_old_keys, rotate_key_file
    from ragdb_cli.rotation import finished, reseal

    settings = session.settings
    path = settings.home / SECRET_KEY
    with session.operator() as client:
        if settings.sources["secret_key"] not in ("default", str(path)):
            _refuse_to_rotate(settings.sources["secret_key"])
        if not finish:
            rotate_key_file(settings.home)
        kept = settings.current_secret_key()
        jobs = reseal(client)
        if finish:
            jobs = finished(client, jobs, session.output)
    undone = [job["organization"] for job in jobs if job["status"] in ("failed", "cancelled")]
    if finish and not undone:
        drop_old_keys(settings.home, kept)
    if session.output.is_json:
        session.output.document({"file": str(path), "is_finished": finish and not undone,
                                 "jobs": jobs})  # fmt: skip
    elif undone:
        session.output.note(f"Not done in: {', '.join(undone)}. See: ragdb jobs list")
        session.output.text(f"{path} keeps its old keys.")
    elif finish:
        session.output.text(f"{path} has one key, and all secrets are sealed with it.")
    else:
        session.output.text(f"{path} has a new key. Next: ragdb source rotate-key --finish")
    return 1 if undone else 0


def _refuse_to_rotate(variable: str) -> None:
    from ragdb.errors import Problem, RagdbError

    raise RagdbError(
        Problem(
            409, "secret_key_elsewhere", f"The key comes from {variable}.",
            "Put a new one before it there, restart service and workers, have each organization do "
            "ragdb jobs enqueue reseal_secrets, and take the old one out.",
        )
    )  # fmt: skip


def _find(client: Client, name: str, workspace: str | None) -> UUID:
    """The source of that name, or with that id."""
    from ragdb.errors import Problem, RagdbError

    found = [
        row
        for row in client.read("sources")
        if name in (row["name"], str(row["source_id"])) and workspace in (None, row["workspace"])
    ]
    if not found:
        raise RagdbError(
            Problem(
                404, "source_not_found", f"There is no source {name}.", "See: ragdb source list"
            )
        )
    if len(found) > 1:
        raise RagdbError(
            Problem(
                409, "ambiguous_source", f"There are {len(found)} sources {name}.",
                "Give --workspace, or the id: ragdb source list --json",
            )
        )  # fmt: skip
    return found[0]["source_id"]


def _sealed(
    session: Session, client: Client, name: str, type_: str, config: dict[str, Any],
    secrets: dict[str, Any],
) -> bytes:  # fmt: skip
    from ragdb.sources.secrets import Bound, sealed

    types = {row["type"]: row for row in client.read("source_types")}
    known: dict[str, Any] = types.get(type_) or {}
    organization_id = client.call("whoami", read_only=True)[0]["organization_id"]
    bound = Bound(organization_id, name, type_, config, known.get("places", ()))
    written = {key: str(value) for key, value in secrets.items()}
    return sealed(session.settings.secret_key, written, known.get("secrets", ()), bound)
