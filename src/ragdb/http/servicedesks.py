"""Service desks: whose tickets are read, and from which tables."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta
from psycopg.types.json import Jsonb

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import JsonObject, Request, described
from ragdb.http.source_models import SourceType
from ragdb.outbound import Guard
from ragdb.sources.driver import Tools
from ragdb.sources.secrets import Bound, sealed
from ragdb.sources.servicedesk import check

DbType = Literal["postgresql", "mysql", "mariadb", "oracle"]


class ServiceDeskRequest(Request):
    """A service desk, or how the one of that name is to be."""

    name: Annotated[str, described("What it is called.", "helpdesk", min_length=1, max_length=200)]
    db_type: Annotated[DbType, described("What its database is.", "mariadb")]
    table_mappings: Annotated[
        list[JsonObject],
        described(
            "Tables, and what their columns are: name, table or query, id, title, description,"
            " category, priority, status, updated, deleted, metadata, where, comments, format.",
            [{"table": "tickets", "id": "id", "title": "subject", "description": "body"}],
        ),
    ]
    connection_string: Annotated[
        str | None,
        described(
            "How to connect; it is sealed at once and never shown. Default: as it was.",
            "mysql://reader:secret@db.example.com/helpdesk?tls=verify",
        ),
    ] = None
    options: Annotated[
        JsonObject | None,
        described(
            "time_zone, encoding, ca, overlap_seconds, full_hours, statement_seconds.",
            {"time_zone": "Europe/Berlin"},
        ),
    ] = None
    sync_schedule: Annotated[
        str | None, described("When to read it; default: on request only.", "*/15 * * * *")
    ] = None
    time_zone: Annotated[
        str | None, described("Of the schedule; default UTC.", "Europe/Berlin")
    ] = None
    workspace: Annotated[
        str | None, described("Slug or id; default: the workspace named default.", "default")
    ] = None
    visibility: Annotated[
        Literal["private", "workspace", "organization"] | None,
        described("Who may read the tickets; default workspace.", "workspace"),
    ] = None
    labels: Annotated[list[str] | None, described("For all tickets.", ["helpdesk"])] = None


class ServiceDeskPut(msgspec.Struct):
    """What was stored."""

    connection_id: Annotated[UUID, Meta(description="The id of the data source it is.")]
    is_new: bool
    next_sync: datetime | None


class ServiceDesk(msgspec.Struct):
    """A service desk whose tickets are read."""

    connection_id: Annotated[UUID, Meta(description="The id of the data source it is.")]
    name: str
    workspace: str
    db_type: Annotated[str | None, Meta(description="As what follows, for those with rag:config.")]
    table_mappings: list[JsonObject] | None
    options: JsonObject | None
    has_connection_string: bool | None
    sync_schedule: str | None
    time_zone: str | None
    next_sync: datetime | None
    last_sync: datetime | None
    last_status: str | None
    tickets: int


class ServiceDeskList(msgspec.Struct):
    """Every service desk that the caller may see."""

    connections: list[ServiceDesk]


@get(
    operation_id="listServiceDesks",
    summary="List service desks",
    response_description="Those the caller may see",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_service_desks(session: NamedDependency[Session]) -> ServiceDeskList:
    """Which service desks are read, from which tables, and when."""
    return ServiceDeskList(await session.read("sd_connections", returning=ServiceDesk))


@post(
    operation_id="putServiceDesk",
    summary="Put a service desk",
    status_code=200,
    response_description="It has been changed",
    response_headers=[
        ResponseHeader(
            name="Location", description="The data source's path.", documentation_only=True
        )
    ],
    responses={
        201: ResponseSpec(ServiceDeskPut, description="It is new", generate_examples=False),
        **problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
    },
)
async def put_service_desk(
    data: JSONBody[ServiceDeskRequest], session: NamedDependency[Session], state: State
) -> Response[ServiceDeskPut]:
    """Have workers read the tickets of a service desk, or change how they do.

    It is a data source: refreshDataSource reads it at once, deleteDataSource deletes it.
    """
    arguments: dict[str, Any] = data.arguments()
    url = data.connection_string
    if url is not None:
        tools = Tools(Guard(state.settings.allow_hosts))
        mappings = {"db_type": data.db_type, "tables": data.table_mappings}
        config = {**(data.options or {}), **mappings}
        check(data.name, config, url, tools)
        types = await session.read("source_types", returning=SourceType)
        [known] = [row for row in types if row.type == "servicedesk"]
        [who] = await session.call("whoami", returning=_Organization, read_only=True)
        bound = Bound(who.organization_id, data.name, known.type, config, known.places)
        arguments["p_connection_string"] = sealed(
            state.settings.current_secret_key(), {"url": url}, known.secrets, bound
        )
    arguments["p_table_mappings"] = Jsonb(data.table_mappings)
    [row] = await session.call("put_sd_connection", returning=ServiceDeskPut, **arguments)
    return Response(
        row,
        status_code=201 if row.is_new else 200,
        headers={"Location": f"/api/v1/datasources/{row.connection_id}"},
    )


class _Organization(msgspec.Struct):
    organization_id: UUID


router = Router(
    "/servicedesks",
    tags=["Service desks"],
    route_handlers=[list_service_desks, put_service_desk],
)
