"""The application: routes, and what they share."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException

from ragdb.db import Pool
from ragdb.embeddings.local import SHARED
from ragdb.http import (
    answers,
    auth,
    body,
    chunking,
    chunks,
    documents,
    embeddings,
    feedback,
    files,
    health,
    jobs,
    openapi,
    problems,
    schedules,
    search,
    servicedesks,
    sources,
    synonyms,
    upkeep,
)
from ragdb.http.envelope import Envelope
from ragdb.http.events import JobEvents
from ragdb.settings import Settings, SettingsError


def create_app(settings: Settings, with_embeddings: bool = False) -> Litestar:
    """The service for the database that the settings name; raises SettingsError for none.

    With embeddings, the local model too: raises RagdbError where it is not installed.
    """
    if settings.database_url is None:
        raise SettingsError("RAGDB_DATABASE_URL: no database is configured. Run: ragdb init")
    SHARED.threads = settings.embedding_threads
    pool = Pool(settings.database_url)
    events = JobEvents(settings.database_url)

    @asynccontextmanager
    async def opened(app: Litestar) -> AsyncGenerator[None]:
        events.close_on_signals()
        async with pool.opened():
            yield

    api = Router(
        "/api/v1",
        route_handlers=[
            search.search,
            search.explain,
            search.suggest,
            synonyms.router,
            answers.ask,
            feedback.record,
            documents.router,
            files.router,
            chunking.router,
            chunks.router,
            jobs.router,
            upkeep.router,
            schedules.router,
            schedules.list_queues,
            sources.data_sources,
            sources.sources,
            servicedesks.router,
            auth.whoami,
        ],
        guards=[auth.require_key],
        dependencies={"session": Provide(auth.provide_session, sync_to_thread=False)},
        after_response=auth.record_use,
    )
    app = Litestar(
        route_handlers=[
            api,
            *([embeddings.router()] if with_embeddings else []),
            health.live,
            health.ready,
            health.health,
            openapi.assets(),
        ],
        lifespan=[opened],
        state=State(
            {
                "settings": settings,
                "pool": pool,
                "uses": auth.Uses(),
                "job_events": events,
            }
        ),
        request_class=body.JsonRequest,
        request_max_body_size=body.MAX_BODY,
        exception_handlers={Exception: problems.respond, HTTPException: problems.respond},
        openapi_config=openapi.description(),
        logging_config=None,
    )
    app.asgi_handler = Envelope(files.FormsToUploads(app.asgi_handler))
    return app
