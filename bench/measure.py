"""Timing that a busy machine cannot bend much: rivals take turns, a few queries each.

Beside the time on the clock stands processor time, of this process and of the rival's server
process, which hardly changes when others keep the machine busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.queries import Query

_TURN = 10
# Seconds: every query is asked once before, so that what it reads is in memory; or most are.
_WARM_UP = 3.0
_PATIENCE = 30.0

Search = Callable[[Query], list[int]]


@dataclass(frozen=True)
class Rival:
    """How to search, and the server process that does the work, if it is another."""

    search: Search
    pid: int | None = None


@dataclass
class Timing:
    """How long single queries took, in milliseconds, and what each returned."""

    milliseconds: list[float]
    found: list[list[int]]
    cpu: float = 0.0

    @property
    def p50(self) -> float:
        return float(np.percentile(self.milliseconds, 50))

    @property
    def p95(self) -> float:
        return float(np.percentile(self.milliseconds, 95))

    def figures(self, k: int) -> dict[str, float]:
        """For the report: percentiles, processor time, and how many results were short."""
        short = sum(len(ids) < k for ids in self.found)
        return {"p50_ms": round(self.p50, 3), "p95_ms": round(self.p95, 3),
                "cpu_ms": round(1000 * self.cpu / len(self.found), 3),
                "queries": len(self.found), "short": short}  # fmt: skip


def race(rivals: Mapping[str, Rival], queries: Sequence[Query]) -> dict[str, Timing]:
    """Time every rival on every query, in turns of ten queries, after asking each once.

    One that is so slow that it would take more than half a minute is asked fewer of them.
    """
    timings = {name: Timing([], []) for name in rivals}
    most: dict[str, int] = {}
    for name, rival in rivals.items():
        began, asked = time.perf_counter(), 0
        for query in queries:
            rival.search(query)
            asked += 1
            if time.perf_counter() - began > _WARM_UP:
                break
        each = (time.perf_counter() - began) / asked
        most[name] = max(2 * _TURN, int(_PATIENCE / each))
    for start in range(0, len(queries), _TURN):
        for name, rival in rivals.items():
            if start >= most[name]:
                continue
            timing = timings[name]
            before = _cpu(rival.pid)
            for query in queries[start : start + _TURN]:
                began = time.perf_counter()
                found = rival.search(query)
                timing.milliseconds.append((time.perf_counter() - began) * 1000)
                timing.found.append(found)
            timing.cpu += _cpu(rival.pid) - before
    return timings


def recall(found: Sequence[Sequence[int]], exact: Sequence[Sequence[int]]) -> float:
    """The share of the exact results that were found, averaged over the queries that have any."""
    shares = [
        len(set(ids) & set(best)) / len(best)
        for ids, best in zip(found, exact, strict=True)
        if best
    ]
    return float(np.mean(shares)) if shares else 1.0


def cpu_seconds(pid: int) -> float:
    """Processor seconds of a process so far; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def _cpu(pid: int | None) -> float:
    return time.process_time() + (cpu_seconds(pid) if pid is not None else 0.0)
