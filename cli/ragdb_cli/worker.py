"""`ragdb worker`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session


@command("worker")
@click.option(
    "--slots", type=click.IntRange(1, 64), default=4, show_default=True,
    help="How many jobs at a time.",
)  # fmt: skip
@click.option(
    "--queue", "queues", multiple=True,
    type=click.Choice(["ingestion", "embedding", "maintenance", "sync"]),
    help="Only from this queue; may be repeated.",
)  # fmt: skip
@click.option(
    "--grace", type=click.FloatRange(0, 3600), default=30.0, show_default=True,
    help="Seconds that jobs under way have to end, once it is told to.",
)  # fmt: skip
@click.pass_obj
def cli(session: Session, slots: int, queues: tuple[str, ...], grace: float) -> None:
    """Do the jobs that were enqueued, of all organizations, until interrupted.

    Any number of workers may run. At a first Ctrl-C or SIGTERM it finishes what it has begun, at a
    second one it gives that back. Connects by RAGDB_WORKER_URL, which ragdb init makes.
    """
    import asyncio
    import logging.config

    from ragdb.embeddings.local import SHARED
    from ragdb.errors import Problem, RagdbError
    from ragdb.http import logs
    from ragdb.startup import require_current
    from ragdb.worker import QUEUES, Worker

    url = session.settings.worker_url
    if url is None:
        raise RagdbError(
            Problem(
                503, "not_installed", "There is no login for workers.",
                "Make one with ragdb init, or set RAGDB_WORKER_URL.",
            )
        )  # fmt: skip
    require_current(url)
    logging.config.dictConfig(logs.CONFIG)
    SHARED.threads = session.settings.embedding_threads
    asyncio.run(Worker(url, slots=slots, queues=queues or QUEUES, grace=grace).run())
