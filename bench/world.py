"""A database filled with tenants, and everything peers need to hold the same chunks.

A world is loaded once and kept in the work directory: its tenants in tenants.json, its chunks with
their vectors, exported from ragdb's own tables, beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.corpus import Document
from bench.export import Export, export
from bench.server import Ragdb
from bench.writing import BULK_WRITERS, maintain, owner, write
from ragdb.vector_index import make_way

Say = Callable[[str], None]


@dataclass(frozen=True)
class Tenant:
    """An organization of the world, and what loading it took."""

    name: str
    size: str
    key: str
    org_no: int
    chunks: int
    documents: int
    put_seconds: float
    maintain_seconds: float


@dataclass(frozen=True)
class Plan:
    """How many tenants of which size a world has, by the name the size goes by in reports."""

    name: str
    tenants: tuple[tuple[str, int, int], ...]
    """(name of the size, chunks, how many such tenants)"""
    bulk: bool = False
    """Loaded as fast as can be, by several writers."""


def mixed(chunks: int) -> Plan:
    """Half of the table in one tenant, a third in tenants of 10,000, the rest in small ones."""
    large = chunks // 2
    medium = min(10_000, chunks // 5)
    mediums = round(0.3 * chunks / medium)
    small = min(200, chunks // 20)
    smalls = max(1, (chunks - large - medium * mediums) // small)
    return Plan("mixed", ((_count(large), large, 1), (_count(medium), medium, mediums),
                          (_count(small), small, smalls)))  # fmt: skip


def single(chunks: int, name: str = "single") -> Plan:
    """One tenant that owns everything."""
    return Plan(name, ((f"{_count(chunks)}_single", chunks, 1),), bulk=True)


def thousand(chunks: int) -> Plan:
    """A thousand tenants of one size."""
    return Plan("thousand", ((f"{_count(chunks)}_over_1000", chunks // 1000, 1000),))


def _count(number: int) -> str:
    if number % 1_000_000 == 0:
        return f"{number // 1_000_000}m"
    return f"{number // 1000}k" if number % 1000 == 0 else str(number)


@dataclass(frozen=True)
class World:
    """A loaded database and its export."""

    plan: Plan
    folder: Path
    ragdb: Ragdb
    tenants: tuple[Tenant, ...]
    export: Export

    def of_size(self, size: str) -> list[Tenant]:
        """The tenants of a size."""
        return [tenant for tenant in self.tenants if tenant.size == size]

    @property
    def sizes(self) -> list[str]:
        return [size for size, _, _ in self.plan.tenants]


def loaded(
    plan: Plan, folder: Path, ragdb: Ragdb, documents: Iterator[Document], say: Say
) -> World:
    """Load what is missing; a tenant that is whole is never loaded again."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tenants.json"
    done: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    tenants = [Tenant(**row) for row in done]
    wanted = [(size, chunks) for size, chunks, many in plan.tenants for _ in range(many)]
    for tenant in tenants:
        for _ in range(tenant.documents):
            next(documents)
    for number, (size, chunks) in enumerate(wanted[len(tenants) :], len(tenants)):
        # An interrupted run may have left a tenant of this number behind, half loaded.
        name = f"t{number}-{time.time_ns() % 1_000_000_000}"
        tenants.append(_load_tenant(ragdb, name, size, chunks, plan.bulk, documents, say))
        path.write_text(json.dumps([asdict(tenant) for tenant in tenants]))
    target = folder / "export"
    if not target.exists():
        say(f"{plan.name}: exporting chunks and vectors")
        ragdb.do("vacuum analyze")
        export(ragdb, target, [tenant.org_no for tenant in tenants])
    return World(plan, folder, ragdb, tuple(tenants), Export(target))


def _load_tenant(
    ragdb: Ragdb, name: str, size: str, chunks: int, bulk: bool, documents: Iterator[Document],
    say: Say,
) -> Tenant:  # fmt: skip
    """Make an organization and give it documents until it has about that many chunks.

    Up to 10,000 it ends a little below, where search still compares every vector.
    """
    key = ragdb.organization(name)
    wanted = chunks if chunks > 10_000 else chunks * 98 // 100

    told = 0

    def progress(stored: int, seconds: float) -> None:
        nonlocal told
        if stored - told >= 10_000:
            told = stored
            say(f"{size}: {stored:,} of {chunks:,} chunks, {stored / seconds:,.0f}/s")

    writers = BULK_WRITERS if bulk else 1
    if bulk:
        with owner(ragdb, name) as call:
            make_way(call)
    stored = write(ragdb, key, documents, wanted, writers, progress, bulk=bulk)
    maintained = maintain(ragdb, key, name)
    if chunks >= 10_000:
        say(
            f"{size}: {stored.chunks:,} chunks at {stored.rate:,.0f}/s, maintain {maintained:.1f} s"
        )
    found = ragdb.ask("select org_no from ragdb_data.organization where slug = %s", name)
    return Tenant(
        name, size, key, found[0]["org_no"], stored.chunks, stored.documents, stored.seconds,
        maintained,
    )  # fmt: skip
