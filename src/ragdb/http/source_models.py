"""What requests and responses about data sources look like; see models.py."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from ragdb.http.models import JsonObject, Request, described

Share = Annotated[
    float | None,
    described("The share of its documents that one refresh may delete.", 0.5, minimum=0, maximum=1),
]


class PutDataSource(Request):
    """A data source, and how it is read."""

    name: Annotated[str, described("What it is called.", "manuals", min_length=1, max_length=200)]
    type: Annotated[str, described("See `/api/v1/datasources/types`.", "file")]
    config: Annotated[
        JsonObject | None, described("The keys that its type has.", {"path": "/srv/manuals"})
    ] = None
    secrets: Annotated[
        dict[str, str] | None,
        described(
            "Sealed at once and shown to nobody. Left out, those that are there stay; `{}` removes"
            " them.",
            {"token": "…"},
        ),
    ] = None
    workspace: Annotated[
        str | None, described("Where; default: the default workspace.", "default")
    ] = None
    visibility: Annotated[
        str | None,
        described(
            "Default: workspace.", "workspace", enum=["private", "workspace", "organization"]
        ),
    ] = None
    labels: Annotated[list[str] | None, described("For all its documents.", ["manual"])] = None
    cron: Annotated[
        str | None, described("When to refresh it; default: on request only.", "0 3 * * *")
    ] = None
    time_zone: Annotated[str | None, described("Default: UTC.", "Europe/Berlin")] = None
    sweep_limit: Share = None


class StoredDataSource(msgspec.Struct):
    """A data source that was put."""

    source_id: UUID
    is_new: bool
    next_run_at: Annotated[datetime | None, Meta(description="When it is refreshed next.")]


class DataSource(msgspec.Struct, kw_only=True):
    """Where documents come from."""

    source_id: UUID
    name: str
    type: str
    workspace: str
    visibility: str
    labels: list[str]
    documents: Annotated[int, Meta(description="Those that the caller may read.")]
    is_synced: Annotated[
        bool, Meta(description="Workers read it; else it is a name that documents go by.")
    ]
    cron: str | None
    time_zone: str | None
    next_run_at: datetime | None
    refreshed_at: datetime | None
    last_status: str | None
    created_at: datetime


class DataSourceList(msgspec.Struct):
    """Data sources."""

    sources: list[DataSource]


class DataSourceDetails(msgspec.Struct, kw_only=True):
    """A data source and its configuration, without its secrets."""

    source_id: UUID
    name: str
    type: str
    workspace: str
    visibility: str
    labels: list[str]
    config: JsonObject | None
    has_secrets: bool
    sweep_limit: float
    cron: str | None
    time_zone: str | None
    next_run_at: datetime | None
    documents: int
    refreshed_at: datetime | None
    created_at: datetime


class SourceType(msgspec.Struct):
    """What a data source can be."""

    type: str
    description: str
    config: Annotated[
        JsonObject,
        Meta(description="Its keys: `{key: {is, required, pattern, one_of, min, max, keys}}`."),
    ]
    secrets: Annotated[list[str], Meta(description="The names of its secrets.")]
    places: Annotated[
        list[str], Meta(description="Keys of config that say where secrets are sent.")
    ]
    always_full: Annotated[bool, Meta(description="Every refresh looks at everything.")]


class SourceTypeList(msgspec.Struct):
    """What data sources can be."""

    types: list[SourceType]


class RefreshRequest(Request):
    """How to refresh a data source."""

    full: Annotated[
        bool | None, described("All of it, and not what changed since; default false.", True)
    ] = None
    sweep_limit: Share = None


class SyncRun(msgspec.Struct, kw_only=True):
    """How a data source was read once."""

    run_id: UUID
    job_id: UUID | None
    status: Annotated[
        str,
        Meta(
            description="running, succeeded, incomplete (the next run begins where this one did),"
            " failed or cancelled."
        ),
    ]
    is_full: bool
    seen: int
    added: int
    changed: int
    unchanged: int
    failed: int
    deleted: int
    error: str | None
    message: str | None
    cursor: Any
    started_at: datetime
    finished_at: datetime | None


class SyncRunList(msgspec.Struct):
    """Runs, the last one first."""

    runs: list[SyncRun]


class SyncError(msgspec.Struct):
    """What could not be read."""

    run_id: UUID
    external_id: str | None
    error: str
    message: str
    created_at: datetime


class SyncErrorList(msgspec.Struct):
    """What could not be read in a run."""

    errors: list[SyncError]


class Deleted(msgspec.Struct):
    """How many documents went."""

    deleted: int
