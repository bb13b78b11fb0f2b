"""The driver of service desks: the database of a ticket system, its tables in the words of tickets.

A ticket is found at servicedesk://tickets/{id}; those of further tables begin with their name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ragdb.databases.address import KINDS, parse
from ragdb.databases.mapping import Comments, Format, Options, Scalar, Table, Where, read
from ragdb.sources.database import Tables
from ragdb.sources.driver import Driver, Setup, SourceError

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


def make(setup: Setup) -> Driver:
    """The driver for one service desk; raises SourceError."""
    config = read(setup.config, Config)
    address = parse(setup.secrets.get("url", ""))
    if address.kind != KINDS[config.db_type]:
        raise SourceError(
            "invalid_connection",
            f"The connection string is of {address.kind}, but db_type is {config.db_type}.",
        )
    return Tables(address, [one.as_table() for one in config.tables], config, setup.tools)
