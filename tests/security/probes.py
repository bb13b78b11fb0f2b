"""Look at the world as a subject, and say what came out that should not have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg
from recipes import Recipes
from routines import Call, Function, functions
from subjects import (
    OPENED,
    OPERATORS_ONLY,
    WORKERS_ONLY,
    Boundary,
    Connection,
    Subject,
    rolled_back,
    step_down,
)
from world import UUID, World, found

# What is measured or new at each call and says nothing of anybody's data.
TIMINGS = re.compile(r'(\w+_ms\\?"*: )[\d.e-]+')
_NEW = re.compile(
    rf"{UUID.pattern}|rdb_[\w-]{{6,}}|\b1\d{{4}}\b|\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[.\d+]*"
)
# Arrays of ids come in the order of whatever plan was chosen.
_NUMBERS = re.compile(r"\{(\d+(?:,\d+)+)\}")


def _in_order(match: re.Match[str]) -> str:
    return ",".join(sorted(match[1].split(",")))


@dataclass(frozen=True)
class Outcome:
    """Everything a caller gets to read: rows, or all parts of an error, and notices."""

    rows: tuple[str, ...]
    error: tuple[str | None, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((*self.rows, *(part for part in self.error if part)))


@dataclass
class Looker:
    """A superuser's connection that looks with the eyes of one subject."""

    connection: Connection
    world: World
    subject: Subject
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.boundary = Boundary.of(self.connection, self.world, self.subject)
        self.forbidden = self.world.vocabulary.outside(self.subject.sees)
        self.connection.add_notice_handler(
            lambda notice: self.notices.append(str(notice.message_primary))
        )

    def step_down(self) -> None:
        step_down(self.connection, self.world, self.subject)

    def step_up(self) -> None:
        self.connection.execute(
            "reset session authorization; reset role; set local ragdb.context = ''"
        )

    def ask(self, statement: str, arguments: Iterable[object] = ()) -> Outcome:
        """Run one statement in a part of the transaction that is rolled back."""
        self.notices.clear()
        try:
            with rolled_back(self.connection):
                return self._rows(statement, arguments)
        except psycopg.Error as error:
            return self._failed(error)

    def ask_and_keep(self, statement: str) -> Outcome:
        """As ask(), but what it did stays until the caller's own block ends."""
        self.notices.clear()
        try:
            with self.connection.transaction():
                return self._rows(statement, ())
        except psycopg.Error as error:
            return self._failed(error)

    def write(self, call: Call, before: str) -> tuple[Outcome, bool]:
        """As ask(), with what is left of the subject's own, and whether a hidden row changed."""
        self.notices.clear()
        try:
            with rolled_back(self.connection):
                outcome = self._rows(call.statement, call.arguments)
                self.step_up()
                outcome = Outcome((*outcome.rows, self.boundary.state(self.connection)))
                return outcome, self.boundary.fingerprint(self.connection) != before
        except psycopg.Error as error:
            return self._failed(error), False

    def _rows(self, statement: str, arguments: Iterable[object]) -> Outcome:
        cursor = self.connection.execute(statement.encode(), list(arguments) or None)
        rows = cursor.fetchall() if cursor.description else []
        return Outcome((*sorted(str(row[0]) for row in rows), *self.notices))

    def _failed(self, error: psycopg.Error) -> Outcome:
        said = error.diag
        return Outcome(
            tuple(self.notices),
            (
                error.sqlstate,
                said.message_primary,
                said.message_detail,
                said.message_hint,
                said.context,
            ),
        )

    def leaks(self, outcome: Outcome, passed: object = ()) -> set[str]:
        """Words, ids and hashes of others, without those the caller brought along."""
        known = found(json.dumps(passed, default=str))
        return (found(outcome.text) & self.forbidden) - known


def relations(connection: Connection, role: str, schemas: list[str]) -> list[str]:
    """Every table and view of the schemas that the role may select from; test_source_secrets has
    the one of which it may select some columns only."""
    rows = connection.execute(
        """
        select format('%%I.%%I', n.nspname, c.relname)
          from pg_class c
          join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = any (%s::text[])
           and c.relkind in ('r', 'p', 'v', 'm', 'f')
           and c.relname <> 'embedding_token'
           and has_schema_privilege(%s, n.oid, 'usage')
           and has_table_privilege(%s, c.oid, 'select')
         order by 1
        """,
        (schemas, role, role),
    ).fetchall()
    return [name for (name,) in rows]


def _comparable(call: Call, outcome: Outcome) -> Outcome:
    def clean(text: str | None) -> str | None:
        if text is None:
            return None
        text = TIMINGS.sub(r"\1", text)
        text = _NUMBERS.sub(_in_order, text)
        return _NEW.sub("?", text) if call.function.volatility == "v" else text

    # Without the context, which differs where an expression is planned for the first time.
    return Outcome(
        tuple(str(clean(row)) for row in outcome.rows), tuple(map(clean, outcome.error[:4]))
    )


