"""Hold every table of ragdb still for the time of an upgrade.

Re-creating a policy or altering a table locks it until the upgrade ends. Taken one by one, with
work in between, these locks would cross those of almost every running query: a deadlock, which may
end the query. So all are taken at once, before anything is changed, and given back and tried again
while some query is in the way.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import psycopg

from ragdb.sqltree import OWNER, InstallError

PATIENCE = 120.0

# Whoever waits for its first lock holds none and cannot deadlock: it waits longer than
# deadlock_timeout (1 s), after which autovacuum gives way. For the others it waits less than that,
# so that it is never the query that is chosen as the victim.
FIRST = "1500ms"
OTHERS = "100ms"

RELATIONS = """
select c.oid::regclass::text
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = any ('{ragdb,ragdb_data,ragdb_private,ai}')
   and c.relkind = any ('{r,p,v}') and not c.relispartition
 order by c.relkind = 'v' desc, 1
"""

# Of the tables that others hold now, the one a vacuum holds: it will hold it longest.
BUSY = """
select coalesce(pg_partition_root(l.relation), l.relation)::regclass::text
  from pg_locks l
 where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
   and coalesce(pg_partition_root(l.relation), l.relation) = any (%s::regclass[])
 order by l.mode = 'ShareUpdateExclusiveLock' desc
 limit 1
"""


def freeze(connection: psycopg.Connection, progress: Callable[[str], None]) -> None:
    """Lock every table and view until the transaction ends; gives up after two minutes."""
    connection.execute(f"set local role {OWNER}".encode())
    relations = [str(name) for (name,) in connection.execute(RELATIONS.encode()).fetchall()]
    deadline = time.monotonic() + PATIENCE
    while relations and not _lock(connection, relations):
        busy = connection.execute(BUSY.encode(), (relations,)).fetchone() or (relations[0],)
        if time.monotonic() > deadline:
            raise InstallError(
                f"Running queries keep {busy[0]} locked. End them, or try later. To see them:"
                " table pg_stat_activity;"
            )
        progress("Waiting for running queries")
        relations.sort(key=lambda name: name != busy[0])
        time.sleep(random.uniform(0.02, 0.2))  # noqa: S311


def _lock(connection: psycopg.Connection, relations: list[str]) -> bool:
    """Lock all of them or none, in one round trip."""
    first, *others = relations
    statements = [
        f"set local lock_timeout = '{FIRST}'",
        f"lock table {first} in access exclusive mode",
        f"set local lock_timeout = '{OTHERS}'",
        *([f"lock table {', '.join(others)} in access exclusive mode"] if others else []),
    ]
    try:
        with connection.transaction():
            connection.execute("; ".join(statements).encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    return True
