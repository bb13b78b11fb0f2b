"""`ragdb chunks`: pieces of documents, out of one system and into another."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import IO, TYPE_CHECKING

import click
from psycopg.types.json import Jsonb

from ragdb_cli.command import group
from ragdb_cli.session import Client, Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

_BATCH = 500


@group("chunks")
def cli() -> None:
    """Carry chunks over, as lines of JSON.

    A line is {"id", "source": {"type", "path"}, "content", "metadata", "embedding"}.
    """


@cli.command("export")
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@click.option("--workspace", metavar="SLUG", help="Only chunks of this one.")
@click.pass_obj
def export(session: Session, file: IO[str], workspace: str | None) -> None:
    """Write every chunk you may read to FILE or standard output, one a line."""
    written = after = 0
    with session.member() as client, session.output.status("Exporting") as step:
        while rows := client.call("export_chunks", p_after=after, p_workspace=workspace):
            for row in rows:
                file.write(json.dumps(row["record"], ensure_ascii=False) + "\n")
            written, after = written + len(rows), rows[-1]["chunk_id"]
            step(f"Exporting: {written} chunks")
    session.output.note(f"{written} chunks written.")


@cli.command("import")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--source", metavar="NAME", default="import", show_default=True)
@click.option("--workspace", metavar="SLUG", help="Default: the default workspace.")
@click.pass_obj
def import_(session: Session, file: IO[bytes], source: str, workspace: str | None) -> int:
    """Store the chunks in FILE or standard input, one a line; the same id replaces.

    Faulty lines are reported and the rest goes on. Interrupted, it can simply be run again.
    """
    counted: Counter[str] = Counter()
    failed: list[dict[str, object]] = []
    with session.member() as client, session.output.status("Importing") as step:
        lines = enumerate(file, 1)
        while batch := list(islice(lines, _BATCH)):
            records: list[object] = []
            numbers: list[int] = []
            for number, given in batch:
                try:
                    records.append(json.loads(given))
                    numbers.append(number)
                except (ValueError, RecursionError) as error:
                    counted["failed"] += 1
                    failed.append({"line": number, "message": f"not JSON in UTF-8: {error}"})
            rows = _stored(client, records, source, workspace)
            for number, row in zip(numbers, rows, strict=True):
                counted[row["status"]] += 1
                if row["status"] == "failed":
                    failed.append({"line": number, "message": row["message"]})
            step(f"Importing: {counted.total()} chunks")
    if session.output.is_json:
        session.output.document({"totals": counted, "failed": failed})
    else:
        for fault in failed:
            session.output.warn(f"line {fault['line']}: {fault['message']}")
        told = ", ".join(f"{count} {status}" for status, count in counted.items())
        session.output.text(told or "Nothing to import.")
    return 1 if failed else 0


def _stored(
    client: Client, records: list[object], source: str, workspace: str | None
) -> list[DictRow]:
    """What became of each record; one that no database takes keeps the others out of none."""
    from ragdb.errors import RagdbError

    if not records:
        return []
    try:
        return client.call(
            "import_chunks", p_records=Jsonb(records), p_source=source, p_workspace=workspace
        )
    except RagdbError as error:
        if error.problem.status != 422:
            raise
        if len(records) == 1:
            return [{"status": "failed", "message": error.problem.message}]
        half = len(records) // 2
        halves = (records[:half], records[half:])
        return [row for part in halves for row in _stored(client, part, source, workspace)]
