"""The catalogue keeps the rules on which isolation rests. See catalogue.py for the list."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from catalogue import DEFINERS, GLOBAL_KEYS, RULES
from world import World

Connection = psycopg.Connection[Any]
Count = Callable[[str, int], None]


@pytest.fixture
def db(world: World) -> Iterator[Connection]:
    with world.connect() as connection:
        yield connection


@pytest.mark.parametrize("rule", RULES)
def test_nothing_breaks_the_rule(db: Connection, rule: str, count: Count) -> None:
    violations = db.execute(RULES[rule].encode()).fetchall()
    count("catalogue: rules", 1)
    count("catalogue: violations", len(violations))
    assert violations == [], rule


def definers(db: Connection) -> tuple[str, ...]:
    rows = db.execute(
        "select p.pronamespace::regnamespace || '.' || p.proname from pg_proc p"
        " where p.prosecdef and p.pronamespace::regnamespace::text ~ '^ragdb' order by 1"
    ).fetchall()
    return tuple(name for (name,) in rows)


def test_definer_functions_are_the_known_ones(db: Connection) -> None:
    assert definers(db) == tuple(sorted(DEFINERS))
    assert len(DEFINERS) <= 12


def test_every_key_leads_with_the_organization(db: Connection, count: Count) -> None:
    """Unique and foreign keys are checked past row level security: each must stay inside one."""
    rows = db.execute(
        """
        select k.name, k.leads
          from (select c.conname::text as name,
                       (select a.attname from pg_attribute a
                         where a.attrelid = c.conrelid and a.attnum = c.conkey[1]) = 'org_no'
                       and (c.contype <> 'f'
                            or (select a.attname from pg_attribute a
                                 where a.attrelid = c.confrelid
                                   and a.attnum = c.confkey[1]) = 'org_no')
                         as leads
                  from pg_constraint c
                 where c.connamespace::regnamespace::text in ('ragdb_data', 'ragdb_private')
                   and c.contype in ('p', 'u', 'f', 'x')
                union all
                select i.indexrelid::regclass::text,
                       (select a.attname from pg_attribute a
                         where a.attrelid = i.indrelid and a.attnum = i.indkey[0]) = 'org_no'
                  from pg_index i
                  join pg_class c on c.oid = i.indrelid
                 where c.relnamespace::regnamespace::text in ('ragdb_data', 'ragdb_private')
                   and i.indisunique) k
         where k.name !~ '^(_|ragdb_private\\.)?(yoyo|_yoyo)'
        """
    ).fetchall()
    count("catalogue: keys", len(rows))
    wrong = {name.split(".")[-1] for name, leads in rows if not leads}
    assert {name for name in wrong if "yoyo" not in name} == set(GLOBAL_KEYS)


def test_no_public_right_on_the_database(template: dict[str, Any]) -> None:
    """As installed: what is granted on a database is not copied to its clones."""
    with psycopg.connect(**template) as connection:
        rows = connection.execute(
            "select a.privilege_type from pg_database d, aclexplode(coalesce(d.datacl,"
            " acldefault('d', d.datdba))) a where d.datname = current_database() and a.grantee = 0"
        ).fetchall()
    assert [privilege for (privilege,) in rows] == ["CONNECT"]


def test_nothing_but_ids_travels_by_notify(db: Connection) -> None:
    """Any login may listen."""
    rows = db.execute(
        "select p.proname, (regexp_matches(p.prosrc, 'notify[^;]*;', 'i'))[1] from pg_proc p"
        " where p.pronamespace::regnamespace::text ~ '^ragdb'"
        " and p.prosrc ~* '\\m(pg_notify|notify)\\M' order by 1"
    ).fetchall()
    assert rows == [
        ("notify_job", "notify('ragdb_job', new.id::text);"),
        ("notify_queue", "notify('ragdb_queue', '');"),
    ]
