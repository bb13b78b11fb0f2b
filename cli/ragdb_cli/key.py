"""`ragdb key`: API keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import MOMENT
from ragdb_cli.session import Session


@group("key")
def cli() -> None:
    """Create, list and revoke API keys."""


@cli.command("create")
@click.argument("name")
@click.option("--user", metavar="EMAIL", help="Whose key it is; default: yours.")
@click.option(
    "--permission", "permissions", multiple=True, metavar="NAME",
    help="Limit the key to this, such as rag:read. May be repeated.",
)  # fmt: skip
@click.option("--workspace", metavar="SLUG", help="Limit the key to this workspace.")
@click.option("--expires", type=MOMENT, help="90d, 12h or 2027-01-31; default: never.")
@click.option("--org", metavar="SLUG", help="As an operator: for this organization.")
@click.pass_obj
def create(
    session: Session,
    name: str,
    user: str | None,
    permissions: tuple[str, ...],
    workspace: str | None,
    expires: datetime | None,
    org: str | None,
) -> None:
    """Create an API key and print it; it is shown this once."""
    with session.acting_for(org) as client:
        made = client.call(
            "create_api_key",
            p_name=name, p_email=user, p_permissions=list(permissions) or None,
            p_workspace=workspace, p_expires_at=expires,
        )[0]  # fmt: skip
    if session.output.is_json:
        session.output.document(made)
        return
    session.output.text(made["key"])
    session.output.note("Keep it: it is stored nowhere and cannot be shown again.")


@cli.command("list")
@click.option("--org", metavar="SLUG", help="As an operator: of this organization.")
@click.pass_obj
def list_(session: Session, org: str | None) -> None:
    """List API keys; never their text."""
    with session.acting_for(org) as client:
        rows = client.read("api_keys")
    if session.output.is_json:
        session.output.document({"keys": rows})
        return
    columns = ("key_id", "name", "prefix", "email", "expires_at", "revoked_at", "last_used_at")
    session.output.table(rows, columns)


@cli.command("revoke")
@click.argument("key_id", type=click.UUID)
@click.option("--org", metavar="SLUG", help="As an operator: of this organization.")
@click.pass_obj
def revoke(session: Session, key_id: UUID, org: str | None) -> None:
    """Make an API key useless at once."""
    with session.acting_for(org) as client:
        client.call("revoke_api_key", p_key_id=key_id)
    if session.output.is_json:
        session.output.document({"key_id": key_id, "revoked": True})
    else:
        session.output.text(f"Revoked {key_id}.")
