"""`python -m bench.chunking DIR`: which chunk profile brings the passages that were asked for.

DIR holds texts in raw/NAME.md and questions in queries.jsonl whose metadata names a text (corpus)
and the passages that answer (references: start_index, end_index). Each profile searches the same
texts; what counts is the share of those passages, in characters, among the first results up to a
budget of characters, as a language model would read them, and the intersection over union of the
first five.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import click
from psycopg.types.json import Jsonb

from bench.server import running
from ragdb.db import Caller, Database

_BUDGETS = (1500, 3000, 6000, 12_000)
_DEPTH = 60

PROFILES: dict[str, dict[str, object]] = {
    "markdown 128": {"chunker": "markdown", "size": 128},
    "markdown 256": {"chunker": "markdown", "size": 256},
    "markdown 256, overlap 64": {"chunker": "markdown", "size": 256, "overlap": 64},
    "markdown 320 (default)": {"chunker": "markdown", "size": 320},
    "markdown 384": {"chunker": "markdown", "size": 384},
    "markdown 512": {"chunker": "markdown", "size": 512},
    "markdown 1024": {"chunker": "markdown", "size": 1024},
    "recursive 256 characters": {
        "chunker": "recursive", "size": 256, "overlap": 0, "unit": "characters",
    },
    "recursive 256": {"chunker": "recursive", "size": 256, "overlap": 0},
    "recursive 512, overlap 50": {"chunker": "recursive", "size": 512, "overlap": 50},
    "sentences 5, overlap 1": {"chunker": "sentences", "size": 5, "overlap": 1},
    "sentences 10, overlap 2": {"chunker": "sentences", "size": 10, "overlap": 2},
}  # fmt: skip

Span = tuple[int, int]


@dataclass(frozen=True)
class Question:
    """A question, the text it is about, and the stretches of that text which answer it."""

    text: str
    corpus: str
    wanted: list[Span]


@dataclass(frozen=True)
class Score:
    """Share of the wanted characters found, and intersection over union with what was read."""

    recall: float
    iou: float


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same characters as stretches that do not touch."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return result


def score(question: Question, hits: Sequence[tuple[str, Span]], budget: float) -> Score:
    """Judge the hits, the last of them cut where the budget of characters ends."""
    read = 0
    found: list[Span] = []
    for corpus, (start, end) in hits:
        length = int(min(end - start, budget - read))
        read += length
        if corpus == question.corpus:
            found.append((start, start + length))
    wanted = sum(end - start for start, end in question.wanted)
    common = sum(
        max(0, min(end, right) - max(start, left))
        for start, end in question.wanted
        for left, right in merged(found)
    )
    return Score(common / wanted, common / (wanted + read - common))


def questions(folder: Path) -> list[Question]:
    """The questions of a set."""
    result: list[Question] = []
    with open(folder / "queries.jsonl", encoding="utf-8") as lines:
        for line in lines:
            query = json.loads(line)
            references = query["metadata"]["references"]
            wanted = merged((r["start_index"], r["end_index"]) for r in references)
            result.append(Question(query["text"], query["metadata"]["corpus"], wanted))
    return result


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def main(folder: Path, as_json: bool) -> None:
    """Measure chunk profiles on texts with marked passages."""
    texts = {path.stem: path.read_text("utf-8") for path in sorted((folder / "raw").glob("*.md"))}
    asked = questions(folder)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp") as home:
        Path(home).chmod(0o755)
        with running(Path(home) / "ragdb") as ragdb, Database.connect(ragdb.service_url) as client:
            for number, (name, profile) in enumerate(PROFILES.items()):
                caller = Caller(api_key=ragdb.organization(f"profile-{number}"))
                row = {"profile": name} | measured(client, caller, texts, asked, profile)
                rows.append(row)
                if not as_json:
                    shown = "  ".join(f"{row[f'recall@{budget}']:.3f}" for budget in _BUDGETS)
                    click.echo(f"{name:26} {row['chunks']:6} chunks  {shown}  {row['iou@5']:.4f}")
    if as_json:
        click.echo(json.dumps({"profiles": rows}))


def measured(
    client: Database,
    caller: Caller,
    texts: dict[str, str],
    asked: list[Question],
    profile: dict[str, object],
) -> dict[str, Any]:
    """Store the texts under one profile and ask every question."""
    documents = [
        {"external_id": name, "content": text, "chunking": profile} for name, text in texts.items()
    ]
    stored = client.call(caller, "put_documents", p_documents=Jsonb(documents))
    names = {row["document_id"]: row["external_id"] for row in stored}
    scores: dict[float, list[Score]] = {budget: [] for budget in _BUDGETS}
    first: list[Score] = []
    for question in asked:
        hits = [
            (names[row["document_id"]], (row["char_start"], row["char_end"]))
            for row in client.call(
                caller, "search", p_query=question.text, p_limit=_DEPTH, read_only=True
            )
        ]
        for budget in _BUDGETS:
            scores[budget].append(score(question, hits, budget))
        first.append(score(question, hits[:5], float("inf")))
    return {
        "chunks": sum(row["chunks"] for row in stored),
        **{f"recall@{budget}": fmean(s.recall for s in scores[budget]) for budget in _BUDGETS},
        "iou@5": fmean(s.iou for s in first),
    }


if __name__ == "__main__":
    main()
