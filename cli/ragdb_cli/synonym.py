"""`ragdb synonym`: which words find which others."""

from __future__ import annotations

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session


@group("synonym")
def cli() -> None:
    """Let words find other words that mean the same."""


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List every pair of words that applies to your searches."""
    with session.member() as client:
        rows = client.read("synonyms")
    if session.output.is_json:
        session.output.document({"synonyms": rows})
    else:
        session.output.table(rows, ("word", "synonym", "weight", "language", "workspace"))


@cli.command("put")
@click.argument("word")
@click.argument("synonyms", nargs=-1, required=True)
@click.option("--weight", type=float, default=0.7, show_default=True, help="What a synonym counts.")
@click.option("--workspace", metavar="SLUG", help="There only; else in the whole organization.")
@click.option("--language", metavar="CODE", help="Language of the words, such as de.")
@click.option("--one-way", is_flag=True, help="The synonyms do not find the word.")
@click.pass_obj
def put(
    session: Session,
    word: str,
    synonyms: tuple[str, ...],
    weight: float,
    workspace: str | None,
    language: str | None,
    one_way: bool,
) -> None:
    """Let a search for WORD find SYNONYMS as well."""
    with session.member() as client:
        pairs = client.call(
            "put_synonyms",
            p_word=word, p_synonyms=[*synonyms], p_weight=weight, p_workspace=workspace,
            p_language=language, p_both_ways=not one_way,
        )[0]["put_synonyms"]  # fmt: skip
    _tell(session, "stored", pairs)


@cli.command("rm")
@click.argument("word")
@click.argument("synonyms", nargs=-1)
@click.option("--workspace", metavar="SLUG", help="Those of this workspace.")
@click.option("--language", metavar="CODE", help="Language of the words, such as de.")
@click.pass_obj
def remove(
    session: Session,
    word: str,
    synonyms: tuple[str, ...],
    workspace: str | None,
    language: str | None,
) -> None:
    """Forget the SYNONYMS of WORD, or all of them, in both directions."""
    with session.member() as client:
        pairs = client.call(
            "delete_synonyms",
            p_word=word, p_synonyms=[*synonyms] or None, p_workspace=workspace,
            p_language=language,
        )[0]["delete_synonyms"]  # fmt: skip
    _tell(session, "deleted", pairs)


def _tell(session: Session, done: str, pairs: int) -> None:
    if session.output.is_json:
        session.output.document({done: pairs})
    else:
        session.output.text(f"{done.capitalize()} {pairs} pair{'' if pairs == 1 else 's'}.")
