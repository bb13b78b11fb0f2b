"""The SQL that is sent to other people's databases.

Names of tables and columns come from mappings that anybody may have written, so each is quoted as
one name, whatever is in it; values are always bound. The statements are of one shape in all
dialects: a page of rows after a key, in the order of the key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ragdb.sources.driver import SourceError

Moment = Literal["moment", "local", "number", "text"]
"""What the column is by which changes are found: "local" is a time without a zone."""

_LONGEST = 128
_ORDINARY = re.compile(r"[a-z][a-z0-9_$#]*")


@dataclass(frozen=True)
class Statement:
    """SQL and the values bound in it, in order or by name, as the driver wants them."""

    text: str
    values: list[object] | dict[str, object]


@dataclass(frozen=True)
class Condition:
    """A column that has this value, or one of these; None stands for NULL."""

    column: str
    values: tuple[object, ...]


class Dialect:
    """PostgreSQL, and what MySQL and Oracle have in common with it."""

    mark = '"'
    page = " limit {}"
    most_bound = 1000
    """How many values one list may have."""

    def name(self, name: str) -> str:
        """A name quoted; raises SourceError for what cannot be one."""
        if not name or len(name) > _LONGEST or any(ord(c) < 32 or ord(c) == 127 for c in name):
            raise SourceError(
                "invalid_mapping", f"{name[:_LONGEST]!r} is no name of a table or column."
            )
        # A percent sign would be taken for a place where a value goes.
        return self.mark + name.replace(self.mark, 2 * self.mark).replace("%", "%%") + self.mark

    def table(self, name: str) -> str:
        """A table; dots separate the schema from it."""
        return ".".join(self.name(part) for part in name.split("."))

    def relation(self, table: str | None, query: str | None) -> str:
        """What rows are read from."""
        if query is None:
            return f"{self.table(table or '')} t"
        return f"({self.escaped(query.strip().rstrip(';'))}) t"

    def escaped(self, text: str) -> str:
        """Somebody's own SQL, in which nothing is bound."""
        return text.replace("%", "%%")

    def place(self, values: list[object], value: object) -> str:
        """Bind a value: what stands for it in the text."""
        values.append(value)
        return "%s"

    def bound(self, text: str, values: list[object]) -> Statement:
        return Statement(text, values)

    def moment(self, column: str, kind: Moment, type_name: str) -> str:
        """The column by which changes are found, selected so that nothing of it is lost."""
        return self.name(column)

    def since(self, values: list[object], value: object, kind: Moment, type_name: str) -> str:
        """The same value bound, to be compared with the column."""
        return self.place(values, value)

    def columns(self, relation: str) -> Statement:
        """Which columns there are; it returns no row."""
        return self.bound(f"select * from {relation} where 1 = 0", [])  # noqa: S608

    def limited(self, text: str, limit: int) -> str:
        return text + self.page.format(limit)

    def where(
        self, values: list[object], conditions: Sequence[Condition], more: Sequence[str]
    ) -> str:
        """The clause for all of them, or nothing."""
        clauses = [*(self._clause(values, condition) for condition in conditions), *more]
        return f" where {' and '.join(clauses)}" if clauses else ""

    def _clause(self, values: list[object], condition: Condition) -> str:
        column = self.name(condition.column)
        given = [value for value in condition.values if value is not None]
        either = [f"{column} is null"] if len(given) < len(condition.values) else []
        if given:
            either.append(f"{column} in ({', '.join(self.place(values, one) for one in given)})")
        return f"({' or '.join(either) or '1 = 0'})"


class MySQL(Dialect):
    """MySQL and MariaDB."""

    mark = "`"


class Oracle(Dialect):
    """Oracle; names in lower case without strange characters are its own, which are upper case."""

    page = " fetch first {} rows only"
    most_bound = 500

    def name(self, name: str) -> str:
        quoted = super().name(name).replace("%%", "%")
        if '"' in name:
            raise SourceError("invalid_mapping", f"{name!r} is no name of a table or column.")
        return quoted

    def table(self, name: str) -> str:
        return ".".join(
            self.name(part.upper() if _ORDINARY.fullmatch(part) else part)
            for part in name.split(".")
        )

    def escaped(self, text: str) -> str:
        return text

    def place(self, values: list[object], value: object) -> str:
        values.append(value)
        return f":v{len(values)}"

    def bound(self, text: str, values: list[object]) -> Statement:
        return Statement(text, {f"v{number}": value for number, value in enumerate(values, 1)})

    def moment(self, column: str, kind: Moment, type_name: str) -> str:
        quoted = self.name(column)
        match type_name:
            case "DATE":
                return f"to_char({quoted}, '{_SECONDS}')"
            case "TIMESTAMP":
                return f"to_char({quoted}, '{_FRACTIONS}')"
            case "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITH LOCAL TIME ZONE":
                return f"to_char(sys_extract_utc({quoted}), '{_FRACTIONS}')"
            case _:
                return quoted

    def since(self, values: list[object], value: object, kind: Moment, type_name: str) -> str:
        if type_name.startswith("TIMESTAMP") and "." not in str(value):
            value = f"{value}.0"
        place = self.place(values, value)
        match type_name:
            case "DATE":
                return f"to_date({place}, '{_SECONDS}')"
            case "TIMESTAMP":
                return f"to_timestamp({place}, '{_FRACTIONS}')"
            case "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP WITH LOCAL TIME ZONE":
                return f"from_tz(to_timestamp({place}, '{_FRACTIONS}'), 'UTC')"
            case _:
                return place


_SECONDS = "YYYY-MM-DD HH24:MI:SS"
_FRACTIONS = "YYYY-MM-DD HH24:MI:SS.FF9"
