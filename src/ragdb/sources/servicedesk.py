"""The driver of service desks: the database of a ticket system, its tables in the words of tickets.

A ticket is found at servicedesk://tickets/{id}; those of further tables begin with their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from ragdb.databases.address import KINDS, parse
from ragdb.databases.mapping import Comments, Format, Options, Scalar, Table, Where, read
from ragdb.errors import Problem, RagdbError
from ragdb.sources.database import Tables
from ragdb.sources.driver import Broken, Setup, SourceError, Start, Text, Tools, Upsert

_PLAIN = "tickets"


class Tickets(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One table of tickets."""

    name: str = _PLAIN
    table: str | None = None
    query: str | None = None
    id: str
    title: str | None = None
    description: str | None = None
    category: str | None = None
    priority: str | None = None
    status: str | None = None
    updated: str | None = None
    deleted: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    where: Where = msgspec.field(default_factory=dict[str, Scalar | list[Scalar]])
    comments: Comments | None = None
    format: Format = "text"

    def as_table(self) -> Table:
        """The same in the words of databases."""
        said = {"category": self.category, "priority": self.priority, "status": self.status}
        return Table(
            name=self.name, table=self.table, query=self.query, id=self.id, title=self.title,
            content=(self.description,) if self.description else (), updated=self.updated,
            deleted=self.deleted, date=None,
            metadata={**self.metadata, **{key: name for key, name in said.items() if name}},
            where=self.where, comments=self.comments, format=self.format,
            prefix="" if self.name == _PLAIN else f"{self.name}/",
            url=f"servicedesk://{self.name}/{{id}}",
        )  # fmt: skip


class Config(Options, kw_only=True, forbid_unknown_fields=True):
    """What a source of the type servicedesk is made of."""

    db_type: Literal["postgresql", "mysql", "mariadb", "oracle"]
    tables: list[Tickets]


def make(setup: Setup) -> Tables:
    """The driver for one service desk; raises SourceError."""
    config = read(setup.config, Config)
    address = parse(setup.secrets.get("url", ""))
    if address.kind != KINDS[config.db_type]:
        raise SourceError(
            "invalid_connection",
            f"The connection string is of {address.kind}, but db_type is {config.db_type}.",
        )
    return Tables(address, [one.as_table() for one in config.tables], config, setup.tools)


def check(name: str, config: Mapping[str, object], url: str, tools: Tools) -> Tables:
    """Refuse what no server is needed to see: a connection string, a mapping that cannot be.

    Raises RagdbError.
    """
    try:
        return make(Setup("", name, config, {"url": url}, tools))
    except SourceError as error:
        raise RagdbError(Problem(422, error.code, error.message)) from error


def preview(reader: Tables, limit: int) -> list[dict[str, object]]:
    """The first tickets as they would be stored; raises RagdbError where none can be read."""
    shown: list[dict[str, object]] = []
    told = reader.read(Start(full=True, cursor=None))
    try:
        for one in told:
            if isinstance(one, Upsert):
                loaded = one.load()
                shown.append(
                    {
                        "external_id": one.external_id, "title": one.title, "url": one.url,
                        "modified": one.modified, "metadata": dict(one.metadata),
                        "content": loaded.content if isinstance(loaded, Text) else "",
                    }
                )  # fmt: skip
            elif isinstance(one, Broken):
                shown.append(
                    {"external_id": one.external_id, "error": one.code, "message": one.message}
                )
            if len(shown) == limit:
                break
    except SourceError as error:
        raise RagdbError(Problem(502, error.code, error.message)) from error
    finally:
        told.close()
    return shown
