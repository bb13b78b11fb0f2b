"""`ragdb user`: the people of an organization."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("user")
def cli() -> None:
    """Add and list people."""


@cli.command("add")
@click.argument("email")
@click.option(
    "--role", default="viewer", show_default=True,
    help="admin, developer, analyst, editor, viewer or reader.",
)  # fmt: skip
@click.option("--name", default="", help="Default: the part of the address before the @.")
@click.option("--org", metavar="SLUG", help="As an operator: of this organization.")
@click.pass_obj
def add(session: Session, email: str, role: str, name: str, org: str | None) -> None:
    """Add a person, or give a member another role."""
    with session.acting_for(org) as client:
        member = client.call("add_member", p_email=email, p_role=role, p_name=name)[0]
    if session.output.is_json:
        session.output.document(member)
        return
    session.output.text(f"{member['email']} is {member['role']}.")
    session.output.note(f"Make a key with: ragdb key create NAME --user {member['email']}")


@cli.command("list")
@click.option("--org", metavar="SLUG", help="As an operator: of this organization.")
@click.pass_obj
def list_(session: Session, org: str | None) -> None:
    """List the members of the organization."""
    with session.acting_for(org) as client:
        rows = client.read("members")
    if session.output.is_json:
        session.output.document({"users": rows})
    else:
        session.output.table(rows, ("email", "name", "role", "is_active", "user_id"))
