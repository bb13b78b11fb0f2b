"""Chunk profiles: how documents of a media type are divided."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta
from psycopg.types.json import Jsonb

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import JsonObject, Request, Workspace, described


class ChunkProfileRequest(Request):
    """How documents of a media type are to be divided."""

    mime: Annotated[
        str, described("A media type, a family like `text/*`, or `*`.", "text/markdown")
    ]
    profile: Annotated[
        JsonObject | str, described("A preset's name, or a profile.", "tokens-512")
    ]
    workspace: Workspace = None


class ChunkPreset(msgspec.Struct):
    """A profile that ships."""

    preset: str
    mimes: Annotated[list[str], Meta(description="Whose documents get it by default.")]
    profile: JsonObject
    description: str


class ChunkProfile(msgspec.Struct):
    """What a workspace uses instead of a preset."""

    workspace: str
    mime: str
    profile: JsonObject


class Chunking(msgspec.Struct):
    """The presets, and what workspaces use instead."""

    presets: list[ChunkPreset]
    profiles: list[ChunkProfile]


@get(
    operation_id="listChunkProfiles",
    summary="List chunk profiles",
    response_description="Presets, and what workspaces use instead",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_chunk_profiles(session: NamedDependency[Session]) -> Chunking:
    """How documents are divided, by media type."""
    return Chunking(
        await session.read("chunk_presets", returning=ChunkPreset),
        await session.read("chunk_profiles", returning=ChunkProfile),
    )


@put(
    operation_id="putChunkProfile",
    summary="Set a chunk profile",
    status_code=204,
    response_description="Documents put from now on are divided so",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def put_chunk_profile(
    data: JSONBody[ChunkProfileRequest], session: NamedDependency[Session]
) -> None:
    """Divide a workspace's documents of a media type so; those stored keep their chunks."""
    arguments: dict[str, Any] = data.arguments() | {"p_profile": Jsonb(data.profile)}
    await session.call("put_chunk_profile", returning=JsonObject, **arguments)


@delete(
    operation_id="deleteChunkProfile",
    summary="Delete a chunk profile",
    response_description="The presets hold again",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def delete_chunk_profile(
    session: NamedDependency[Session],
    mime: Annotated[str, QueryParameter(description="Of which media type.")],
    workspace: Annotated[
        str | None, QueryParameter(description="Slug or id; default: the default workspace.")
    ] = None,
) -> None:
    """Return a media type to its preset."""
    await session.call(
        "delete_chunk_profile", returning=JsonObject, p_mime=mime, p_workspace=workspace
    )


router = Router(
    "/chunking",
    tags=["Documents"],
    route_handlers=[list_chunk_profiles, put_chunk_profile, delete_chunk_profile],
)
