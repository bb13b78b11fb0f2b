"""Data sources: put, shown, refreshed, deleted, and what became of reading them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.job_models import Enqueued
from ragdb.http.models import PAGE, PageLimit
from ragdb.http.openapi import OptionalBody
from ragdb.http.source_models import (
    DataSource,
    DataSourceDetails,
    DataSourceList,
    Deleted,
    PutDataSource,
    RefreshRequest,
    SourceType,
    SourceTypeList,
    StoredDataSource,
    SyncError,
    SyncErrorList,
    SyncRun,
    SyncRunList,
)
from ragdb.sources.secrets import Bound, sealed


async def _list(session: NamedDependency[Session]) -> DataSourceList:
    """Those whose workspace the caller may use, with the names that documents were stored under."""
    return DataSourceList(await session.read("sources", returning=DataSource))


async def _delete(source_id: FromPath[UUID], session: NamedDependency[Session]) -> Deleted:
    """Delete a data source with all its documents, its schedule and its secrets."""
    [row] = await session.call("delete_source", returning=_DeletedRow, p_source_id=source_id)
    return Deleted(row.delete_source)


class _DeletedRow(msgspec.Struct):
    delete_source: int


class _Identity(msgspec.Struct):
    organization_id: UUID


def _listing(operation: str) -> HTTPRouteHandler:
    return get(
        operation_id=operation,
        summary="List data sources",
        response_description="All the caller may see",
        responses=problems.responses(400, 401, 403, 503),
    )(_list)


def _deleting(operation: str) -> HTTPRouteHandler:
    return delete(
        "/{source_id:str}",
        status_code=200,
        operation_id=operation,
        summary="Delete a data source",
        response_description="It is gone, and so are its documents",
        responses=problems.responses(400, 401, 403, 404, 422, 503),
    )(_delete)


_READING = problems.responses(400, 401, 403, 404, 422, 503)


@post(
    operation_id="putDataSource",
    summary="Put a data source",
    status_code=200,
    response_description="It has been changed",
    response_headers=[
        ResponseHeader(name="Location", description="Its path.", documentation_only=True)
    ],
    responses={
        201: ResponseSpec(StoredDataSource, description="It is new", generate_examples=False),
        **problems.responses(400, 401, 403, 404, 409, 413, 415, 422, 503),
    },
)
async def put_data_source(
    data: JSONBody[PutDataSource], session: NamedDependency[Session], state: State
) -> Response[StoredDataSource]:
    """Have a data source read by workers, or change how the one of that name is."""
    arguments = data.arguments()
    if data.secrets is not None:
        types = await session.read("source_types", returning=SourceType)
        known = next((row for row in types if row.type == data.type), None)
        [who] = await session.call("whoami", returning=_Identity, read_only=True)
        bound = Bound(
            who.organization_id, data.name, data.type, data.config or {},
            known.places if known else [],
        )  # fmt: skip
        arguments["p_secrets"] = sealed(
            state.settings.current_secret_key(), data.secrets, known.secrets if known else [], bound
        )
    [stored] = await session.call("put_source", returning=StoredDataSource, **arguments)
    return Response(
        stored,
        status_code=201 if stored.is_new else 200,
        headers={"Location": f"/api/v1/datasources/{stored.source_id}"},
    )


@get(
    "/types",
    operation_id="listSourceTypes",
    summary="List the types of data sources",
    response_description="What they can be",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_types(session: NamedDependency[Session]) -> SourceTypeList:
    """What data sources can be, and what each has to be told."""
    return SourceTypeList(await session.read("source_types", returning=SourceType))


@get(
    "/{source_id:str}",
    operation_id="getDataSource",
    summary="Get a data source",
    response_description="The source and its configuration",
    responses=_READING,
)
async def get_data_source(
    source_id: FromPath[UUID], session: NamedDependency[Session]
) -> DataSourceDetails:
    """One data source and its configuration, whose secrets nothing shows."""
    [source] = await session.call(
        "get_source", returning=DataSourceDetails, read_only=True, p_source_id=source_id
    )
    return source


@post(
    "/{source_id:str}/refresh",
    operation_id="refreshDataSource",
    summary="Refresh a data source",
    status_code=202,
    response_description="A worker will read it",
    response_headers=[
        ResponseHeader(name="Location", description="The job's path.", documentation_only=True)
    ],
    responses=problems.responses(400, 401, 403, 404, 409, 413, 415, 422, 503),
    operation_class=OptionalBody,
)
async def refresh_data_source(
    source_id: FromPath[UUID],
    session: NamedDependency[Session],
    data: JSONBody[RefreshRequest | None] = None,
) -> Response[Enqueued]:
    """Have a data source read again; where that is about to happen anyway, it is that job."""
    arguments = data.arguments() if data else {}
    [job] = await session.call(
        "refresh_source", returning=Enqueued, p_source_id=source_id, **arguments
    )
    location = {"Location": f"/api/v1/jobs/{job.job_id}"}
    return Response(job, status_code=202, headers=location)


@get(
    "/{source_id:str}/runs",
    operation_id="listSyncRuns",
    summary="List how a data source was read",
    response_description="Its runs, the last one first",
    responses=_READING,
)
async def list_runs(
    source_id: FromPath[UUID], session: NamedDependency[Session], limit: PageLimit = PAGE
) -> SyncRunList:
    """What was seen each time, and what became of it."""
    return SyncRunList(
        await session.call(
            "list_sync_runs", returning=SyncRun, read_only=True, p_source_id=source_id,
            p_limit=limit,
        )
    )  # fmt: skip


@get(
    "/{source_id:str}/errors",
    operation_id="listSyncErrors",
    summary="List what could not be read",
    response_description="What could not be read in a run",
    responses=_READING,
)
async def list_errors(
    source_id: FromPath[UUID],
    session: NamedDependency[Session],
    run: Annotated[UUID | None, QueryParameter(description="Which; default: the last.")] = None,
    limit: PageLimit = PAGE,
) -> SyncErrorList:
    """What of a data source could not be read, and why."""
    return SyncErrorList(
        await session.call(
            "list_sync_errors", returning=SyncError, read_only=True, p_source_id=source_id,
            p_run_id=run, p_limit=limit,
        )
    )  # fmt: skip


data_sources = Router(
    "/datasources",
    tags=["Data sources"],
    route_handlers=[
        _listing("listDataSources"),
        put_data_source, list_types, get_data_source, refresh_data_source, list_runs, list_errors,
        _deleting("deleteDataSource"),
    ],
)  # fmt: skip
sources = Router(
    "/sources",
    tags=["Data sources"],
    route_handlers=[
        _listing("listSources"),
        _deleting("deleteSource"),
    ],
)
