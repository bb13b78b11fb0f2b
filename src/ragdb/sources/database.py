"""The driver of databases: rows of tables and queries, each a document.

A full run reads a table in the order of its ids, an incremental one the rows changed since the last
run in the order of their changes, both a page at a time and each page in a transaction of its own,
so that nothing is held open in the other database while documents are stored here.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import cast

import msgspec

from ragdb.databases.address import Address, parse
from ragdb.databases.connect import connect
from ragdb.databases.mapping import (
    Comments,
    Format,
    Options,
    Scalar,
    Table,
    Where,
    check_encoding,
    digest,
    invalid,
    read,
    zone_of,
)  # fmt: skip
from ragdb.databases.plan import CommentPlan, Place, Plan
from ragdb.databases.rows import Comment, Reader, by_key
from ragdb.databases.session import Limits, Row, Session
from ragdb.databases.values import kept, named, taken
from ragdb.databases.watermark import before, reached
from ragdb.sources.driver import (
    Broken,
    Driver,
    ItemError,
    Mark,
    Restart,
    Setup,
    SourceError,
    Start,
    Told,
    Tools,
)  # fmt: skip

_ROWS = 200
_CHARACTERS = 500_000


class Config(Options, kw_only=True, forbid_unknown_fields=True):
    """What a source of the type database is made of."""

    id: str
    table: str | None = None
    query: str | None = None
    title: str | None = None
    content: list[str] = msgspec.field(default_factory=list[str])
    updated: str | None = None
    deleted: str | None = None
    date: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    labels: list[str] = msgspec.field(default_factory=list[str])
    where: Where = msgspec.field(default_factory=dict[str, Scalar | list[Scalar]])
    comments: Comments | None = None
    format: Format = "text"
    url: str | None = None


class Progress(msgspec.Struct):
    """The cursor of a run."""

    mapping: dict[str, str]
    """By table, the digest of what decides what its rows become."""
    since: dict[str, object] = {}
    """By table, the watermark that the run began with; without it all rows are read."""
    reached: dict[str, object] = {}
    """By table, the watermark once it is read; those not yet read are missing."""
    table: str | None = None
    """The table under way, and the last row read of it."""
    updated: object | None = None
    id: object | None = None
    latest: object | None = None
    """The watermark of the table under way."""
    full_at: float = 0.0
    """When everything was last read, as seconds since 1970."""
    is_done: bool = False


def make(setup: Setup) -> Driver:
    """The driver for one source; raises SourceError."""
    config = read(setup.config, Config)
    table = Table(
        name=setup.name, table=config.table, query=config.query, id=config.id, title=config.title,
        content=tuple(config.content), updated=config.updated, deleted=config.deleted,
        date=config.date, metadata=config.metadata, labels=tuple(config.labels),
        where=config.where, comments=config.comments, format=config.format, url=config.url,
    )  # fmt: skip
    return Tables(parse(setup.secrets.get("url", "")), [table], config, setup.tools)


class Tables:
    """Reads the tables one after the other, over one connection."""

    def __init__(
        self, address: Address, tables: Sequence[Table], options: Options, tools: Tools
    ) -> None:
        if not tables:
            raise invalid("it has no tables")
        for table in tables:
            table.check()
        if len({table.name for table in tables}) < len(tables):
            raise invalid("two tables have the same name")
        check_encoding(options)
        self._address, self._tables, self._options, self._tools = address, tables, options, tools
        self._zone = zone_of(options)
        self._mapping = {table.name: digest(table, options) for table in tables}

    def read(self, start: Start) -> Generator[Told]:
        """Tell what is there; raises SourceError."""
        progress = self._begin(start)
        if progress is None:
            yield Restart()
            progress = self._anew()
        limits = Limits(self._options.statement_seconds)
        opened = connect(self._address, self._tools.guard, self._options.ca, limits)
        with closing(opened) as session:
            plans = [Plan(session, table) for table in self._tables]
            if any(map(partial(_is_other_kind, progress), self._tables, plans)):
                yield Restart()
                progress = self._anew()
            for table, plan in zip(self._tables, plans, strict=True):
                if table.name not in progress.reached:
                    yield from self._read_table(session, table, plan, progress)
        yield _mark(
            Progress(
                self._mapping, reached=progress.reached, full_at=progress.full_at, is_done=True
            )
        )

    def close(self) -> None:
        """Nothing is held when read() has ended."""

    def _anew(self) -> Progress:
        return Progress(self._mapping, full_at=time.time())

    def _begin(self, start: Start) -> Progress | None:
        """Where to go on; None where everything has to be told, although that was not asked for.

        That is so where the cursor is of another mapping, where nothing tells what has changed, and
        now and then, because rows that are gone tell nothing either.
        """
        if start.cursor is None:
            return self._anew()
        try:
            progress = msgspec.convert(dict(start.cursor), Progress)
        except msgspec.ValidationError:
            return None
        if progress.mapping != self._mapping:
            return None
        if not progress.is_done:
            return progress
        is_stale = time.time() - progress.full_at >= 3600 * self._options.full_hours
        if is_stale or any(table.updated is None for table in self._tables):
            return None
        return Progress(self._mapping, since=progress.reached, full_at=progress.full_at)

    def _read_table(
        self, session: Session, table: Table, plan: Plan, progress: Progress
    ) -> Iterator[Told]:
        comments = CommentPlan(session, table.comments) if table.comments else None
        reader = Reader(
            table, plan, self._options, self._zone, comments.created if comments else None
        )
        since = progress.since.get(table.name)
        if progress.table != table.name:
            progress.table, progress.updated, progress.id = table.name, None, None
            progress.latest = since
            if since is None:
                yield from self._begin_full(session, table, plan, progress)
        place = self._place(progress, plan, since)
        while True:
            self._tools.check()
            rows, is_last = self._page(session, plan, reader, place)
            keys = [self._kept(reader.id(row), table.name) for row in rows]
            texts = self._comments(session, comments, [reader.id(row) for row in rows])
            for row, key in zip(rows, keys, strict=True):
                yield reader.told(row, key, by_key(texts, key))
            if rows:
                place = self._after(progress, plan, rows[-1], keys[-1], is_full=since is None)
            if is_last:
                break
            yield _mark(progress)
        progress.reached[table.name] = progress.latest
        yield _mark(progress)

    def _begin_full(
        self, session: Session, table: Table, plan: Plan, progress: Progress
    ) -> Iterator[Told]:
        """How far changes go before the first row is read: later ones are for the next run."""
        with session.rows(plan.nameless()) as rows:
            [count] = next(rows)
        if count:
            yield Broken(None, "missing_id", f"{count} rows of {table.name} have no {table.id}.")
        if plan.kind is not None:
            with session.rows(plan.latest()) as rows:
                latest = next(rows, None)
            if latest is not None:
                progress.latest = _json(reached(latest[0], plan.kind, self._zone))

    def _place(self, progress: Progress, plan: Plan, since: object | None) -> Place:
        if since is None or plan.kind is None:
            return Place(id=taken(progress.id))
        if progress.updated is not None:
            return Place(taken(progress.updated), taken(progress.id))
        overlap = timedelta(seconds=self._options.overlap_seconds)
        return Place(before(taken(since), plan.kind, self._zone, overlap))

    def _after(
        self, progress: Progress, plan: Plan, row: Row, key: object, *, is_full: bool
    ) -> Place:
        """The place after a row, noted in the progress."""
        progress.id = key
        if is_full or plan.kind is None:
            return Place(id=taken(key))
        progress.updated = _json(row[0])
        progress.latest = _json(reached(row[0], plan.kind, self._zone))
        return Place(row[0], taken(key))

    def _page(
        self, session: Session, plan: Plan, reader: Reader, place: Place
    ) -> tuple[list[Row], bool]:
        """So many rows as are stored at once; whether these were the last."""
        found: list[Row] = []
        characters = 0
        with session.rows(plan.page(place, _ROWS)) as rows:
            for row in rows:
                found.append(row)
                characters += reader.size(row)
                if characters >= _CHARACTERS:
                    return found, False
        return found, len(found) < _ROWS

    def _comments(
        self, session: Session, comments: CommentPlan | None, ids: Sequence[object]
    ) -> dict[str, list[Comment]]:
        found: dict[str, list[Comment]] = {}
        for statement in comments.of(ids) if comments and ids else ():
            with session.rows(statement) as rows:
                for ticket, text, author, created in rows:
                    key = named(self._kept(ticket, "comments")).strip()
                    found.setdefault(key, []).append(Comment(text, author, created))
        return found

    def _kept(self, value: object, of: str) -> object:
        try:
            return kept(value)
        except ItemError as error:
            raise SourceError(error.code, f"{of}: {error.message}") from error


def _is_other_kind(progress: Progress, table: Table, plan: Plan) -> bool:
    """Whether the column is not what it was when the watermark was noted."""
    since = progress.since.get(table.name)
    return since is not None and (plan.kind == "number") != isinstance(since, (int, float, dict))


def _json(value: object) -> object:
    return value if isinstance(value, float) else kept(value)


def _mark(progress: Progress) -> Mark:
    return Mark(cast("dict[str, object]", msgspec.to_builtins(progress)))
