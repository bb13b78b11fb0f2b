"""What a run says: tables for people, the same as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Table = tuple[str, Sequence[str], list[list[str]]]
"""A title, the columns, the rows."""


def tables(document: dict[str, Any]) -> list[Table]:
    """Everything a run measured, section by section; what it did not measure has no table."""
    figures = document["figures"]
    found: list[Table] = [_targets(document["targets"])]
    for name, world in figures.get("search", {}).items():
        found.append(_search(name, world))
        found.append(_recall(name, world))
    makers: Iterable[tuple[str, Callable[[Any], Table]]] = (
        ("overhead", _overhead), ("throughput", _throughput), ("files", _files),
        ("ingest", _ingest),
        ("peers", _peers), ("storage", _storage), ("changes", _changes), ("growth", _growth),
    )  # fmt: skip
    found += [make(figures[section]) for section, make in makers if figures.get(section)]
    return found


def plain(document: dict[str, Any]) -> str:
    """The tables in columns, for a terminal."""
    parts: list[str] = []
    for title, columns, rows in tables(document):
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        parts.append(f"\n{title}")
        for row in (list(columns), *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            parts.append("  " + "  ".join(cells).rstrip())
    return "\n".join([*parts, ""])


def markdown(document: dict[str, Any]) -> str:
    """The tables as Markdown, with the machine they were measured on."""
    parts = [_machine(document["machine"])]
    for title, columns, rows in tables(document):
        parts += ["", f"**{title}**", "", _row(columns), _row(["---"] * len(columns))]
        parts += [_row(row) for row in rows]
    if document["figures"].get("growth"):
        parts += ["", "![Latency and ingest cost as a tenant grows](growth.svg)"]
    return "\n".join([*parts, ""])


def replaced(text: str, name: str, section: str) -> str:
    """A page with the section between its `<!-- name -->` marks exchanged."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    if start not in text or end not in text:
        raise ValueError(f"the page has no section marked {start.strip()}")
    before, _, rest = text.partition(start)
    return f"{before}{start}{section}{end}{rest.partition(end)[2]}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"{machine['date']}, ragdb {machine['ragdb']} on PostgreSQL {machine['postgres']}, "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gb']} GB; corpus "
        f"{machine['corpus']}; load average {machine['load_before']} before and "
        f"{machine['load_after']} after."
    )


def _targets(targets: dict[str, Any]) -> Table:
    words = {True: "met", False: "MISSED", None: "not measured"}
    rows = [
        [row["target"], row["bound"], _number(row["value"]), words[row["met"]]]
        for row in targets.values()
    ]
    return "Targets", ("target", "bound", "value", "verdict"), rows


def _search(name: str, world: dict[str, Any]) -> Table:
    rows: list[list[str]] = []
    peers = _peer_names(world)
    for scenario, modes in world.items():
        for mode in ("hybrid", "keyword", "vector"):
            timings = modes[mode]
            ours = timings["ragdb"]
            times = f"{ours['p50_ms']:.2f} / {ours['p95_ms']:.2f} ({ours['cpu_ms']:.2f})"
            row = [scenario, mode, times]
            for peer in peers:
                if peer in timings:
                    theirs = timings[peer]
                    ratio = theirs["p50_ms"] / ours["p50_ms"]
                    cpu = theirs["cpu_ms"] / ours["cpu_ms"] if ours["cpu_ms"] else 0.0
                    times = f"{theirs['p50_ms']:.2f} / {theirs['p95_ms']:.2f}"
                    row.append(f"{times} = {ratio:.2f}x ({cpu:.2f}x)")
                else:
                    row.append("")
            rows.append(row)
    title = (
        f"Search, {name}: p50 / p95 ms (processor ms);"
        " peers: p50 / p95 ms = times ragdb is faster (in processor time)"
    )
    return title, ("tenant", "mode", "ragdb", *peers), rows


def _recall(name: str, world: dict[str, Any]) -> Table:
    peers = _peer_names(world)
    rows = [
        [scenario, f"{modes['matching_chunks']:,}"]
        + [
            f"{found['recall']:.3f} ({found['short']})" if found else ""
            for found in (modes["vector"].get(peer) for peer in ("ragdb", *peers))
        ]
        for scenario, modes in world.items()
    ]
    title = f"Vector search, {name}: recall@10 against exact (results that were short)"
    return title, ("tenant", "matching", "ragdb", *peers), rows


