"""`ragdb eval`."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from ragdb_cli.command import command
from ragdb_cli.output import Output
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.progress import progress
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from ragdb.evaluation import EvaluationSet

MODES = ("keyword", "vector", "hybrid")
METRICS = {
    "ndcg@10": "ndcg_10", "recall@10": "recall_10", "recall@100": "recall_100", "mrr": "mrr",
    "map": "map",
}  # fmt: skip


@command("eval")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--modes", default=",".join(MODES), show_default=True, metavar="LIST",
    help="Which modes of search to measure.",
)  # fmt: skip
@click.option(
    "--queries", type=click.IntRange(min=1), metavar="N", help="So many of the queries only."
)
@click.option(
    "--config", "configs", type=JSON_OBJECT, multiple=True,
    help='Of ragdb.evaluate(), such as {"vector_weight": 1.5}; may be repeated.',
)  # fmt: skip
@click.option("--compare", metavar="RUN", help='Compare with an earlier run, by its id or "last".')
@click.option("--language", metavar="CODE", help="Such as de; default: what each text is in.")
@click.option(
    "--plain", is_flag=True,
    help="Index as BM25 is usually given it: titles as text, documents in one piece.",
)  # fmt: skip
@click.option(
    "--embeddings", metavar="MODEL",
    help="Wait until workers have embedded the set with MODEL, such as minilm.",
)  # fmt: skip
@click.option("--keep", is_flag=True, help="Keep the workspace; the next run finds it loaded.")
@click.pass_obj
def cli(
    session: Session,
    folder: Path,
    modes: str,
    queries: int | None,
    configs: tuple[dict[str, Any], ...],
    compare: str | None,
    language: str | None,
    plain: bool,
    embeddings: str | None,
    keep: bool,
) -> None:
    """Measure search on a set of queries with known answers.

    FOLDER holds corpus.jsonl, queries.jsonl and qrels.tsv or qrels/test.tsv, as BEIR has them. They
    are loaded into a workspace of their own, which is removed afterwards.
    """
    from ragdb.evaluation import EvaluationSet

    held = EvaluationSet(folder, language, plain)
    held.check()
    asked: dict[str, Any] = {
        "modes": [mode.strip() for mode in modes.split(",") if mode.strip()],
        "workspace": held.workspace,
        "shared": False,
    }
    if queries is not None:
        asked["queries"] = queries
    if compare is not None:
        asked["compare"] = compare
    rows: list[dict[str, Any]] = []
    with _workspace(session, held, keep, embeddings), session.member() as client:
        for config in configs or ({},):
            with session.output.status(f"Measuring {held.name}"):
                measured = client.call(
                    "evaluate", p_dataset=held.name, p_config={**asked, **config}
                )
            rows += [{**row, "config": config} for row in measured]
    _report(session.output, held.name, rows)


@contextmanager
def _workspace(
    session: Session, held: EvaluationSet, keep: bool, model: str | None
) -> Generator[None]:
    """The set in a workspace of its own, which goes even when the run is interrupted."""
    from ragdb.errors import RagdbError
    from ragdb.evaluation import await_vectors, load

    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with session.member() as client, progress(session.output) as shown:
            try:
                client.call(
                    "create_workspace",
                    p_slug=held.workspace, p_name=f"Evaluation of {held.name}"[:200],
                    p_is_open=False, p_language=held.spoken(),
                )  # fmt: skip
            except RagdbError as error:
                if error.problem.code != "workspace_exists":
                    raise
                session.output.note(f"The workspace {held.workspace} is there from before.")
            load(held, client.call, held.workspace, shown.advance)
            if model is not None:
                await_vectors(client.read, model, shown.advance)
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if keep:
            session.output.note(f"Kept the workspace {held.workspace}.")
        else:
            _remove(session, held.workspace)


def _remove(session: Session, workspace: str) -> None:
    """Delete the workspace, whatever is pressed meanwhile; by a connection nothing runs on."""
    from ragdb.errors import RagdbError

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with session.member() as client, session.output.status("Clearing away"):
            client.call("delete_workspace", p_workspace=workspace)
    except RagdbError as error:
        if error.problem.code != "workspace_not_found":
            session.output.warn(f"The workspace {workspace} is left: {error.problem.message}")
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _report(output: Output, dataset: str, rows: Iterable[dict[str, Any]]) -> None:
    modes = [
        {
            "mode": row["mode"],
            **{name: row[column] for name, column in METRICS.items()},
            "ci": row["ci"], "over_keyword": row["over_keyword"], "compared": row["compared"],
            "queries": row["queries"], "config": row["config"], "run_id": row["run_id"],
        }
        for row in rows
    ]  # fmt: skip
    if output.is_json:
        queries = max(mode["queries"] for mode in modes)
        output.document({"dataset": dataset, "queries": queries, "modes": modes})
        return
    shown = [
        {"mode": mode["mode"]}
        | {name: f"{mode[name]:.4f}" for name in METRICS}
        | {
            "ndcg@10 95 %": _range(mode["ci"]["ndcg@10"]),
            "over keyword": _difference(mode["over_keyword"]),
            "compared": _difference(mode["compared"]),
            "config": ", ".join(f"{key} {value}" for key, value in mode["config"].items()),
        }
        for mode in modes
    ]
    columns = [
        name for name in shown[0]
        if name in ("mode", *METRICS) or any(row[name] for row in shown)
    ]  # fmt: skip
    output.table(shown, columns)
    output.note(f"{dataset}, {modes[0]['queries']} queries, run {modes[-1]['run_id']}")


def _range(interval: list[float]) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


def _difference(compared: dict[str, Any] | None) -> str:
    if not compared:
        return ""
    found = compared["ndcg@10"]
    return f"{found['difference']:+.4f} ({found['ci'][0]:+.4f} to {found['ci'][1]:+.4f})"
