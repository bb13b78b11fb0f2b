"""What isolation costs: the same search with and without row level security and context.

The owner's side is a superuser's connection, to which no policy applies. It still opens a context,
for search() asks which organization to search; what opening one costs is measured on its own and
taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from psycopg import sql

from bench.measure import Rival, race
from bench.queries import Query
from bench.search import Scenario
from bench.world import World
from ragdb.db import Database

_SEARCH = sql.SQL("select * from ragdb.search(p_query => %(query)s, p_limit => 10)")
_ROLE = sql.SQL("set local role ragdb_service")
_CONTEXT = sql.SQL("select ragdb.begin_context(%(key)s)")


def measure(
    world: World, asked: list[Scenario], say: Callable[[str], None]
) -> Generator[tuple[str, dict[str, float]]]:
    """For each tenant size: p50 of service and owner, and by how much the service is slower."""
    with (
        Database.connect(world.ragdb.service_url) as service,
        Database.connect(world.ragdb.superuser_url) as owner,
    ):
        for scenario in asked:
            rivals = {
                "service": Rival(partial(_run, service, [_ROLE, _CONTEXT, _SEARCH])),
                "owner": Rival(partial(_run, owner, [_CONTEXT, _SEARCH])),
                "empty": Rival(partial(_run, service, [])),
                "context": Rival(partial(_run, service, [_ROLE, _CONTEXT])),
            }
            p50 = {name: timing.p50 for name, timing in race(rivals, scenario.queries).items()}
            opening = p50["context"] - p50["empty"]
            without = max(p50["owner"] - opening, 0.001)
            say(f"{scenario.name}: isolation costs {100 * (p50['service'] / without - 1):.1f} %")
            yield (
                scenario.name,
                {
                    "service_p50_ms": round(p50["service"], 3),
                    "owner_p50_ms": round(without, 3),
                    "context_p50_ms": round(opening, 3),
                    "overhead": round(p50["service"] / without - 1, 4),
                },
            )


def _run(database: Database, commands: list[sql.SQL], query: Query) -> list[int]:
    values: dict[str, Any] = {"query": query.text, "key": query.key}
    connection = database.connection
    with connection.pipeline():
        connection.execute("begin read only")
        for command in commands:
            connection.execute(command, values)
        cursor = connection.execute("select 1")
        connection.execute("commit")
    cursor.fetchall()
    return []
