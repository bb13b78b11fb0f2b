"""`ragdb chunking`: how documents of a media type are divided."""

from __future__ import annotations

import click
from psycopg.types.json import Jsonb

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.session import Session

_WORKSPACE = click.option("--workspace", metavar="SLUG", help="Default: the default workspace.")


@group("chunking")
def cli() -> None:
    """Say how documents of a media type are divided into chunks."""


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the presets, and what workspaces use instead."""
    with session.member() as client:
        presets, profiles = client.read("chunk_presets"), client.read("chunk_profiles")
    if session.output.is_json:
        session.output.document({"presets": presets, "profiles": profiles})
        return
    session.output.table(presets, ("preset", "mimes", "description"))
    if profiles:
        session.output.table(profiles, ("workspace", "mime", "profile"))


@cli.command("set")
@click.argument("mime")
@click.argument("preset", required=False)
@click.option("--profile", type=JSON_OBJECT, help="Instead of a preset, as ragdb.chunk_text().")
@_WORKSPACE
@click.pass_obj
def set_(
    session: Session,
    mime: str,
    preset: str | None,
    profile: dict[str, object] | None,
    workspace: str | None,
) -> None:
    """Divide documents of the type MIME (text/csv, text/*, *) by a preset or a profile."""
    if (preset is None) == (profile is None):
        raise click.UsageError("Give a PRESET or --profile.")
    with session.member() as client:
        client.call(
            "put_chunk_profile",
            p_mime=mime, p_profile=Jsonb(preset or profile), p_workspace=workspace,
        )  # fmt: skip
    if session.output.is_json:
        session.output.document({"mime": mime, "profile": preset or profile})
    else:
        session.output.text(f"Documents of the type {mime} are divided so from now on.")


@cli.command("unset")
@click.argument("mime")
@_WORKSPACE
@click.pass_obj
def unset(session: Session, mime: str, workspace: str | None) -> None:
    """Return the type MIME to its preset."""
    with session.member() as client:
        client.call("delete_chunk_profile", p_mime=mime, p_workspace=workspace)
    if session.output.is_json:
        session.output.document({"mime": mime})
    else:
        session.output.text(f"Documents of the type {mime} are divided by their preset again.")
