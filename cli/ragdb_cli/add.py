"""`ragdb add`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragdb_cli.command import command
from ragdb_cli.interrupts import Interrupts
from ragdb_cli.output import Output, described, printable
from ragdb_cli.owner import table_owner
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.progress import Progress, progress
from ragdb_cli.session import Client, Session

if TYPE_CHECKING:
    from ragdb.errors import Problem
    from ragdb.ingest import Call, Place, Result
    from ragdb.reading import Common, Item

VISIBILITIES = ("private", "workspace", "organization")
WRITERS = 2  # one more would only wait for a processor on the machines people try this on
TAIL = 2000  # chunks: what search compares one by one without being slower for it
STATUSES = ("ingested", "updated", "unchanged", "duplicate", "failed")


@command("add")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--workspace", metavar="SLUG", help="Where to; default: the one named default.")
@click.option(
    "--source", default="default", show_default=True, metavar="NAME",
    help="A name for where the documents come from; external ids are unique within it.",
)  # fmt: skip
@click.option(
    "--visibility", type=click.Choice(VISIBILITIES), default="workspace", show_default=True
)
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="May be repeated.")
@click.option("--language", metavar="CODE", help="Such as de; default: the workspace's.")
@click.option("--metadata", type=JSON_OBJECT, help='Such as {"year": 2025}, for every document.')
@click.option("--title", help="For a single document.")
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Make external ids relative to this folder.",
)  # fmt: skip
@click.option("--name", metavar="FILENAME", help="What standard input would be called as a file.")
@click.option("--bulk", is_flag=True, help="For a first load: more at a time, indexes at the end.")
@click.option("--keep-original", is_flag=True, help="Store the files too, for ragdb doc original.")
@click.pass_obj
def cli(
    session: Session,
    paths: tuple[str, ...],
    workspace: str | None,
    source: str,
    visibility: str,
    labels: tuple[str, ...],
    language: str | None,
    metadata: dict[str, Any] | None,
    title: str | None,
    root: Path | None,
    name: str | None,
    bulk: bool,
    keep_original: bool,
) -> int:
    """Add files, folders, web pages or standard input.

    A folder stands for everything below it, "docs/**/*.pdf" for what matches, - for standard
    input, and an address of the web for what is there. A file that was added before is updated
    when it changed and left alone when it did not. A .jsonl file holds one document a line:
    {"_id": ..., "title": ..., "text": ..., "metadata": {}}. What cannot be read is reported, and
    the rest goes on. Interrupted, it can simply be run again.
    """
    from ragdb.ingest import Place
    from ragdb.reading import Common
    from ragdb.vector_index import make_way

    if title and (len(paths) > 1 or any(Path(path).is_dir() for path in paths)):
        raise click.UsageError("--title is for a single document.")
    if name and "-" not in paths:
        raise click.UsageError("--name is for standard input: ragdb add --name FILENAME -")
    common = Common(title, language, labels, metadata or {})
    run = _Run(Place(source, workspace, visibility), keep_original)
    with ExitStack() as stack:
        clients = [stack.enter_context(session.member()) for _ in range(WRITERS if bulk else 1)]
        owner = stack.enter_context(table_owner(session, clients[0])) if bulk else None
        if owner is not None:
            make_way(owner)
        with Interrupts(session.output) as interrupts, progress(session.output) as shown:
            items = _read(paths, root, common, name, session.settings.allow_hosts, shown)
            if bulk:
                run.load(items, [client.call for client in clients], interrupts, shown)
            else:
                run.ingest(items, clients[0].call, interrupts, shown)
        if (bulk or run.chunks >= TAIL) and not run.problem and not run.interrupted:
            with session.output.status("Making the indexes ready"):
                _finish(clients[0], owner)
    _report(session.output, run)
    return run.exit_code


@dataclass
class _Run:
    """What is being done, and what has been so far."""

    place: Place
    keep_original: bool
    results: list[Result] = field(default_factory=list["Result"])
    skipped: int = 0
    problem: Problem | None = None
    interrupted: bool = False
    seconds: float = 0.0

    def ingest(
        self,
        items: Iterable[Item],
        call: Call,
        interrupts: Interrupts,
        shown: Progress,
    ) -> None:
        """Store everything; stops at an interrupt, and when the database is out of reach."""
        from ragdb.ahead import ahead
        from ragdb.extraction.pool import extractors
        from ragdb.ingest import batches

        began = time.perf_counter()
        try:
            for batch in ahead(batches(items)):
                with interrupts.held():
                    self._take(batch, partial(self._store, call, batch), shown)
                if self.problem:
                    return
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            self.seconds = time.perf_counter() - began
            extractors().close()

    def load(
        self,
        items: Iterable[Item],
        calls: Sequence[Call],
        interrupts: Interrupts,
        shown: Progress,
    ) -> None:
        """ingest() with a writer for each of `calls`, and larger batches."""
        from ragdb.errors import RagdbError
        from ragdb.extraction.pool import extractors
        from ragdb.ingest import BULK, batches, make_source
        from ragdb.writers import Writers

        began = time.perf_counter()
        with suppress(RagdbError):  # the first batch will say what is wrong
            make_source(calls[0], self.place)
        with Writers([partial(self._store, call) for call in calls]) as writers:
            try:
                for batch, stored in writers.run(batches(items, BULK)):
                    with interrupts.held():
                        self._take(batch, stored.result, shown)
                    if self.problem:
                        break
            except KeyboardInterrupt:
                self.interrupted = True
            for batch, stored in writers.under_way():
                self._take(batch, stored.result, shown)
        self.seconds = time.perf_counter() - began
        extractors().close()

    def _store(self, call: Call, batch: list[Item]) -> list[Result]:
        from ragdb.ingest import store

        return store(call, self.place, batch, self.keep_original)

    def _take(self, batch: list[Item], stored: Callable[[], list[Result]], shown: Progress) -> None:
        """Note what became of a batch."""
        from ragdb.errors import RagdbError
        from ragdb.files import Skipped
        from ragdb.ingest import failed

        try:
            self.results += stored()
        except RagdbError as error:
            self.problem = error.problem
            self.results += [
                failed(item.path, self.problem.code, self.problem.message)
                for item in batch
                if not isinstance(item, Skipped)
            ]
            return
        self.skipped += sum(isinstance(item, Skipped) for item in batch)
        size = sum(item.size for item in batch if not isinstance(item, Skipped))
        shown.advance(size, f"{len(self.results)} documents, {self.chunks} chunks")

    @property
    def counts(self) -> Counter[str]:
        return Counter(result.status for result in self.results)

    @property
    def chunks(self) -> int:
        """Chunks of the documents that had to be stored."""
        return sum(r.chunks for r in self.results if r.status in ("ingested", "updated"))

    @property
    def exit_code(self) -> int:
        from ragdb_cli.failures import exit_code

        if self.interrupted:
            return 130
        if self.problem:
            return exit_code(self.problem)
        return 1 if self.counts["failed"] else 0


def _finish(client: Client, owner: Call | None) -> None:
    """Maintain; where the owner of the tables is at hand, the vector index is built, if need be."""
    from ragdb.vector_index import rebuild

    if owner is not None:
        rebuild(owner)
    client.call("maintain")


def _read(
    paths: tuple[str, ...],
    root: Path | None,
    common: Common,
    name: str | None,
    allowed: tuple[str, ...],
    shown: Progress,
) -> Iterator[Item]:
    from ragdb.files import STDIN, find, is_url
    from ragdb.reading import SUFFIXES, read, read_stream, read_url

    if STDIN in paths:
        yield from read_stream(sys.stdin.buffer, name, common)
    for path in paths:
        if is_url(path):
            from ragdb.outbound import Guard

            yield from read_url(path, Guard(allowed), common)
    files = [path for path in paths if path != STDIN and not is_url(path)]
    yield from read(shown.expect(find(files, SUFFIXES, root)), common)


def _report(output: Output, run: _Run) -> None:
    per_second = round(run.chunks / run.seconds) if run.seconds else 0
    if output.is_json:
        document: dict[str, object] = {
            "files": [asdict(result) for result in run.results],
            "totals": {status: run.counts[status] for status in STATUSES}
            | {"skipped": run.skipped, "chunks": run.chunks},
            "seconds": round(run.seconds, 3),
            "chunks_per_second": per_second,
            "interrupted": run.interrupted,
        }
        if run.problem:
            document["error"] = described(run.problem)
        output.document(document)
        return
    for result in run.results:
        if result.error and (not run.problem or result.error["code"] != run.problem.code):
            path, reason = printable(result.path), printable(result.error["message"] or "")
            output.warn(f"failed  {path}: {reason} ({result.error['code']})")
            if result.error["hint"]:
                output.warn(f"        {printable(result.error['hint'])}")
    if not run.problem or run.counts["failed"] < len(run.results):
        told = [f"{run.counts[status]} {status}" for status in STATUSES if run.counts[status]]
        if run.skipped:
            told.append(f"{run.skipped} of other formats skipped")
        output.text(", ".join(told) or "Nothing to add.")
        output.note(f"{run.chunks} chunks in {run.seconds:.2f} s, {per_second} chunks/s")
    if run.problem:
        output.problem(run.problem)
    elif run.interrupted:
        output.note("Interrupted. What was reported is stored; run it again for the rest.")
