"""`ragdb serve`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("serve")
@click.option("--host", help="Address to listen on, instead of RAGDB_HTTP_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Instead of RAGDB_HTTP_PORT.")
@click.option(
    "--embeddings", is_flag=True, help="Offer the local model at /v1/embeddings, as OpenAI does."
)
@click.pass_obj
def cli(session: Session, host: str | None, port: int | None, embeddings: bool) -> None:
    """Serve the REST API until interrupted.

    Never migrates: a database that holds another version ends it with exit code 3.
    """
    from ragdb.http.server import serve

    settings = session.settings
    serve(
        settings, host or settings.http_host, port or settings.http_port,
        with_embeddings=embeddings,
    )  # fmt: skip
