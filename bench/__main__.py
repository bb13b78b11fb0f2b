"""`python -m bench`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench import plot, report
from bench.debian import NoArchive
from bench.peers.registry import PACKAGES, QUICK, missing
from bench.run import SECTIONS, Options, Run
from bench.world import Plan, mixed, single, thousand

_FULL, _QUICK, _MILLION = 200_000, 50_000, 1_000_000


@click.command()
@click.option("--quick", is_flag=True, help="50,000 chunks, LanceDB and the naive query only.")
@click.option("--million", is_flag=True, help="Also 1M chunks in one tenant and over 1,000.")
@click.option("--chunks", type=click.IntRange(min=1000), help="Of each world; default 200,000.")
@click.option(
    "--peers", metavar="NAME,...", help=f"Or all, or none. There are: {', '.join(PACKAGES)}."
)
@click.option(
    "--only", "sections", multiple=True, type=click.Choice(SECTIONS), help="May be repeated."
)
@click.option(
    "--corpus", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Text to measure with; default: documentation packages of the Debian archive.",
)  # fmt: skip
@click.option(
    "--work", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Where corpus, databases and indexes are kept between runs.",
)  # fmt: skip
@click.option("--queries", type=click.IntRange(min=10), help="For each figure; default 200.")
@click.option("--report", "only_report", is_flag=True, help="Measure nothing; show what is kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of tables.")
@click.option(
    "--markdown", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="PAGE",
    help="Also put the tables into this page, and growth.svg beside it.",
)  # fmt: skip
def main(
    quick: bool,
    million: bool,
    chunks: int | None,
    peers: str | None,
    sections: tuple[str, ...],
    corpus: Path | None,
    work: Path | None,
    queries: int | None,
    only_report: bool,
    as_json: bool,
    markdown: Path | None,
) -> None:
    """Measure ragdb against what a user would pick instead.

    Loads the same chunks and vectors into ragdb and its peers and lets them take turns. Figures are
    kept in the work directory after every step; a second run finds databases and indexes there.
    """
    names = _peers(peers, quick)
    if not only_report and (packages := missing(names)):
        raise click.UsageError(f"Not installed: {', '.join(packages)}. Run: uv sync --extra bench")
    size = chunks or (_QUICK if quick else _FULL)
    run = Run(
        Options(
            work=(work or Path(f"/var/tmp/ragdb-bench-{os.geteuid()}")).resolve(),
            corpus=corpus,
            chunks=size,
            plans=_plans(size, quick, million),
            peers=names,
            sections=sections or tuple(s for s in SECTIONS if not (quick and s == "growth")),
            queries=queries or (100 if quick else 200),
            seconds=3 if quick else 10,
            writing=min(size, 5_000 if quick else 20_000),
            churn=min(size, 12_000 if quick else 20_000),
            rounds=3 if quick else 9,
            growth=size // 2,
        ),
        _say(time.monotonic()),
    )
    run.recall()
    interrupted = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not only_report:
        try:
            run.measure()
        except KeyboardInterrupt:
            interrupted = True
        except NoArchive as error:
            raise click.ClickException(str(error)) from error
    document = run.document()
    click.echo(json.dumps(document) if as_json else report.plain(document))
    if markdown is not None:
        _refresh(markdown, "quick" if quick else "full", document)
    sys.exit(130 if interrupted else 0)


def _peers(wanted: str | None, quick: bool) -> tuple[str, ...]:
    if wanted is None:
        return QUICK if quick else tuple(PACKAGES)
    if wanted in ("all", "none"):
        return tuple(PACKAGES) if wanted == "all" else ()
    names = tuple(wanted.split(","))
    if unknown := [name for name in names if name not in PACKAGES]:
        raise click.BadParameter(f"no such peer: {', '.join(unknown)}", param_hint="--peers")
    return names


def _plans(size: int, quick: bool, million: bool) -> tuple[Plan, ...]:
    plans = (mixed(size),) if quick else (mixed(size), single(size))
    return (*plans, single(_MILLION, "million"), thousand(_MILLION)) if million else plans


def _say(started: float) -> Callable[[str], None]:
    def say(text: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.0f} s] {text}", err=True)

    return say


def _refresh(page: Path, section: str, document: dict[str, Any]) -> None:
    text = page.read_text(encoding="utf-8")
    page.write_text(report.replaced(text, section, report.markdown(document)), encoding="utf-8")
    if rows := document["figures"].get("growth"):
        page.with_name("growth.svg").write_text(plot.growth_svg(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
