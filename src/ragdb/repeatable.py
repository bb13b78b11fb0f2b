"""Repeatable files: functions, triggers, views, policies, privileges and seed rows.

They are source code, not history. When one of them changed all of them run again, and what they no
longer define is dropped, so that a database equals its files whatever way it came here.
"""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from ragdb.sqltree import DEFINER, OWNER, InstallError, SqlTree

# What repeatable files no longer define: rows of the catalogue that this transaction, having just
# run all of them, did not write. Triggers of pgai's vectorizers are not ours to drop.
ORPHANS = (
    """
    select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
      from pg_trigger t
      join pg_class c on c.oid = t.tgrelid
      join pg_proc p on p.oid = t.tgfoid
     where c.relnamespace = 'ragdb_data'::regnamespace
       and p.pronamespace = any ('{ragdb,ragdb_data,ragdb_private}'::regnamespace[])
       and not t.tgisinternal and t.tgparentid = 0
       and t.xmin <> pg_current_xact_id()::xid
    """,
    """
    select format('drop policy %I on %s', p.polname, p.polrelid::regclass)
      from pg_policy p
      join pg_class c on c.oid = p.polrelid
     where c.relnamespace = 'ragdb_data'::regnamespace
       and p.xmin <> pg_current_xact_id()::xid
    """,
    """
    select 'drop view ' || string_agg(r.ev_class::regclass::text, ', ')
      from pg_rewrite r
      join pg_class c on c.oid = r.ev_class
     where c.relnamespace = 'ragdb'::regnamespace and c.relkind = 'v'
       and r.xmin <> pg_current_xact_id()::xid
    having count(*) > 0
    """,
    """
    select 'drop routine ' || string_agg(p.oid::regprocedure::text, ', ')
      from pg_proc p
     where p.pronamespace = any ('{ragdb,ragdb_data,ragdb_private}'::regnamespace[])
       and p.xmin <> pg_current_xact_id()::xid
    having count(*) > 0
    """,
)


def reload(
    connection: psycopg.Connection, tree: SqlTree, progress: Callable[[str], None]
) -> tuple[str, ...]:
    """Run every repeatable file and drop the orphans; returns what was dropped.

    Privileges come after the orphans are gone: granting on a function rewrites its row as much as
    defining it does.
    """
    progress(f"Functions, views and policies ({len(tree.code)} files)")
    for file in tree.code:
        file.run(connection, DEFINER if file.name.startswith("definers/") else OWNER)
    dropped = _drop_orphans(connection)
    for file in tree.data:
        file.run(connection, OWNER)
    return dropped


def _drop_orphans(connection: psycopg.Connection) -> tuple[str, ...]:
    connection.execute(f"set local role {OWNER}; set local search_path = pg_catalog".encode())
    dropped: list[str] = []
    for query in ORPHANS:
        for (statement,) in connection.execute(query.encode()).fetchall():
            try:
                connection.execute(statement.encode())
            except psycopg.errors.DependentObjectsStillExist as error:
                raise InstallError(
                    f"{statement}: no file defines it any more, but"
                    f" {error.diag.message_detail}. Drop or change what depends on it first."
                ) from error
            dropped.append(statement.removeprefix("drop "))
    return tuple(dropped)
