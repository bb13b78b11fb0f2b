"""Data sources from the command line: added, refreshed, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runner import Ragdb
from workers import working


@contextmanager
def reading(ragdb: Ragdb, log: Path) -> Generator[Any]:
    """A worker that may read this machine, and folders beside its log."""
    allowed = ragdb.having(RAGDB_ALLOW_HOSTS="127.0.0.1", RAGDB_SOURCE_FOLDERS=str(log.parent))
    with working(allowed, log) as worker:
        yield worker


def add(ragdb: Ragdb, name: str, kind: str, config: object, *options: str, **secrets: str) -> Any:
    given = ["--secrets", "-"] if secrets else []
    return ragdb.json(
        "source", "add", name, kind, "--config", json.dumps(config), *options, *given,
        input=json.dumps(secrets).encode(),
    )  # fmt: skip


def refresh(ragdb: Ragdb, name: str, *options: str, code: int = 0) -> dict[str, Any]:
    """Read a source; the job's result, or of a failed one its error."""
    job = ragdb.json("source", "refresh", name, "--wait", *options, code=code)
    return job["result"] or {"status": job["status"], "error": job["error"]}


def counts(run: dict[str, Any]) -> dict[str, int]:
    names = ("seen", "added", "changed", "unchanged", "failed", "deleted")
    return {name: run[name] for name in names if run[name]}


def found(ragdb: Ragdb, query: str) -> list[str]:
    return [hit["title"] for hit in ragdb.json("search", query, "--mode", "keyword")["results"]]


def ids(ragdb: Ragdb) -> list[str]:
    return sorted(row["external_id"] for row in ragdb.json("doc", "list")["documents"])


RECORD_FIELDS = {
    "external_id": "id", "title": "name", "content": "text", "url": "links.self",
    "modified": "modified", "deleted": "gone", "metadata": {"author": "author.name"},
}  # fmt: skip


def record(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": n, "name": f"Record {n}", "text": f"<p>Ship{n} sails.</p>",
        "links": {"self": f"https://records.test/{n}"}, "author": {"name": "Ada"},
        "modified": f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z", **fields,
    }  # fmt: skip
