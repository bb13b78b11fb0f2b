"""The search section: latency by tenant size, mode and filter, of ragdb and of its peers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench import queries
from bench.measure import Rival, race
from bench.peers import Mode, Peer, Where
from bench.queries import Query
from bench.truth import K, Truth
from bench.world import Tenant, World
from ragdb.db import Caller, Database

MODES: tuple[Mode, ...] = ("hybrid", "keyword", "vector")
_SUFFIX = {None: "", "shelf": "_2pct", "half": "_50pct"}
_TENANTS = 50
FILTERS = (Where(column="shelf", value=7), Where(column="half", value=0))


@dataclass(frozen=True)
class Scenario:
    """Tenants of one size and perhaps a filter, with queries over their text."""

    name: str
    tenants: Sequence[Tenant]
    filter: Where
    queries: Sequence[Query]
    matching: int
    """Chunks that the filter leaves of the tenant with the fewest."""

    def where(self, query: Query) -> Where:
        """The filter for who asks."""
        return Where(query.org, self.filter.column, self.filter.value)


def scenarios(world: World, many: int) -> Generator[Scenario]:
    """Every size without a filter, and the large ones with each filter."""
    with Database.connect(world.ragdb.service_url) as database:
        for size in world.sizes:
            tenants = {tenant.org_no: tenant for tenant in world.of_size(size)[:_TENANTS]}
            asked = [
                Query(text, embed(database, tenants[org].key, text), org, tenants[org].key)
                for org, text in queries.of_tenants(world.export, list(tenants), many)
            ]
            for where in (Where(), *FILTERS):
                if where.column is None or min(t.chunks for t in tenants.values()) >= 900:
                    matching = min(
                        int(world.export.matching([("org", org), *where.conditions()]).sum())
                        for org in tenants
                    )
                    name = size + _SUFFIX[where.column]
                    yield Scenario(name, tuple(tenants.values()), where, asked, matching)


def embed(database: Database, key: str, text: str) -> Any:
    """The vector that ragdb gives a text."""
    row = database.call(Caller(api_key=key), "embed", p_text=text, read_only=True)[0]
    return np.array([float(x) for x in str(row["embed"]).strip("[]").split(",")], dtype=np.float32)


def measure(
    world: World, asked: Sequence[Scenario], peers: dict[str, Peer], say: Callable[[str], None]
) -> Generator[tuple[str, dict[str, Any]]]:
    """Yield each scenario's name and figures as soon as it is measured."""
    with Database.connect(world.ragdb.service_url) as database:
        pid = database.connection.info.backend_pid
        for scenario in asked:
            figures: dict[str, Any] = {
                "tenants_asked": len(scenario.tenants),
                "tenant_chunks": scenario.tenants[0].chunks,
                "table_chunks": len(world.export),
                "matching_chunks": scenario.matching,
            }
            for mode in MODES:
                rivals = {"ragdb": Rival(partial(_ask, database, scenario, mode), pid)}
                for name, peer in peers.items():
                    if mode in peer.modes:
                        rivals[name] = Rival(
                            partial(ask_peer, peer, world, scenario, mode), peer.pid
                        )
                timings = race(rivals, scenario.queries)
                figures[mode] = {name: timing.figures(K) for name, timing in timings.items()}
                if mode == "vector":
                    truth = Truth(world.export, scenario.filter, scenario.queries)
                    for name, timing in timings.items():
                        figures[mode][name]["recall"] = round(truth.recall(timing.found), 4)
                told = ", ".join(f"{name} {timing.p50:.2f}" for name, timing in timings.items())
                say(f"{scenario.name} {mode}: p50 ms {told}")
            yield scenario.name, figures


def _ask(database: Database, scenario: Scenario, mode: Mode, query: Query) -> list[int]:
    """ragdb as the service asks it: a transaction a query, with role and context."""
    column, value = scenario.filter.column, scenario.filter.value
    rows = database.call(
        Caller(api_key=query.key), "search", read_only=True,
        p_query=query.text, p_limit=K, p_mode=mode,
        p_filters={f"metadata.{column}": value} if column else None,
    )  # fmt: skip
    return [row["chunk_id"] for row in rows]


def ask_peer(peer: Peer, world: World, scenario: Scenario, mode: Mode, query: Query) -> list[int]:
    """A peer that holds one tenant's chunks alone is not asked to filter by tenant."""
    where = scenario.where(query) if len(world.tenants) > 1 else scenario.filter
    return peer.search(mode, query, where, K)
