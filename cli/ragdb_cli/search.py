"""`ragdb search`."""

from __future__ import annotations

import re
import time
from typing import Any

import click

from ragdb_cli.command import command
from ragdb_cli.output import Output
from ragdb_cli.parameters import JSON_OBJECT, QUESTION
from ragdb_cli.session import Session

MODES = ("hybrid", "keyword", "vector")


@command("search")
@click.argument("query", type=QUESTION)
@click.option("-n", "--limit", type=int, default=10, show_default=True, help="How many results.")
@click.option("--offset", type=int, default=0, help="Skip that many, for the next page.")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@click.option("--filter", "filters", type=JSON_OBJECT, help='Such as {"lang": "en"}.')
@click.option("--workspace", metavar="SLUG", help="Search this workspace only.")
@click.option("--language", metavar="CODE", help="Language of the query, such as de.")
@click.option("--explain", is_flag=True, help="Show how each score came about.")
@click.pass_obj
def cli(
    session: Session,
    query: str,
    limit: int,
    offset: int,
    mode: str,
    filters: dict[str, Any] | None,
    workspace: str | None,
    language: str | None,
    explain: bool,
) -> None:
    """Search the documents; the best passages first.

    QUERY is a question or words, or - for standard input.
    """
    arguments: dict[str, object] = {
        "p_query": query, "p_limit": limit, "p_filters": filters, "p_mode": mode,
        "p_workspace": workspace, "p_language": language,
    }  # fmt: skip
    if explain and offset:
        raise click.UsageError("--explain shows the first page only; leave --offset out.")
    with session.member() as client:
        began = time.perf_counter()
        if explain:
            told, *rows = client.call("explain_search", read_only=True, **arguments)
            trace = told["trace"]
            for row in rows:
                del row["trace"]
        else:
            rows = client.call("search", read_only=True, p_offset=offset, **arguments)
            trace = None
        took = round((time.perf_counter() - began) * 1000, 1)

    output = session.output
    if output.is_json:
        explained = {"trace": trace} if explain else {}
        output.document({"query": query, "took_ms": took, **explained, "results": rows})
    elif trace:
        _explain(output, trace, rows)
    else:
        _list(output, rows)
        output.note(f"{len(rows)} results in {took:g} ms")


def _list(output: Output, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        place = " > ".join([row["title"], *row["heading_path"]])
        where = f"  {row['url']}" if row["url"] else ""
        score = output.style(f"{row['score']:.3f}", dim=True)
        output.text(f"{row['rank']:>3}  {output.style(place, bold=True)}  {score}{where}")
        output.text(f"     {highlighted(output, row['snippet'])}")


def highlighted(output: Output, snippet: str) -> str:
    """The words found, which stand between ** and **, in bold where that can be shown."""
    if output.style("", bold=True) == "":
        return output.style(snippet)
    parts = re.split(r"\*\*(.+?)\*\*", snippet)
    return "".join(
        output.style(part, bold=True) if number % 2 else output.style(part)
        for number, part in enumerate(parts)
    )


def _explain(output: Output, trace: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    for name, value in sorted(trace.items()):
        output.text(f"{name}\t{value}")
    rounded = [
        {name: round(v, 3) if isinstance(v, float) else v for name, v in row.items()}
        for row in rows
    ]
    if rounded:
        output.text()
        output.table(rounded, list(rounded[0]))