def looked_at(looker: Looker, only: Iterable[str] | None = None) -> Iterator[Call]:
    """The calls a subject can try: all of the API that its role may execute."""
    recipes = Recipes(looker.connection, looker.world, looker.subject)
    for function in functions(looker.connection):
        if only is not None and function.name not in only:
            continue
        opened = OPENED if looker.subject.bypasses_policies else frozenset[str]()
        if function.name in OPERATORS_ONLY | WORKERS_ONLY - opened:
            continue
        if _may_call(looker.subject, function):
            yield from recipes.calls(function)


def _may_call(subject: Subject, function: Function) -> bool:
    return subject.bypasses_policies or subject.role in function.callers


def function_leaks(looker: Looker, calls: list[Call]) -> list[str]:
    """What calls disclose or change of others.

    Each is made twice: in the world as it is, and after everything hidden from the subject is
    deleted. Whatever differs was learnt from what is hidden, be it a word, a count or a score.
    """
    problems: list[str] = []
    connection, first = looker.connection, list[Outcome]()
    with rolled_back(connection):
        before = looker.boundary.fingerprint(connection)
        looker.step_down()
        for call in calls:
            if call.function.volatility == "v":
                outcome, changed = looker.write(call, before)
                if changed:
                    problems.append(f"{looker.subject.name}: {call} changes rows of others")
            else:
                outcome = looker.ask(call.statement, call.arguments)
            if leaked := looker.leaks(outcome, call.arguments):
                problems.append(f"{looker.subject.name}: {call} shows {sorted(leaked)[:3]}")
            first.append(_comparable(call, outcome))
        looker.step_up()
        looker.boundary.hide(connection)
        looker.step_down()
        for call, outcome in zip(calls, first, strict=True):
            if call.function.volatility == "v":
                again = _comparable(call, looker.write(call, "")[0])
            else:
                again = _comparable(call, looker.ask(call.statement, call.arguments))
            if again != outcome:
                problems.append(
                    f"{looker.subject.name}: {call} depends on rows of others:\n"
                    f"    with them    {_difference(outcome, again)}\n"
                    f"    without them {_difference(again, outcome)}"
                )
    return problems


def _difference(one: Outcome, other: Outcome) -> str:
    rows = [row for row in one.rows if row not in other.rows] or list(one.rows)
    return f"{one.error or ''} {len(one.rows)} rows {' '.join(rows)[:300]}"


def table_leaks(looker: Looker, tables: Iterable[str]) -> list[str]:
    """Rows that a subject sees in tables and should not, or should and does not."""
    problems: list[str] = []
    connection = looker.connection
    with rolled_back(connection):
        looker.step_down()
        seen = {table: looker.ask(f"select t::text from {table} t") for table in tables}
        counts = {table: looker.ask(f"select count(*) from {table}") for table in tables}
        looker.step_up()
        looker.boundary.hide(connection)
        for table, outcome in seen.items():
            expected = looker.ask(f"select t::text from {table} t")
            if outcome.error:
                problems.append(f"{looker.subject.name}: {table} {outcome.error}")
            for row in set(outcome.rows) - set(expected.rows):
                problems.append(f"{looker.subject.name}: {table} shows {row[:200]}")
            for row in set(expected.rows) - set(outcome.rows):
                problems.append(f"{looker.subject.name}: {table} lacks {row[:200]}")
            if counts[table] != looker.ask(f"select count(*) from {table}"):
                problems.append(f"{looker.subject.name}: {table} counts {counts[table].rows}")
    return problems


# An analyst, who cannot write, has none of these.
WRITTEN_BY_ONESELF = ("ragdb.answers", "ragdb.evaluations", "ragdb.feedback")


def view_leaks(looker: Looker, views: Iterable[str]) -> list[str]:
    """What views show of others, or differently for the presence of others."""
    problems: list[str] = []
    connection = looker.connection
    with rolled_back(connection):
        looker.step_down()
        seen = {view: looker.ask(f"select t::text from {view} t") for view in views}
        looker.step_up()
        looker.boundary.hide(connection)
        looker.step_down()
        for view, outcome in seen.items():
            if leaked := looker.leaks(outcome):
                problems.append(f"{looker.subject.name}: {view} shows {sorted(leaked)[:3]}")
            if outcome != looker.ask(f"select t::text from {view} t"):
                problems.append(f"{looker.subject.name}: {view} depends on rows of others")
            expected = looker.subject.is_known and not (
                looker.subject.is_analyst and view in WRITTEN_BY_ONESELF
            )
            if bool(outcome.rows) != expected:
                problems.append(f"{looker.subject.name}: {view} has {len(outcome.rows)} rows")
    return problems


def catalogue_leaks(looker: Looker, views: Iterable[str]) -> list[str]:
    """Words of others in the system's own catalogues and statistics."""
    problems: list[str] = []
    with rolled_back(looker.connection):
        looker.step_down()
        for view in views:
            if leaked := looker.leaks(looker.ask(f"select t::text from {view} t")):
                problems.append(f"{looker.subject.name}: {view} shows {sorted(leaked)[:3]}")
    return problems
