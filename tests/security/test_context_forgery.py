"""A context is signed, and good for one transaction of one backend: making, keeping, bending one.

Over real logins. A success is an answer to "which organization am I?" that is not the caller's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from world import World

Connection = psycopg.Connection[Any]
Count = Callable[[str, int], None]

INVALID = "28000"
WHO = "select ragdb.current_org_no()"


@pytest.fixture
def service(world: World) -> Iterator[Connection]:
    with world.login("service") as connection:
        yield connection


@pytest.fixture
def superuser(world: World) -> Iterator[Connection]:
    with world.connect() as connection:
        yield connection


def begin(connection: Connection, key: str) -> str:
    """Open a context in the running transaction; its text."""
    connection.execute("select ragdb.begin_context(%s)", (key,))
    row = connection.execute("select current_setting('ragdb.context')").fetchone()
    assert row
    return row[0]


def claims(connection: Connection, context: str) -> int | str | None:
    """The organization that a context stands for in a transaction, or the error it meets."""
    try:
        with connection.transaction():
            connection.execute("select set_config('ragdb.context', %s, true)", (context,))
            row = connection.execute(WHO).fetchone()
            assert row
            return row[0]
    except psycopg.Error as error:
        return error.sqlstate


def stolen(world: World, key: str = "vera") -> tuple[str, list[str]]:
    """A context whose transaction is over, and its parts."""
    with world.login("service") as connection, connection.transaction():
        context = begin(connection, world.acme.keys[key])
    return context, context.split("|")


def test_an_honest_context_works_and_ends_with_its_transaction(
    service: Connection, world: World
) -> None:
    with service.transaction():
        begin(service, world.acme.keys["vera"])
        assert service.execute(WHO).fetchone() == (world.acme.org_no,)
    assert service.execute(WHO).fetchone() == (None,)
    assert service.execute("select count(*) from ragdb_data.document").fetchone() == (0,)


def test_every_flipped_bit_is_noticed(service: Connection, world: World, count: Count) -> None:
    with service.transaction():
        context = begin(service, world.acme.keys["admin"])
        accepted: list[str] = []
        flips = [
            (at, context[:at] + chr(ord(context[at]) ^ 1 << bit) + context[at + 1 :])
            for at in range(len(context))
            for bit in range(7)
            if ord(context[at]) ^ 1 << bit
        ]
        for at, flipped in flips:
            if claims(service, flipped) != INVALID:
                accepted.append(f"{at}: {flipped[at]!r} for {context[at]!r}")
        assert claims(service, context) == world.acme.org_no
    count("forgery: attempts", len(flips))
    count("forgery: successes", len(accepted))
    assert accepted == []


@pytest.mark.parametrize(
    "forged",
    [
        "1", "2|2|0|0|*|0,1,2,3|english", "2|2|0|0|*|0,1,2,3|english|" + "0" * 64, "|" * 70,
        "x" * 65, "2|2|0|0|*|0|english|" + "g" * 64, " ", "\N{SNOWMAN}" * 80,
    ],
)  # fmt: skip
def test_a_plain_setting_is_refused(service: Connection, forged: str, count: Count) -> None:
    count("forgery: attempts", 2)
    with service.transaction():
        assert claims(service, forged) == INVALID
    service.execute("select set_config('ragdb.context', %s, false)", (forged,))
    with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
        service.execute("select * from ragdb_data.document")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("organization", "2"), ("user", "1"), ("key", "1"), ("workspace", "2"),
        ("permissions", "*"), ("scopes", "0,1,2,3,4,5"), ("language", "simple"),
    ],
)  # fmt: skip
def test_no_part_can_be_swapped(
    service: Connection, world: World, part: str, value: str, count: Count
) -> None:
    parts = ("organization", "user", "key", "workspace", "permissions", "scopes", "language")
    with service.transaction():
        context = begin(service, world.acme.keys["vera"]).split("|")
        context[parts.index(part)] = value
        assert claims(service, "|".join(context)) == INVALID
    count("forgery: attempts", 1)


def test_a_signature_of_one_organization_signs_no_other(service: Connection, world: World) -> None:
    with service.transaction():
        theirs = begin(service, world.globex.keys["vera"])
        mine = begin(service, world.acme.keys["vera"])
        mixed = theirs[:-64] + mine[-64:]
        assert claims(service, mixed) == INVALID
        assert claims(service, mine) == world.acme.org_no


def test_no_replay_in_a_later_transaction(service: Connection, world: World, count: Count) -> None:
    with service.transaction():
        context = begin(service, world.acme.keys["admin"])
    for _ in range(20):
        with service.transaction():
            assert claims(service, context) == INVALID
    with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification):
        service.execute(
            sql.SQL(
                "do $$ begin perform ragdb.begin_context({}); perform set_config('keep.it',"
                " current_setting('ragdb.context'), false); commit; perform set_config("
                "'ragdb.context', current_setting('keep.it'), true);"
                " perform ragdb.current_org_no(); end $$"
            ).format(world.acme.keys["admin"])
        )
    count("forgery: attempts", 21)


def test_no_replay_in_another_backend(service: Connection, world: World, count: Count) -> None:
    with world.login("service") as other, service.transaction(), other.transaction():
        context = begin(service, world.acme.keys["admin"])
        assert claims(other, context) == INVALID
    count("forgery: attempts", 1)


def test_a_rolled_back_context_is_gone(service: Connection, world: World) -> None:
    with service.transaction():
        begin(service, world.acme.keys["vera"])
        with service.transaction(force_rollback=True):
            begin(service, world.globex.keys["admin"])
            assert service.execute(WHO).fetchone() == (world.globex.org_no,)
        assert service.execute(WHO).fetchone() == (world.acme.org_no,)
        with pytest.raises(psycopg.Error), service.transaction():
            begin(service, world.globex.keys["admin"])
            service.execute("select 1 / 0")
        assert service.execute(WHO).fetchone() == (world.acme.org_no,)


def test_prepared_statements_follow_the_caller(service: Connection, world: World) -> None:
    """A plan made for one organization serves the next one with that one's rows."""
    service.execute("prepare mine as select distinct org_no from ragdb_data.document")
    service.execute("prepare hits as select title from ragdb.search('vault keys', 100)")
    for setting in ("force_generic_plan", "force_custom_plan", "auto"):
        service.execute(f"set plan_cache_mode = {setting}".encode())
        for n in range(12):
            party = (world.acme, world.globex)[n % 2]
            with service.transaction():
                begin(service, party.keys["vera"])
                assert service.execute("execute mine").fetchall() == [(party.org_no,)]
                titles = {title for (title,) in service.execute("execute hits").fetchall()}
                assert titles <= {i.fields["p_title"] for i in party.items_of(party.domain)} | {
                    "Common"
                }
        assert service.execute("execute mine").fetchall() == []


