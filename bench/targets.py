"""Ratios to peers, and the targets that a run is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, Any]

_PEER_MODES = ("hybrid", "keyword", "vector")


def ratios(figures: Figures) -> dict[str, float]:
    """Peer's p50 over ours for every scenario, mode and peer; above 1 ragdb is the faster one."""
    found: dict[str, float] = {}
    for world in figures.get("search", {}).values():
        for scenario, modes in world.items():
            for mode in _PEER_MODES:
                timings = modes.get(mode, {})
                for peer in timings.keys() - {"ragdb"}:
                    ratio = timings[peer]["p50_ms"] / timings["ragdb"]["p50_ms"]
                    found[f"{mode}_vs_{peer}_{scenario}"] = round(ratio, 3)
    bulk = _at(figures, "ingest", "bulk", "seconds")
    for peer, built in figures.get("peers", {}).get("single", {}).items():
        if bulk and built["load_seconds"]:
            seconds = built["load_seconds"] + built["index_seconds"]
            found[f"bulk_vs_{peer}"] = round(seconds / bulk, 3)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Target:
    """A figure and what it should be: at least so much (`>=`), or at most (`<=`), or `<`, `>`."""

    name: str
    says: str
    sense: str
    bound: float
    value: Callable[[Figures, Mapping[str, float]], float | None]

    def verdict(self, figures: Figures, ratio: Mapping[str, float]) -> dict[str, Any]:
        value = self.value(figures, ratio)
        met = None if value is None else _holds(value, self.sense, self.bound)
        return {"target": self.says, "bound": f"{self.sense} {self.bound:g}",
                "value": value, "met": met}  # fmt: skip


def _holds(value: float, sense: str, bound: float) -> bool:
    match sense:
        case ">=":
            return value >= bound
        case "<=":
            return value <= bound
        case ">":
            return value > bound
        case _:
            return value < bound


def _ratio(name: str) -> Callable[[Figures, Mapping[str, float]], float | None]:
    return lambda _figures, ratio: ratio.get(name)


def _figure(*path: str) -> Callable[[Figures, Mapping[str, float]], float | None]:
    return lambda figures, _ratio: _at(figures, *path)


def _at(figures: Figures, *path: str) -> Any:
    found: Any = figures
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]  # pyright: ignore[reportUnknownVariableType]
    return found  # pyright: ignore[reportUnknownVariableType]


def _filtered(key: str, worst: Callable[..., float]) -> Callable[..., float | None]:
    """The worst of ragdb's figures over all filtered vector searches."""

    def value(figures: Figures, _ratio: Mapping[str, float]) -> float | None:
        found = [
            modes["vector"]["ragdb"][key]
            for world in figures.get("search", {}).values()
            for scenario, modes in world.items()
            if scenario.endswith("pct")
        ]
        return worst(found) if found else None

    return value


def _short(figures: Figures, _ratio: Mapping[str, float]) -> float | None:
    """Results shorter than asked for although enough chunks match, in modes that rank them all."""
    found = [
        modes[mode]["ragdb"]["short"]
        for world in figures.get("search", {}).values()
        for modes in world.values()
        for mode in ("hybrid", "vector")
        if modes["matching_chunks"] >= 10 and mode in modes
    ]
    return sum(found) if found else None


def _overhead(figures: Figures, _ratio: Mapping[str, float]) -> float | None:
    found = [row["overhead"] for row in figures.get("overhead", {}).values()]
    return max(found) if found else None


def _single_file(figures: Figures, _ratio: Mapping[str, float]) -> float | None:
    found = [row["single_ms"] for row in figures.get("files", {}).values()]
    return max(found) if found else None


def _left(figures: Figures, _ratio: Mapping[str, float]) -> float | None:
    found = _at(figures, "changes", "delete", "found_after")
    return None if found is None else sum(found.values())


TARGETS = (
    Target("hybrid_10k", "hybrid search vs LanceDB, tenant of 10k: at least 5x faster", ">=", 5,
           _ratio("hybrid_vs_lancedb_10k")),
    Target("hybrid_200", "hybrid search vs LanceDB, tenant of 200: at least 5x faster", ">=", 5,
           _ratio("hybrid_vs_lancedb_200")),
    Target("hybrid_100k", "hybrid search vs LanceDB, tenant of 100k: at least 2.5x faster", ">=",
           2.5, _ratio("hybrid_vs_lancedb_100k")),
    Target("hybrid_200k_single", "hybrid search vs LanceDB, one corpus of 200k: faster", ">", 1,
           _ratio("hybrid_vs_lancedb_200k_single")),
    Target("p95_1m_single", "hybrid p95 on 1M chunks in one tenant, ms", "<", 15,
           _figure("search", "million", "1m_single", "hybrid", "ragdb", "p95_ms")),
    Target("p95_1m_over_1000", "hybrid p95 on 1M chunks over 1,000 tenants, ms", "<", 15,
           _figure("search", "thousand", "1m_over_1000", "hybrid", "ragdb", "p95_ms")),
    Target("filtered_recall", "recall@10 of filtered vector search, the worst", ">=", 0.98,
           _filtered("recall", min)),
    Target("never_short", "results shorter than asked for", "<=", 0, _short),
    Target("isolation", "cost of row level security and context, the worst", "<=", 0.15, _overhead),
    Target("single_file", "one file to a document that is found (SC-002), the slowest format, ms",
           "<", 3000, _single_file),
    Target("bulk_200k", "bulk load of 200k chunks, embedding included, s", "<", 60,
           _figure("ingest", "bulk", "seconds_per_200k")),
    Target("live", "live ingest by one writer, chunks/s, HNSW deferred", ">=", 2000,
           _figure("ingest", "batch", "chunks_per_second")),
    Target("four_writers", "share of four writers' time waiting for locks", "<=", 0.05,
           _figure("ingest", "four_writers", "lock_wait_share")),
    Target("edit_markdown", "chunks embedded again for one edited sentence of 500 chunks", "<=", 2,
           _figure("changes", "edit_markdown", "embedded_most")),
    Target("delete_1000", "deleting 1,000 documents, s", "<", 1,
           _figure("changes", "delete", "seconds")),
    Target("delete_gone", "deleted documents still found by any leg", "<=", 0, _left),
    Target("churn_recall", "recall@10 of HNSW after heavy churn", ">=", 0.95,
           _figure("changes", "churn", "recall_after")),
    Target("churn_size", "size after churn and vacuum, of the size before", "<=", 1.5,
           _figure("changes", "churn", "growth")),
)  # fmt: skip


def verdicts(figures: Figures, ratio: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Every target with its value, and whether it is met; None where it was not measured."""
    return {target.name: target.verdict(figures, ratio) for target in TARGETS}
