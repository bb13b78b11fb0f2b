"""`ragdb search`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import click

from ragdb_cli.command import command
from ragdb_cli.explanation import explain_on
from ragdb_cli.output import Output
from ragdb_cli.parameters import JSON_OBJECT, QUESTION
from ragdb_cli.session import Client, Session

MODES = ("hybrid", "keyword", "vector")
Rows = list[dict[str, Any]]


@command("search")
@click.argument("query", type=QUESTION)
@click.option("-n", "--limit", type=int, default=10, show_default=True, help="How many results.")
@click.option("--offset", type=int, default=0, help="Skip that many, for the next page.")
@click.option("--mode", type=click.Choice(MODES), default="hybrid", show_default=True)
@click.option("--filter", "filters", type=JSON_OBJECT, help='Such as {"lang": "en"}.')
@click.option("--workspace", metavar="SLUG", help="Search this workspace only.")
@click.option("--language", metavar="CODE", help="Language of the query, such as de.")
@click.option("--also", "queries", metavar="QUERY", multiple=True, help="Ask this way as well.")
@click.option("--correct", is_flag=True, help="Replace words that no document has.")
@click.option("--diversity", type=float, metavar="0..1", help="Prefer results unlike each other.")
@click.option("--per-document", type=int, metavar="N", help="At most N results of a document.")
@click.option("--distinct", is_flag=True, help="Leave out near copies of better results.")
@click.option("--boosts", type=JSON_OBJECT, help='Such as {"labels": {"policy": 0.3}}.')
@click.option("--min-score", type=float, metavar="SCORE", help="Leave out lower ones.")
@click.option("--neighbours", type=int, metavar="N", help="With N passages before and after.")
@click.option("--section", is_flag=True, help="With the whole section of each passage.")
@click.option("--rerank", is_flag=True, help="Let the model at RAGDB_RERANK_URL order them.")
@click.option("--explain", is_flag=True, help="Show how each score came about.")
@click.option("--chunk", type=int, metavar="ID", help="With --explain: why this is no result.")
@click.option("--document", type=click.UUID, metavar="ID", help="With --explain: likewise.")
@click.pass_obj
def cli(
    session: Session,
    query: str,
    limit: int,
    offset: int,
    explain: bool,
    rerank: bool,
    chunk: int | None,
    document: UUID | None,
    neighbours: int | None,
    section: bool,
    **options: object,
) -> None:
    """Search the documents; the best passages first.

    QUERY is a question or words, or - for standard input. "An exact phrase" among words must occur,
    unless no passage has it, +"a phrase" in any case, -word and -"a phrase" must not; write --
    before a QUERY that begins with a dash.
    """
    arguments: dict[str, object] = {"p_query": query, "p_limit": limit}
    arguments |= {f"p_{name}": _given(value) for name, value in options.items() if _is_given(value)}
    shown = {"p_offset": offset, "p_neighbours": neighbours, "p_section": section}
    shown = {name: value for name, value in shown.items() if value}
    if explain and (shown or rerank):
        raise click.UsageError(
            "--explain shows the database's first page; leave out --offset, --neighbours,"
            " --section and --rerank."
        )
    if not explain and (chunk is not None or document is not None):
        raise click.UsageError("--chunk and --document need --explain.")
    trace, reason = None, None
    with session.member() as client:
        began = time.perf_counter()
        if options["mode"] != "keyword":
            client.embed_queries(query, *cast(Sequence[str], options["queries"]))
        if explain:
            told, *rows = client.call(
                "explain_search", read_only=True, **arguments, p_chunk=chunk, p_document=document
            )
            trace = told["trace"]
        elif rerank:
            rows, reason = _reranked(session, client, arguments | shown, limit, offset)
        else:
            rows = client.call("search", read_only=True, **arguments, **shown)
        took = round((time.perf_counter() - began) * 1000, 1)
        corrected = None if rows or explain else _corrected(client, arguments)
        notices = [*dict.fromkeys(client.database.notices)]

    output = session.output
    if output.is_json:
        more: dict[str, object] = {"trace": trace} if explain else {}
        if rerank:
            more |= {"reranked": reason is None, "rerank_reason": reason}
        if corrected:
            more["corrected_query"] = corrected
        if notices:
            more["notices"] = notices
        rows = [{name: row[name] for name in row if name != "trace"} for row in rows]
        output.document({"query": query, "took_ms": took, **more, "results": rows})
    elif trace:
        explain_on(output, trace, rows)
    else:
        _list(output, rows)
        output.note(f"{len(rows)} results in {took:g} ms")
        for notice in notices:
            output.note(notice)
        if corrected:
            output.note(f"Did you mean: {output.style(corrected)}")
        if reason:
            output.note(f"Not reranked: {reason}")


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _given(value: object) -> object:
    return [*value] if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownVariableType]


def _corrected(client: Client, arguments: dict[str, object]) -> str | None:
    """What was probably meant by a query that finds nothing."""
    place = {
        name: arguments[name]
        for name in ("p_query", "p_workspace", "p_language")
        if name in arguments
    }
    return client.call("corrected_query", read_only=True, **place)[0]["corrected_query"]


def _reranked(
    session: Session, client: Client, arguments: dict[str, object], limit: int, offset: int
) -> tuple[Rows, str | None]:
    """A page of the list that a model has put in order, and why not if it has not."""
    import asyncio

    from ragdb.rerank import NOT_READ, is_read, reorder, to_fetch

    if not is_read(limit, offset):
        return client.call("search", read_only=True, **arguments), NOT_READ
    arguments |= {"p_limit": to_fetch(limit, offset), "p_offset": 0}
    rows = client.call("search", read_only=True, **arguments)
    texts = [f"{row['title']}\n{row['content']}" for row in rows]
    with session.output.status("Asking the reranking model"):
        order = asyncio.run(reorder(session.settings, str(arguments["p_query"]), texts))
    page = order.places[offset : offset + limit]
    return [
        rows[place] | {"rank": rank, "rerank_score": order.scores.get(place)}
        for rank, place in enumerate(page, offset + 1)
    ], order.reason


def _list(output: Output, rows: Rows) -> None:
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
