"""The growth section: latency and ingest cost while a tenant, and the table around it, grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bench.corpus import Document
from bench.measure import Rival, race
from bench.queries import Query
from bench.server import Ragdb
from bench.writing import maintain, write
from ragdb.db import Caller, Database

Say = Callable[[str], None]

_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_PROBE = 1000


def measure(
    ragdb: Ragdb, documents: Iterator[Document], chunks: int, queries: list[str], say: Say
) -> list[dict[str, Any]]:
    """A row for each size of the growing tenant; beside it a tenant that stays at 1,000 chunks."""
    probe, growing = ragdb.organization("probe"), ragdb.organization("growing")
    write(ragdb, probe, documents, _PROBE, 1)
    asked = [Query(text, np.empty(0, dtype=np.float32), 0, "") for text in queries]
    rows: list[dict[str, Any]] = []
    size = 0
    for step in (1000 * step for step in _STEPS if 1000 * step <= chunks):
        stored = write(ragdb, growing, documents, step - size, 1)
        size += stored.chunks
        seconds = maintain(ragdb, growing, "growing")
        ragdb.do("analyze")
        with Database.connect(ragdb.service_url) as database:
            rivals = {"tenant": _asking(database, growing), "probe": _asking(database, probe)}
            timings = race(rivals, asked)
        rows.append({
            "chunks": size,
            "put_ms_per_chunk": round(1000 * stored.seconds / stored.chunks, 3),
            "maintain_ms_per_chunk": round(1000 * seconds / stored.chunks, 3),
            "tenant_p50_ms": round(timings["tenant"].p50, 3),
            "tenant_p95_ms": round(timings["tenant"].p95, 3),
            "probe_p50_ms": round(timings["probe"].p50, 3),
            "probe_p95_ms": round(timings["probe"].p95, 3),
            "bytes_per_chunk": round(ragdb.data_bytes() / (size + _PROBE)),
        })  # fmt: skip
        say(f"{size:,} chunks: p50 {rows[-1]['tenant_p50_ms']} ms, {stored.rate:,.0f} chunks/s")
    return rows


def _asking(database: Database, key: str) -> Rival:
    def search(query: Query) -> list[int]:
        rows = database.call(Caller(api_key=key), "search", read_only=True, p_query=query.text)
        return [row["chunk_id"] for row in rows]

    return Rival(search, database.connection.info.backend_pid)
