"""Write to tables directly, as somebody could who runs SQL of their own through the service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from probes import Looker, Outcome
from subjects import Connection, rolled_back

REFUSED = "42501"


@dataclass(frozen=True)
class Granted:
    """What a role may write of a table: its columns by command."""

    table: str
    columns: tuple[str, ...]
    insert: tuple[str, ...]
    update: tuple[str, ...]
    delete: bool


def granted(connection: Connection, role: str) -> Iterator[Granted]:
    """The tables a role may write to."""
    rows = connection.execute(
        """
        select c.oid::regclass::text,
               array_agg(a.attname::text order by a.attnum),
               array_agg(a.attname::text order by a.attnum) filter (
                 where has_column_privilege(%(role)s, c.oid, a.attnum, 'insert')
                   and a.attgenerated = ''),
               array_agg(a.attname::text order by a.attnum) filter (
                 where has_column_privilege(%(role)s, c.oid, a.attnum, 'update')
                   and a.attidentity = ''),
               has_table_privilege(%(role)s, c.oid, 'delete')
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
         where c.relnamespace = 'ragdb_data'::regnamespace
           and c.relkind in ('r', 'p')
         group by c.oid
         order by 1
        """,
        {"role": role},
    ).fetchall()
    for table, columns, insert, update, delete in rows:
        if insert or update or delete:
            yield Granted(table, tuple(columns), tuple(insert or ()), tuple(update or ()), delete)


def _moved(looker: Looker, grant: Granted) -> Iterator[tuple[str, str]]:
    """Columns that say whose a row is, each with the number of somebody else."""
    world = looker.world
    theirs = next(item for item in world.acme.items if item.domain not in looker.subject.sees)
    others = {
        "org_no": f"{world.globex.org_no}",
        "scope_no": f"{theirs.scope_no}",
        "user_no": "(select min(user_no) from ragdb_data.membership"
        " where user_no <> ragdb.current_user_no())",
    }
    for column, number in others.items():
        if column in grant.columns and (
            column != "user_no" or re.search("answer|job|schedule", grant.table)
        ):
            yield column, number


def write_leaks(looker: Looker, grants: list[Granted]) -> tuple[list[str], int]:
    """Rows of others that direct writes reach, or rows given to others; and how many were tried."""
    problems: list[str] = []
    tried = 0
    connection = looker.connection
    for grant in grants:
        with rolled_back(connection):
            looker.step_down()
            for column, number in _moved(looker, grant):
                for statement in _thefts(grant, column, number):
                    tried += 1
                    outcome = looker.ask(statement)
                    if not _is_refused(outcome):
                        problems.append(f"{looker.subject.name}: {statement[:160]} {outcome.error}")
            for statement in _sweeps(grant):
                tried += 1
                if _changes(looker, statement):
                    problems.append(f"{looker.subject.name}: {statement} reaches rows of others")
    return problems, tried


def _thefts(grant: Granted, column: str, number: str) -> Iterator[str]:
    if grant.insert:
        columns = ", ".join(grant.insert)
        values = ", ".join(number if c == column else c for c in grant.insert)
        yield (
            f"insert into {grant.table} ({columns}) overriding system value"
            f" select {values} from {grant.table} limit 1 returning 'stored'"
        )
    if column in grant.update:
        yield f"update {grant.table} set {column} = {number} returning 'moved'"


def _sweeps(grant: Granted) -> Iterator[str]:
    """Statements without a condition: the policies alone say which rows they reach."""
    if grant.update:
        same = ", ".join(f"{column} = {column}" for column in grant.update)
        yield f"update {grant.table} set {same}"
    if grant.delete:
        yield f"delete from {grant.table}"


def _is_refused(outcome: Outcome) -> bool:
    """Refused by a policy or a missing right, or there was no row to begin with."""
    return outcome.error[0] == REFUSED if outcome.error else not outcome.rows


def _changes(looker: Looker, statement: str) -> bool:
    """Whether a hidden row is gone or has another version after the statement."""
    # Whoever deletes a document takes along the answers that quote it and what was said of it,
    # whoever asked or said it.
    takes_documents = ("delete from ragdb_data.document", "delete from ragdb_data.data_source")
    spared = ("answer", "feedback") if statement in takes_documents else ()
    if statement == "delete from ragdb_data.job":  # by whoever configures the organization
        spared = ("job_detail", "upload")
    # A workspace goes with all that is in it, by whoever configures the organization.
    foreign = statement == "delete from ragdb_data.workspace"
    with rolled_back(looker.connection):
        versions = _versions(looker, spared, foreign)
        return (
            not looker.ask_and_keep(statement).error
            and _versions(looker, spared, foreign) != versions
        )


# Tables whose rows belong to no organization.
_GLOBAL = ("app_user", "embedding_rate")


def _versions(
    looker: Looker, spared: tuple[str, ...], foreign: bool
) -> list[tuple[object, ...]]:
    """Places of all hidden rows, or those of other organizations only.

    Even an update that changes nothing moves a row.
    """
    with rolled_back(looker.connection):
        looker.step_up()
        versions: list[tuple[object, ...]] = []
        for name, _, condition, numbers in list(looker.boundary.hidden(looker.connection)):
            if name.startswith(spared):
                continue
            if foreign and name not in _GLOBAL:
                condition = "org_no <> %(org)s"
            versions += looker.connection.execute(
                f"select tableoid, ctid from ragdb_data.{name} where {condition}".encode(), numbers
            ).fetchall()
        return versions


def powerless_writes(looker: Looker, grants: list[Granted]) -> tuple[list[str], int]:
    """What a credential without any permission can write all the same."""
    problems: list[str] = []
    tried = 0
    with rolled_back(looker.connection):
        looker.step_down()
        for grant in grants:
            columns = ", ".join(grant.insert)
            statements = [statement + " returning 1" for statement in _sweeps(grant)]
            if grant.insert:
                statements.append(
                    f"insert into {grant.table} ({columns}) overriding system value"
                    f" select {columns} from {grant.table} limit 1 returning 1"
                )
            for statement in statements:
                tried += 1
                outcome = looker.ask(statement)
                if not _is_refused(outcome):
                    problems.append(f"{looker.subject.name}: {statement[:160]} {outcome.error}")
    return problems, tried


def door_leaks(looker: Looker, person: str) -> list[str]:
    """Ways to let a person into a closed workspace without managing people."""
    theirs = (
        "select m.org_no, w.workspace_no, m.user_no from ragdb_data.membership m"
        " join ragdb_data.app_user u using (user_no)"
        f" cross join generate_series(1, 9) w(workspace_no) where u.email = '{person}'"
    )
    statements = (
        f"insert into ragdb_data.workspace_member {theirs} and exists (select from"
        " ragdb_data.workspace k where k.workspace_no = w.workspace_no and not k.is_open)"
        " on conflict do nothing returning 'in'",
        f"update ragdb_data.workspace_member set user_no = t.user_no from ({theirs}) t"
        " where workspace_member.workspace_no = t.workspace_no returning 'in'",
    )
    with rolled_back(looker.connection):
        looker.step_down()
        return [
            f"{looker.subject.name}: {statement[:60]} lets {person} in"
            for statement in statements
            if not _is_refused(looker.ask(statement))
        ]
