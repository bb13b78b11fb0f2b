"""Which driver reads a type of source. Each is imported when a source of its type is read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from ragdb.sources.driver import Driver, Setup, SourceError

DRIVERS: Mapping[str, str] = {
    "file": "ragdb.sources.folder",
    "api": "ragdb.sources.api",
    "sharepoint": "ragdb.sources.sharepoint",
    "database": "ragdb.sources.database",
    "servicedesk": "ragdb.sources.servicedesk",
}
"""Type of source: the module that holds its driver as `make`; see also sql/seed."""


def driver(kind: str, setup: Setup) -> Driver:
    """The driver of a source; raises SourceError."""
    if kind not in DRIVERS:
        raise SourceError(
            "unknown_source_type", f"This worker cannot read sources of the type {kind}."
        )
    return import_module(DRIVERS[kind]).make(setup)
