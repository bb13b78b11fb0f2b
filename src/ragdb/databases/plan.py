"""The statements for one table: its columns found, its pages, its comments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragdb.databases.dialect import Condition, Dialect, Moment, Statement
from ragdb.databases.mapping import Comments, Table, conditions
from ragdb.databases.session import Column, Session
from ragdb.sources.driver import SourceError


@dataclass(frozen=True)
class Place:
    """Where a page begins: after this row. Without `updated`, rows are read in the order of ids."""

    updated: object | None = None
    id: object | None = None


class Plan:
    """One table as it is now, and how to read it."""

    def __init__(self, session: Session, table: Table) -> None:
        self._dialect = session.dialect
        self._relation = self._dialect.relation(table.table, table.query)
        self._columns = Columns(session, self._relation, table.name)
        wanted = [table.id, table.title, *table.content, table.deleted, table.date]
        wanted += [*table.metadata.values(), *table.labels]
        self.names = list(dict.fromkeys(name for name in wanted if name is not None))
        """What the values of a row are of, after the one that changes are found by."""
        self._found = [self._columns.find(name) for name in self.names]
        self._id = self._dialect.name(self._columns.find(table.id).name)
        self._where = self._columns.conditions(conditions(table.where))
        self._updated = self._columns.find(table.updated) if table.updated else None
        if self._updated and self._updated.moment is None:
            raise SourceError(
                "not_a_time",
                f"Changes in {table.name} cannot be found by {table.updated}: it is"
                f" {self._updated.type_name}, no time and no number.",
            )

    @property
    def kind(self) -> Moment | None:
        """What the column is by which changes are found."""
        return self._updated.moment if self._updated else None

    def moment(self, name: str) -> Moment | None:
        """What a column is; a number is one, not a time."""
        moment = self._columns.find(name).moment
        return moment if moment in ("moment", "local") else None

    def page(self, place: Place, limit: int) -> Statement:
        """Rows after a place: of a change, or of an id where there is no change to go by."""
        values: list[object] = []
        more = [f"{self._id} is not null"]
        order = self._id
        if place.updated is not None and self._updated is not None:
            column, known = self._dialect.name(self._updated.name), self._updated
            kind = known.moment or "text"

            def bound() -> str:
                return self._dialect.since(values, place.updated, kind, known.type_name)

            order = f"{column}, {self._id}"
            # The values are bound in the order in which they stand in the text.
            clause = self._dialect.where(values, self._where, more)
            clause += f" and {column} >= {bound()}"
            if place.id is not None:
                clause += f" and ({column} > {bound()}"
                clause += f" or {self._id} > {self._dialect.place(values, place.id)})"
        else:
            clause = self._dialect.where(values, self._where, more)
            if place.id is not None:
                clause += f" and {self._id} > {self._dialect.place(values, place.id)}"
        text = f"select {self._selected()} from {self._relation}{clause} order by {order}"  # noqa: S608
        return self._dialect.bound(self._dialect.limited(text, limit), values)

    def latest(self) -> Statement:
        """The last change that there is."""
        known = self._updated
        if known is None:
            raise AssertionError("a table without changes was asked for its last")
        values: list[object] = []
        column = self._dialect.name(known.name)
        clause = self._dialect.where(values, self._where, [f"{column} is not null"])
        text = f"select {self._change()} from {self._relation}{clause} order by {column} desc"  # noqa: S608
        return self._dialect.bound(self._dialect.limited(text, 1), values)

    def nameless(self) -> Statement:
        """How many rows have no id."""
        values: list[object] = []
        clause = self._dialect.where(values, self._where, [f"{self._id} is null"])
        text = f"select count(*) from {self._relation}{clause}"  # noqa: S608
        return self._dialect.bound(text, values)

    def _selected(self) -> str:
        return ", ".join([self._change(), *(self._dialect.name(c.name) for c in self._found)])

    def _change(self) -> str:
        known = self._updated
        if known is None:
            return "null"
        return self._dialect.moment(known.name, known.moment or "text", known.type_name)


class CommentPlan:
    """The comments on the rows of a page, in one statement."""

    def __init__(self, session: Session, comments: Comments) -> None:
        self._dialect = session.dialect
        self._relation = self._dialect.relation(comments.table, None)
        self._columns = Columns(session, self._relation, comments.table)
        self._ticket = self._dialect.name(self._columns.find(comments.ticket).name)
        names = [comments.text, comments.author, comments.created]
        self._selected = [
            self._dialect.name(self._columns.find(name).name) if name else "null" for name in names
        ]
        self._where = self._columns.conditions(conditions(comments.where))
        self.created: Moment | None = (
            self._columns.find(comments.created).moment if comments.created else None
        )

    def of(self, ids: Sequence[object]) -> Iterable[Statement]:
        """Those on these rows: ticket, text, author, when; the earliest first."""
        most = self._dialect.most_bound
        for start in range(0, len(ids), most):
            values: list[object] = []
            clause = self._dialect.where(values, self._where, [])
            listed = ", ".join(
                self._dialect.place(values, one) for one in ids[start : start + most]
            )
            joined = "and" if clause else "where"
            order = ", ".join([self._ticket, *(s for s in self._selected[2:] if s != "null")])
            yield self._dialect.bound(
                f"select {', '.join([self._ticket, *self._selected])} from {self._relation}"  # noqa: S608
                f"{clause} {joined} {self._ticket} in ({listed}) order by {order}",
                values,
            )


class Columns:
    """The columns that a table has, found in whatever case their names were written."""

    def __init__(self, session: Session, relation: str, of: str) -> None:
        dialect: Dialect = session.dialect
        self._of = of
        self._known = session.columns(dialect.columns(relation))

    def find(self, name: str) -> Column:
        """The column of this name; raises SourceError, which lists those that there are."""
        found = [column for column in self._known if column.name == name] or [
            column for column in self._known if column.name.casefold() == name.casefold()
        ]
        if len(found) != 1:
            there = ", ".join(column.name for column in self._known[:40])
            which = "several columns" if found else "no column"
            raise SourceError(
                "column_not_found", f"{self._of} has {which} named {name}; it has {there}."
            )
        return found[0]

    def conditions(self, given: Sequence[Condition]) -> list[Condition]:
        """The same conditions, on the columns as they are really called."""
        return [Condition(self.find(one.column).name, one.values) for one in given]
