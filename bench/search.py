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
FILTERS = (Where(column="shelf", value=7), Where(column="half", value=0))


@dataclass(frozen=True)
class Scenario:
    """A tenant and perhaps a filter, with queries over its text."""

    name: str
    tenant: Tenant
    where: Where
    queries: Sequence[Query]
    matching: int


def scenarios(world: World, many: int) -> Generator[Scenario]:
    """Every size without a filter, and the large ones with each filter."""
    with Database.connect(world.ragdb.service_url) as database:
        for size in world.sizes:
            tenant = world.of_size(size)
            asked = [
                Query(text, embed(database, tenant.key, text))
                for text in queries.of_tenant(world.export, tenant.org_no, many)
            ]
            for where in (Where(), *FILTERS):
                where = Where(tenant.org_no, where.column, where.value)
                matching = int(world.export.matching(where.conditions()).sum())
                percent = (
                    "" if where.column is None else "_2pct" if where.column == "shelf" else "_50pct"
                )
                if where.column is None or tenant.chunks >= 1000:
                    yield Scenario(size + percent, tenant, where, asked, matching)


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
                "tenant_chunks": scenario.tenant.chunks,
                "table_chunks": len(world.export),
                "matching_chunks": scenario.matching,
            }
            for mode in MODES:
                rivals = {"ragdb": Rival(partial(_ask, database, scenario, mode), pid)}
                whole = len(world.tenants) == 1 and scenario.where.column is None
                where = Where() if whole else scenario.where
                for name, peer in peers.items():
                    if mode in peer.modes:
                        rivals[name] = Rival(partial(_ask_peer, peer, mode, where), peer.pid)
                timings = race(rivals, scenario.queries)
                figures[mode] = {name: timing.figures(K) for name, timing in timings.items()}
                if mode == "vector":
                    truth = Truth(world.export, scenario.where, scenario.queries)
                    for name, timing in timings.items():
                        figures[mode][name]["recall"] = round(truth.recall(timing.found), 4)
                told = ", ".join(f"{name} {timing.p50:.2f}" for name, timing in timings.items())
                say(f"{scenario.name} {mode}: p50 ms {told}")
            yield scenario.name, figures


def _ask(database: Database, scenario: Scenario, mode: Mode, query: Query) -> list[int]:
    """ragdb as the service asks it: a transaction a query, with role and context."""
    where = scenario.where
    filters = {f"metadata.{where.column}": where.value} if where.column else None
    rows = database.call(
        Caller(api_key=scenario.tenant.key), "search", read_only=True,
        p_query=query.text, p_limit=K, p_mode=mode, p_filters=filters,
    )  # fmt: skip
    return [row["chunk_id"] for row in rows]


def _ask_peer(peer: Peer, mode: Mode, where: Where, query: Query) -> list[int]:
    return peer.search(mode, query, where, K)
