"""Mappings: which table and columns become documents, and how."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from ragdb.databases.dialect import Condition
from ragdb.sources.driver import SourceError

Scalar = str | int | float | bool | None
Where = dict[str, Scalar | list[Scalar]]
Format = Literal["text", "markdown", "html"]
T = TypeVar("T", bound=msgspec.Struct)

MIMES: Mapping[Format, str] = {
    "text": "text/plain", "markdown": "text/markdown", "html": "text/html"
}  # fmt: skip


class Comments(msgspec.Struct, forbid_unknown_fields=True):
    """A table of texts that belong to rows of another."""

    table: str
    ticket: str
    """The column that has the id of the row."""
    text: str
    author: str | None = None
    created: str | None = None
    where: Where = {}


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """What holds for all tables of a source."""

    ca: str | None = None
    time_zone: str = "UTC"
    encoding: str = "windows-1252"
    statement_seconds: int = 60
    overlap_seconds: int = 300
    full_hours: float = 24
    """After how long everything is read again, to see which rows are gone."""


@dataclass(frozen=True)
class Table:
    """One table or query, in the words of the database."""

    name: str
    table: str | None
    query: str | None
    id: str
    title: str | None
    content: tuple[str, ...]
    updated: str | None
    deleted: str | None
    date: str | None
    metadata: Mapping[str, str]
    """From keys of the metadata to columns."""
    labels: tuple[str, ...] = ()
    where: Where = field(default_factory=dict[str, Scalar | list[Scalar]])
    comments: Comments | None = None
    format: Format = "text"
    prefix: str = ""
    """What external ids begin with."""
    url: str | None = None
    """In which {id} stands for the id."""

    def check(self) -> None:
        """Raise SourceError for what no database is needed to see."""
        if (self.table is None) == (self.query is None):
            raise invalid(f"{self.name} needs either a table or a query")
        if not self.content and self.title is None:
            raise invalid(f"{self.name} needs a column of text")


def read(config: Mapping[str, object], kind: type[T]) -> T:
    """A configuration, checked once more: SQL has checked it only as it was then described."""
    try:
        return msgspec.convert(dict(config), kind)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from error


def conditions(where: Where) -> list[Condition]:
    """What of a mapping limits the rows."""
    return [
        Condition(column, tuple(value) if isinstance(value, list) else (value,))
        for column, value in where.items()
    ]


def zone_of(options: Options) -> ZoneInfo:
    """The zone of times that say none; raises SourceError."""
    try:
        return ZoneInfo(options.time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise invalid(f"the time zone {options.time_zone!r} is not known") from error


def check_encoding(options: Options) -> None:
    """Raise SourceError for a character set that is none."""
    try:
        codecs.lookup(options.encoding)
    except (LookupError, ValueError) as error:
        raise invalid(f"the encoding {options.encoding!r} is not known") from error


def digest(table: Table, options: Options) -> str:
    """Changes with all that decides what a row becomes."""
    known = msgspec.json.encode(
        [asdict(table), options.time_zone, options.encoding], order="sorted"
    )
    return hashlib.sha256(known).hexdigest()[:16]


def invalid(why: str) -> SourceError:
    """A mapping that cannot be used."""
    return SourceError("invalid_mapping", f"The mapping cannot be used: {why}.")