@pytest.mark.parametrize(
    "query",
    [
        "select d.org_no from ragdb_data.document d"
        " where set_config('ragdb.context', %s, true) <> ''",
        "select s.org_no from (select set_config('ragdb.context', %s, true)) c, ragdb_data.scope s",
        "select (select max(org_no) from ragdb_data.document) from"
        " (select set_config('ragdb.context', %s, true) offset 0) c",
        "with c as materialized (select set_config('ragdb.context', %s, true))"
        " select d.org_no from c, ragdb_data.document d",
    ],
)
def test_a_setting_changed_while_a_statement_runs(
    service: Connection, world: World, query: str, count: Count
) -> None:
    forged = f"{world.globex.org_no}|1|0|0|*|0,1,2,3|english|" + "0" * 64
    for context in (forged, stolen(world)[0], ""):
        with service.transaction(force_rollback=True):
            begin(service, world.acme.keys["vera"])
            try:
                rows = service.execute(query.encode(), (context,)).fetchall()
            except psycopg.errors.InvalidAuthorizationSpecification:
                rows = []
            assert {number for (number,) in rows} <= {world.acme.org_no, None}
    count("forgery: attempts", 3)


def test_parallel_workers_see_no_more(service: Connection, world: World) -> None:
    for setting in (
        "debug_parallel_query = on", "min_parallel_table_scan_size = 0", "parallel_setup_cost = 0",
        "min_parallel_index_scan_size = 0", "parallel_tuple_cost = 0",
        "max_parallel_workers_per_gather = 4",
    ):  # fmt: skip
        service.execute(f"set {setting}".encode())
    for party in (world.acme, world.globex):
        with service.transaction():
            begin(service, party.keys["vera"])
            for table in ("document", "chunk", "chunk_vector", "posting", "document_fact"):
                rows = service.execute(f"select distinct org_no from ragdb_data.{table}".encode())
                assert rows.fetchall() == [(party.org_no,)]
            assert service.execute("select from ragdb.search('vault keys')").rowcount > 0


def test_a_signature_is_bound_to_its_process(superuser: Connection) -> None:
    """A parallel worker shares the transaction's start with its leader, but is another process."""
    signatures = superuser.execute(
        """
        begin;
        create function public.signed() returns text language sql parallel safe
          return ragdb_private.mac('x', '\\x01'::bytea, '\\x02'::bytea);
        set local debug_parallel_query = on;
        """
    )
    assert signatures
    query = "select public.signed() from (select 1) t"
    in_a_worker = superuser.execute(query.encode()).fetchone()
    superuser.execute("set local debug_parallel_query = off")
    in_the_leader = [superuser.execute(query.encode()).fetchone() for _ in range(2)]
    superuser.rollback()
    assert in_the_leader[0] == in_the_leader[1] != in_a_worker


def test_a_session_keeps_the_key_it_began_with(
    service: Connection, superuser: Connection, world: World
) -> None:
    def who(connection: Connection) -> int:
        with connection.transaction():
            begin(connection, world.acme.keys["vera"])
            row = connection.execute(WHO).fetchone()
        assert row
        return row[0]

    assert who(service) == world.acme.org_no
    row = superuser.execute("select inner_pad from ragdb_private.context_key").fetchone()
    assert row
    change = "update ragdb_private.context_key set inner_pad = %s"
    try:
        superuser.execute(change, (b"7" * 64,))
        assert who(service) == world.acme.org_no
        with world.login("service") as later:
            assert who(later) == world.acme.org_no
    finally:
        superuser.execute(change, row)
