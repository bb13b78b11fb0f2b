"""`ragdb workspace`: the parts of an organization."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("workspace")
def cli() -> None:
    """Divide an organization into workspaces."""


@cli.command("create")
@click.argument("slug")
@click.option("--name", help="Default: the slug.")
@click.option("--closed", is_flag=True, help="For those who were added to it only.")
@click.option(
    "--language", metavar="CODE", default="en", show_default=True,
    help="Default language of its documents and queries.",
)  # fmt: skip
@click.pass_obj
def create(session: Session, slug: str, name: str | None, closed: bool, language: str) -> None:
    """Create a workspace."""
    with session.member() as client:
        made = client.call(
            "create_workspace",
            p_slug=slug, p_name=name, p_is_open=not closed, p_language=language,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
    else:
        session.output.text(f"Created the workspace {slug}.")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the workspaces you may use."""
    with session.member() as client:
        rows = client.read("workspaces")
    if session.output.is_json:
        session.output.document({"workspaces": rows})
    else:
        session.output.table(rows, ("slug", "name", "is_open", "language", "workspace_id"))


@cli.command("add-member")
@click.argument("workspace")
@click.argument("email")
@click.pass_obj
def add_member(session: Session, workspace: str, email: str) -> None:
    """Let a member of the organization into a closed workspace."""
    with session.member() as client:
        client.call("add_workspace_member", p_workspace=workspace, p_email=email)
    if session.output.is_json:
        session.output.document({"workspace": workspace, "email": email})
    else:
        session.output.text(f"{email} may use the workspace {workspace}.")