def _peer_names(world: dict[str, Any]) -> list[str]:
    names = (
        name
        for modes in world.values()
        for mode in ("hybrid", "keyword", "vector")
        for name in modes[mode]
        if name != "ragdb"
    )
    return list(dict.fromkeys(names))


def _overhead(found: dict[str, Any]) -> Table:
    rows = [
        [name, _number(row["service_p50_ms"]), _number(row["owner_p50_ms"]),
         _number(row["context_p50_ms"]), f"{100 * row['overhead']:.1f} %"]
        for name, row in found.items()
    ]  # fmt: skip
    columns = ("tenant", "service, p50 ms", "owner without policies", "context", "overhead")
    return "Isolation: hybrid search under row level security and context", columns, rows


def _throughput(found: dict[str, Any]) -> Table:
    rows = [
        [name, clients, f"{row['ragdb_qps']:,.0f}", _number(row["ragdb_ms"]),
         f"{row['lancedb_qps']:,.0f}" if "lancedb_qps" in row else ""]
        for name, by_clients in found.items() for clients, row in by_clients.items()
    ]  # fmt: skip
    columns = ("tenant", "clients", "ragdb searches/s", "average ms", "LanceDB searches/s")
    return "Throughput, hybrid", columns, rows


def _ingest(found: dict[str, Any]) -> Table:
    rows = [
        [f"{section.replace('_', ' ')}: {name.replace('_', ' ')}", _number(value)]
        for section, values in found.items() for name, value in values.items()
    ]  # fmt: skip
    return "Ingest by ragdb, chunking and embedding included", ("figure", "value"), rows


def _files(found: dict[str, Any]) -> Table:
    rows = [
        [suffix, str(row["files"]), f"{row['bytes'] / 1e6:.2f}", str(row["chunks"]),
         str(row["documents_per_second"]), str(row["mb_per_second"]),
         str(row["cpu_ms_per_document"]), str(row["single_ms"])]
        for suffix, row in found.items()
    ]  # fmt: skip
    columns = ("format", "files", "MB", "chunks", "documents/s", "MB/s", "processor ms/document",
               "one document, ms")  # fmt: skip
    return "Files, from the folder to documents that are found", columns, rows


def _peers(found: dict[str, Any]) -> Table:
    rows = [
        [world, peer, f"{row['chunks']:,}", _number(row["load_seconds"]),
         _number(row["index_seconds"]),
         f"{row['chunks'] / (row['load_seconds'] + row['index_seconds']):,.0f}",
         f"{row['bytes'] / row['chunks']:,.0f}"]
        for world, built in found.items() for peer, row in built.items() if row["load_seconds"]
    ]  # fmt: skip
    columns = ("world", "peer", "chunks", "load s", "index s", "chunks/s", "bytes/chunk")
    return "Peers fed with ready vectors", columns, rows


def _storage(found: dict[str, Any]) -> Table:
    rows = [
        [world, f"{row['chunks']:,}", f"{row['text_bytes_per_chunk']:,}",
         f"{row['bytes_per_chunk']:,}", f"{row['loaded_per_second']:,.0f}",
         f"{row['rss'] >> 20} / {row['pss'] >> 20}",
         ", ".join(f"{name} {size:,}" for name, size in row["tables"].items())]
        for world, row in found.items()
    ]  # fmt: skip
    columns = ("world", "chunks", "text bytes/chunk", "disk bytes/chunk", "loaded chunks/s",
               "server RSS / PSS MB", "of the disk")  # fmt: skip
    return "Storage and memory of ragdb", columns, rows


def _changes(found: dict[str, Any]) -> Table:
    rows: list[list[str]] = []
    for section, values in found.items():
        for name, value in values.items():
            words = _counts(value) if name.startswith("found") else _number(value)
            rows.append([f"{section.replace('_', ' ')}: {name.replace('_', ' ')}", words])
    return "Changes and deletions", ("figure", "value"), rows


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{mode} {count}" for mode, count in found.items())


def _growth(found: list[dict[str, Any]]) -> Table:
    columns = list(found[0])
    rows = [[_number(row[column]) for column in columns] for row in found]
    return "Growth", [column.replace("_", " ") for column in columns], rows


def _number(value: float | int | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) or value >= 1000 else f"{value:.4g}"
