"""`ragdb org`: the organizations of a database, for operators."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("org")
def cli() -> None:
    """Create and list organizations (for operators)."""


@cli.command("create")
@click.argument("slug")
@click.option("--name", help="Its name; default: the slug.")
@click.option("--email", required=True, help="Its first administrator.")
@click.option("--admin-name", default="", help="The administrator's name.")
@click.pass_obj
def create(session: Session, slug: str, name: str | None, email: str, admin_name: str) -> None:
    """Create an organization with an administrator and a workspace named default."""
    with session.operator() as client:
        made = client.call(
            "create_organization",
            p_name=name or slug, p_slug=slug, p_admin_email=email, p_admin_name=admin_name,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
        return
    session.output.text(f"Created the organization {slug} with the administrator {email}.")
    session.output.note(f"Make its first API key with: ragdb key create NAME --org {slug}")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List all organizations."""
    with session.operator() as client:
        rows = client.call("organizations", read_only=True)
    if session.output.is_json:
        session.output.document({"organizations": rows})
    else:
        session.output.table(rows, ("slug", "name", "members", "organization_id", "created_at"))
