"""`ragdb doc`: the documents."""

from __future__ import annotations

import sys
from pathlib import Path
from uuid import UUID

import click

from ragdb_cli.command import group
from ragdb_cli.output import printable
from ragdb_cli.session import Session


@group("doc")
def cli() -> None:
    """List, show and delete documents."""


@cli.command("list")
@click.option("-n", "--limit", type=int, default=50, show_default=True)
@click.option("--after", metavar="CURSOR", help="Go on behind this; the end of a page names it.")
@click.option("--workspace", metavar="SLUG", help="Those of this workspace.")
@click.option("--source", metavar="NAME", help="Those of this source.")
@click.pass_obj
def list_(
    session: Session, limit: int, after: str | None, workspace: str | None, source: str | None
) -> None:
    """List documents, the newest first."""
    with session.member() as client:
        rows = client.call(
            "list_documents", read_only=True,
            p_limit=limit, p_after=after, p_workspace=workspace, p_source=source,
        )  # fmt: skip
    if session.output.is_json:
        session.output.document({"documents": rows})
        return
    columns = ("document_id", "title", "source", "workspace", "visibility", "chunks", "updated_at")
    session.output.table(rows, columns)
    if len(rows) == limit:
        session.output.note(f"More: --after {rows[-1]['cursor']}")


@cli.command("show")
@click.argument("document_id", type=click.UUID)
@click.option("--text", is_flag=True, help="Print the text and nothing else.")
@click.pass_obj
def show(session: Session, document_id: UUID, text: bool) -> None:
    """Show a document with its text."""
    with session.member() as client:
        document = client.call("get_document", read_only=True, p_document_id=document_id)[0]
    output = session.output
    if output.is_json:
        output.document(document)
        return
    content = document.pop("content")
    if not text:
        output.fields(document)
        output.text()
    output.text(printable(content) if output.is_terminal else content)


@cli.command("original")
@click.argument("document_id", type=click.UUID)
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), metavar="FILE",
    help="Where to write it; default: standard output.",
)  # fmt: skip
@click.pass_obj
def original(session: Session, document_id: UUID, target: Path | None) -> None:
    """Get the file a document was read from, where it was kept."""
    with session.member() as client:
        found = client.call("get_original", read_only=True, p_document_id=document_id)[0]
    content: bytes = found.pop("content")
    output = session.output
    if target:
        target.write_bytes(content)
    if output.is_json:
        output.document(found)
    elif target:
        output.text(f"{found['name']}: {found['size']} bytes")
    elif sys.stdout.isatty():
        output.note(f"{found['name']} has {found['size']} bytes; name a file with --output.")
    else:
        sys.stdout.buffer.write(content)


@cli.command("rm")
@click.argument("document_ids", type=click.UUID, nargs=-1, required=True)
@click.pass_obj
def remove(session: Session, document_ids: tuple[UUID, ...]) -> None:
    """Delete documents; they are gone from search at once."""
    with session.member() as client:
        if len(document_ids) == 1:
            client.call("delete_document", p_document_id=document_ids[0])
            deleted = 1
        else:
            ids = list(document_ids)
            deleted = client.call("delete_documents", p_document_ids=ids)[0]["delete_documents"]
    if session.output.is_json:
        session.output.document({"deleted": deleted})
    else:
        session.output.text(f"Deleted {deleted} document{'' if deleted == 1 else 's'}.")
