"""The ingest section: documents in, one by one, in batches, and by several writers at once."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from psycopg.types.json import Jsonb

from bench.corpus import Document, batches
from bench.measure import cpu_seconds
from bench.server import Ragdb, call_as
from ragdb import ingest
from ragdb.db import Caller, Database
from ragdb.vector_index import make_way, rebuild

Say = Callable[[str], None]

BULK_WRITERS = max(2, os.cpu_count() or 1)
_SINGLE = 100
_SAMPLE_SECONDS = 0.02


@dataclass(frozen=True)
class Stored:
    """What a run of writers did, and which locks they waited for in which share of their time."""

    chunks: int
    documents: int
    seconds: float
    locks: dict[str, float]
    cpu: float
    """Processor seconds of the writers' server processes."""

    @property
    def rate(self) -> float:
        return self.chunks / self.seconds


def measure(
    ragdb: Ragdb, documents: Iterator[Document], chunks: int, bulk: int, say: Say
) -> dict[str, Any]:
    """Figures of a fresh database; every run has an organization of its own."""
    figures: dict[str, Any] = {}
    key = ragdb.organization("warm-up")
    write(ragdb, key, documents, min(chunks // 10, 500), 1)
    for writers in (1, 4):
        key = ragdb.organization(f"writers-{writers}")
        write(ragdb, key, documents, 20, 1)  # makes the source, which is done once
        stored = write(ragdb, key, documents, chunks, writers)
        name = "batch" if writers == 1 else "four_writers"
        figures[name] = {
            "chunks_per_second": round(stored.rate, 1), "chunks": stored.chunks,
            "chunks_per_cpu_second": round(stored.chunks / stored.cpu, 1) if stored.cpu else None,
            "documents_per_second": round(stored.documents / stored.seconds, 1),
            "lock_wait_share": round(sum(stored.locks.values()), 4),
            **{f"lock_wait_{lock}": round(share, 4) for lock, share in stored.locks.items()},
        }  # fmt: skip
        if writers == 1:
            seconds = maintain(ragdb, key, "writers-1")
            figures[name]["maintain_seconds"] = round(seconds, 3)
            figures[name]["chunks_per_second_maintained"] = round(
                stored.chunks / (stored.seconds + seconds), 1
            )
        say(f"{name}: {stored.rate:,.0f} chunks/s, waiting for locks {stored.locks}")
    figures["four_writers"]["speedup"] = round(
        figures["four_writers"]["chunks_per_second"] / figures["batch"]["chunks_per_second"], 3
    )
    figures["bulk"] = _bulk(ragdb, documents, bulk)
    say(f"bulk: {figures['bulk']['chunks_per_second']:,} chunks/s")
    figures["single"] = _one_by_one(ragdb, documents)
    say(f"single document: {figures['single']['p50_ms']} ms")
    return figures


def _bulk(ragdb: Ragdb, documents: Iterator[Document], chunks: int) -> dict[str, float | None]:
    """As `ragdb add --bulk`: a writer for every core, then the vector index is built."""
    key = ragdb.organization("bulk")
    with owner(ragdb, "bulk") as call:
        make_way(call)
    stored = write(ragdb, key, documents, chunks, BULK_WRITERS, bulk=True)
    with owner(ragdb, "bulk") as call:
        began = time.perf_counter()
        rebuild(call)
        built = time.perf_counter() - began
    seconds = stored.seconds + built
    maintained = maintain(ragdb, key, "bulk")
    return {
        "chunks": stored.chunks, "writers": BULK_WRITERS,
        "put_seconds": round(stored.seconds, 1), "index_seconds": round(built, 1),
        "maintain_seconds": round(maintained, 1),
        "chunks_per_cpu_second": round(stored.chunks / stored.cpu, 1) if stored.cpu else None,
        "seconds": round(seconds, 1),
        "chunks_per_second": round(stored.chunks / seconds, 1),
        "seconds_per_200k": round(200_000 * seconds / stored.chunks, 1),
    }  # fmt: skip


def write(
    ragdb: Ragdb, key: str, documents: Iterator[Document], chunks: int, writers: int,
    progress: Callable[[int, float], None] = lambda _stored, _seconds: None, *, bulk: bool = False,
) -> Stored:  # fmt: skip
    """Store documents until a tenant has so many more chunks, by so many connections.

    In batches as `ragdb add` makes them, in bulk as `ragdb add --bulk`.
    """
    limits = ingest.BULK if bulk else ingest.Limits()
    lock = threading.Lock()
    stored = taken = 0
    failures: list[BaseException] = []
    started = time.perf_counter()
    waiting = cpu = 0.0

    def next_batch() -> list[Document]:
        """The less is left, the smaller the batches, so as to end near the number wanted."""
        nonlocal taken, waiting
        with lock:
            began = time.perf_counter()
            left = chunks - stored
            if left <= 0 or failures:
                return []
            room = min(limits.characters, max(20_000, left * 500 // writers))
            batch = next(batches(documents, limits.documents, room))
            taken += len(batch)
            waiting += time.perf_counter() - began
            return batch

    def work() -> None:
        nonlocal stored, cpu
        try:
            with Database.connect(ragdb.service_url) as database:
                pid = database.connection.info.backend_pid
                while batch := next_batch():
                    rows = call_as(database, key, "put_documents", p_documents=Jsonb(batch))
                    with lock:
                        stored += sum(r["chunks"] for r in rows if r["status"] == "ingested")
                        progress(stored, time.perf_counter() - started)
                with lock:
                    cpu += cpu_seconds(pid)
        except BaseException as error:
            failures.append(error)

    if bulk:
        with Database.connect(ragdb.service_url) as database:
            ingest.make_source(partial(call_as, database, key), ingest.Place())
    threads = [threading.Thread(target=work, daemon=True) for _ in range(writers)]
    for thread in threads:
        thread.start()
    locks = _lock_shares(ragdb, threads) if writers > 1 else {}
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    # Reading and parsing the corpus is the bench's own work, not the database's.
    own = waiting if writers == 1 else 0.0
    return Stored(stored, taken, time.perf_counter() - started - own, locks, cpu)


@contextmanager
def owner(ragdb: Ragdb, slug: str) -> Generator[ingest.Call]:
    """The tables' owner, acting for an organization."""
    with Database.connect(ragdb.superuser_url) as database:
        yield partial(database.call, Caller(role=None, organization=slug))


def maintain(ragdb: Ragdb, key: str, slug: str) -> float:
    """What `ragdb maintain` does: seal and index a tenant; the seconds it took."""
    with owner(ragdb, slug) as call, Database.connect(ragdb.service_url) as database:
        started = time.perf_counter()
        rebuild(call)
        call_as(database, key, "maintain")
        return time.perf_counter() - started


def _lock_shares(ragdb: Ragdb, threads: list[threading.Thread]) -> dict[str, float]:
    """Which share of the writers' active time passes waiting for which lock, by sampling."""
    samples: Counter[str | None] = Counter()
    with Database.connect(ragdb.superuser_url) as database:
        while any(thread.is_alive() for thread in threads):
            rows = database.connection.execute(
                b"select case when wait_event_type = 'Lock' then wait_event end as lock"
                b" from pg_stat_activity where application_name = 'ragdb' and state = 'active'"
                b" and pid <> pg_backend_pid()"
            )
            samples.update(row["lock"] for row in rows)
            time.sleep(_SAMPLE_SECONDS)
    return {lock: many / samples.total() for lock, many in samples.items() if lock is not None}


def _one_by_one(ragdb: Ragdb, documents: Iterator[Document]) -> dict[str, float]:
    key = ragdb.organization("single")
    milliseconds: list[float] = []
    chunks = 0
    with Database.connect(ragdb.service_url) as database:
        for document in islice(documents, _SINGLE):
            started = time.perf_counter()
            row = call_as(
                database, key, "put_document",
                **{f"p_{name}": value for name, value in document.items()},
            )[0]  # fmt: skip
            milliseconds.append((time.perf_counter() - started) * 1000)
            chunks += row["chunks"]
    return {
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 2),
        "p95_ms": round(float(np.percentile(milliseconds, 95)), 2),
        "chunks_per_document": round(chunks / _SINGLE, 1),
        "chunks_per_second": round(chunks / (sum(milliseconds) / 1000), 1),
    }
