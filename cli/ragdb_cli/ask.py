"""`ragdb ask`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ragdb_cli.command import command
from ragdb_cli.output import Output
from ragdb_cli.parameters import JSON_OBJECT, QUESTION
from ragdb_cli.session import Client, Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow


@command("ask")
@click.argument("question", type=QUESTION)
@click.option(
    "-n", "--limit", type=int, default=5, show_default=True, help="How many passages to read."
)
@click.option("--filter", "filters", type=JSON_OBJECT, help='Such as {"lang": "en"}.')
@click.option("--workspace", metavar="SLUG", help="Ask this workspace only.")
@click.option("--language", metavar="CODE", help="Language of the question, such as de.")
@click.option("--rerank", is_flag=True, help="Let the model at RAGDB_RERANK_URL choose passages.")
@click.pass_obj
def cli(
    session: Session,
    question: str,
    limit: int,
    filters: dict[str, Any] | None,
    workspace: str | None,
    language: str | None,
    rerank: bool,
) -> None:
    """Answer a question from the documents, with citations.

    QUESTION is a text, or - for standard input. The answer is built from the documents' own
    sentences, or by the language model that RAGDB_LLM_URL names; quotes are verified either way.
    """
    arguments: dict[str, object] = {
        "p_question": question, "p_limit": limit, "p_filters": filters, "p_workspace": workspace,
        "p_language": language,
    }  # fmt: skip
    with session.member() as client:
        began = time.perf_counter()
        client.embed_queries(question)
        reason = None
        if rerank:
            passages, reason = _passages(session, client, arguments)
            arguments |= {"p_passages": passages} if reason is None else {}
        if session.settings.llm_url:
            arguments |= _generate(session, client, arguments)
        answer = client.call("ask_finish", read_only=False, **arguments)[0]
        took = round((time.perf_counter() - began) * 1000, 1)

    output = session.output
    if output.is_json:
        more = {"reranked": reason is None, "rerank_reason": reason} if rerank else {}
        output.document({**answer, **more, "took_ms": took})
        return
    _print(output, answer)
    if answer["fallback_used"]:
        output.note("The language model gave no usable answer; these are the documents' own words.")
    if reason:
        output.note(f"Not reranked: {reason}")
    output.note(f"Confidence {answer['confidence']:.2f}, {took:g} ms")


def _generate(session: Session, client: Client, arguments: dict[str, object]) -> dict[str, object]:
    """Let the language model answer, while no transaction is open."""
    import asyncio

    import msgspec

    from ragdb.answers import Begun, generate

    begun = client.call("ask_begin", read_only=True, **arguments)[0]
    with session.output.status("Asking the language model"):
        return asyncio.run(generate(session.settings, msgspec.convert(begun, Begun)))


def _passages(
    session: Session, client: Client, arguments: dict[str, object]
) -> tuple[list[int], str | None]:
    """The best passages in a reranking model's order, and why not if it gave none."""
    import asyncio

    from ragdb.rerank import READ, reorder

    question = str(arguments["p_question"])
    place = {name: arguments[name] for name in ("p_filters", "p_workspace", "p_language")}
    found = client.call("search", read_only=True, p_query=question, p_limit=READ, **place)
    texts = [f"{row['title']}\n{row['content']}" for row in found]
    with session.output.status("Asking the reranking model"):
        order = asyncio.run(reorder(session.settings, question, texts))
    return [found[place]["chunk_id"] for place in order.places], order.reason


def _print(output: Output, answer: DictRow) -> None:
    output.text(output.style(answer["answer"]))
    for citation in answer["citations"]:
        place = citation["title"]
        if citation["heading"]:
            place += f" > {citation['heading']}"
        if citation["page"]:
            place += f", page {citation['page']}"
        output.text()
        output.text(f"[{citation['number']}] {output.style(place, bold=True)}")
        quote = " ".join(citation["quote"].split())
        output.text(f"    \u201c{output.style(quote)}\u201d")
        output.text(output.style(f"    document {citation['document_id']}", dim=True))
