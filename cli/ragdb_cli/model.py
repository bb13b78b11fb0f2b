"""`ragdb model`: embedding models besides the table in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragdb_cli.command import group
from ragdb_cli.parameters import JSON_OBJECT
from ragdb_cli.session import Session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

TABLE = "table"
LOCAL = "minilm"
METRICS = ("ndcg_10", "recall_10", "recall_100", "mrr", "map")
_QUERIES_AT_ONCE = 500


@group("model")
def cli() -> None:
    """Use other embedding models than the table in the database."""


@cli.command("register")
@click.argument("name")
@click.option(
    "--protocol", type=click.Choice(("openai", "ollama", "tei", "local")), default="openai",
    show_default=True,
)  # fmt: skip
@click.option("--url", required=True, help="The endpoint, such as https://api.openai.com/v1.")
@click.option("--model", required=True, help="What the endpoint calls the model.")
@click.option("--dimensions", type=int, required=True, help="Of its vectors, at most 4000.")
@click.option("--table", metavar="NAME", help="The table in whose space its vectors are.")
@click.option("--api-key-name", metavar="VARIABLE", help="Where worker and service find the key.")
@click.option("--options", type=JSON_OBJECT, default="{}", help='Such as {"batch_size": 64}.')
@click.pass_obj
def register(
    session: Session, name: str, protocol: str, url: str, model: str, dimensions: int,
    table: str | None, api_key_name: str | None, options: dict[str, Any],
) -> None:  # fmt: skip
    """Make an embedding model known to all organizations (for operators)."""
    with session.operator() as client:
        client.call(
            "register_embedding_model",
            p_name=name, p_protocol=protocol, p_url=url, p_model=model, p_dimensions=dimensions,
            p_table=table, p_api_key_name=api_key_name, p_options=options,
        )  # fmt: skip
    _say(session, {"model": name}, f"Registered {name}. Use it with: ragdb model use {name}")


@cli.command("drop")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(session: Session, name: str, yes: bool) -> None:
    """Forget a model and its vectors, of all organizations (for operators)."""
    if not yes:
        click.confirm(f"Delete {name} and all vectors that it has made?", abort=True, err=True)
    with session.operator() as client:
        client.call("drop_embedding_model", p_name=name)
    _say(session, {"dropped": name}, f"Dropped {name}.")


@cli.command("list")
@click.pass_obj
def list_(session: Session) -> None:
    """List the models, and how far they are with your documents."""
    with session.member() as client:
        rows = client.read("embedding_models")
    if session.output.is_json:
        session.output.document({"models": rows})
        return
    columns = ("name", "model", "dimensions", "is_used", "is_searched", "coverage", "waiting")
    session.output.table(rows, (*columns, "failed", "circuit"))


@cli.command("status")
@click.argument("name")
@click.pass_obj
def status(session: Session, name: str) -> None:
    """Show a model: coverage, backlog, lag, what failed and why, and what it has cost."""
    with session.member() as client:
        model = _named(name, client.read("embedding_models"))
        failures = _of(name, client.read("embedding_failures"))
        costs = _of(name, client.read("embedding_costs"))
    if session.output.is_json:
        session.output.document({**model, "failures": failures, "costs": costs})
        return
    session.output.fields(model)
    if failures:
        session.output.table(failures, ("document_id", "chunk_id", "title", "error"))
    if costs:
        session.output.table(costs, ("day", "requests", "texts", "cached", "tokens", "cost"))


@cli.command("use")
@click.argument("name")
@click.pass_obj
def use(session: Session, name: str) -> None:
    """Have a model embed all chunks, those to come included; `ragdb worker` does it.

    Called again, it looks for chunks that were missed.
    """
    _use(session, name)


@cli.command("upgrade")
@click.option("--url", help="Of a `ragdb serve --embeddings`, where workers have no model.")
@click.option("--api-key-name", metavar="VARIABLE", help="Where workers find an API key for it.")
@click.pass_obj
def upgrade(session: Session, url: str | None, api_key_name: str | None) -> None:
    """Have MiniLM embed all chunks: better vectors in the same space, on this machine.

    They replace the table's in place while searches go on, and queries stay look-ups in the table.
    `ragdb worker` does it, in itself or at an endpoint. The first time it registers the model,
    which only an operator may. To undo at once: ragdb model rollback
    """
    from ragdb.embeddings import minilm

    with session.member() as client:
        is_known = any(row["name"] == LOCAL for row in client.read("embedding_models"))
    if not is_known:
        if url is None:
            minilm.require()
        with session.operator() as client:
            client.call(
                "register_embedding_model",
                p_name=LOCAL, p_protocol="openai" if url else "local", p_url=url or "local:",
                p_model=minilm.table_model(), p_dimensions=minilm.PROJECTED,
                p_table=minilm.table_model(), p_api_key_name=api_key_name,
                p_options={"confidence": list(minilm.CONFIDENCE)},
            )  # fmt: skip
    _use(session, LOCAL)


@cli.command("leave")
@click.argument("name")
@click.pass_obj
def leave(session: Session, name: str) -> None:
    """Have a model embed nothing more.

    Where it wrote over the table's vectors, searches go back to these at once, and `ragdb worker`
    puts them back in their place.
    """
    with session.member() as client:
        client.call("leave_embedding_model", p_name=name)
    _say(session, {"left": name}, f"{name} embeds nothing more.")


@cli.command("switch")
@click.argument("name")
@click.pass_obj
def switch(session: Session, name: str) -> None:
    """Turn searches to the model NAME, or to the table; no search fails meanwhile."""
    with session.member() as client:
        client.call("switch_embedding_model", p_name=None if name == TABLE else name)
    _say(session, {"searched": name}, f"Searches use {name} now. To undo: ragdb model rollback")


@cli.command("rollback")
@click.pass_obj
def rollback(session: Session) -> None:
    """Undo the last switch."""
    with session.member() as client:
        [row] = client.call("rollback_embedding_model")
    name = row["rollback_embedding_model"]
    _say(session, {"searched": name}, f"Searches use {name} again.")


@cli.command("retry")
@click.argument("name")
@click.pass_obj
def retry(session: Session, name: str) -> None:
    """Have a model try again what it could not embed, and at once."""
    with session.member() as client:
        [row] = client.call("retry_embeddings", p_name=name)
    number = row["retry_embeddings"]
    said = f"What waits is tried at once, and so are {number} chunks that were given up."
    _say(session, {"retried": number}, said)


@cli.command("compare")
@click.argument("dataset")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--workspace", metavar="SLUG", help="Default: the default workspace.")
@click.pass_obj
def compare(session: Session, dataset: str, names: tuple[str, ...], workspace: str | None) -> None:
    """Measure models on the judgements DATASET, each as if searches used it.

    A NAME is that of a model, or table.
    """
    rows: list[dict[str, Any]] = []
    with session.member() as client:
        judged = client.read("judgements")
        asked = list(dict.fromkeys(row["query"] for row in judged if row["dataset"] == dataset))
        for name in names:
            if name != TABLE:
                with session.output.status(f"Embedding queries with {name}"):
                    for first in range(0, len(asked), _QUERIES_AT_ONCE):
                        client.embed_queries(*asked[first : first + _QUERIES_AT_ONCE], model=name)
            config = {"model": name} | ({"workspace": workspace} if workspace else {})
            with session.output.status(f"Measuring {name}"):
                measured = client.call("evaluate", p_dataset=dataset, p_config=config)
            rows += [{"model": name, **row} for row in measured]
    if session.output.is_json:
        session.output.document({"dataset": dataset, "models": rows})
        return
    shown = [
        row | {metric: f"{row[metric]:.3f}" for metric in METRICS if row[metric] is not None}
        for row in rows
    ]
    session.output.table(shown, ("model", "mode", "queries", *METRICS))


def _use(session: Session, name: str) -> None:
    with session.member() as client:
        client.call("use_embedding_model", p_name=name)
    _say(session, {"used": name}, f"Workers embed with {name}. See: ragdb model status {name}")


def _named(name: str, rows: list[DictRow]) -> DictRow:
    from ragdb.errors import Problem, RagdbError

    for row in rows:
        if row["name"] == name:
            return row
    raise RagdbError(
        Problem(
            404, "embedding_model_not_found", f"There is no embedding model {name}.",
            "List them with: ragdb model list",
        )
    )  # fmt: skip


def _of(name: str, rows: list[DictRow]) -> list[DictRow]:
    return [{column: row[column] for column in row if column != "model"}
            for row in rows if row["model"] == name]  # fmt: skip


def _say(session: Session, document: dict[str, Any], text: str) -> None:
    if session.output.is_json:
        session.output.document(document)
    else:
        session.output.text(text)
