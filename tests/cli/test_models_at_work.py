"""Embedding models, as the command line, the service and worker processes use them."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner import Ragdb
from test_worker import Home, until, working

from embedding_server import POISON, Models, Request, serving


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        yield models


@pytest.fixture
def home(empty: Ragdb) -> Home:
    empty.text("init")
    return Home(empty)


def register(home: Home, models: Models, *more: str) -> None:
    home.ragdb.text(
        "model", "register", "small", "--url", models.url(), "--model", "m", "--dimensions", "16",
        *more,
    )  # fmt: skip


def status(home: Home) -> dict[str, object]:
    return home.ragdb.json("model", "status", "small")


def test_from_registration_to_rollback(home: Home, models: Models, tmp_path: Path) -> None:
    ragdb = home.ragdb
    home.call("put_document", p_content="API keys rotate every ninety days.", p_title="Keys")
    home.call("put_document", p_content=f"The {POISON} of asps.", p_title="Snakes")
    register(home, models, "--options", '{"price_per_million": 100}')
    listed = ragdb.json("model", "list")["models"][0]
    assert (listed["name"], listed["is_used"], listed["coverage"]) == ("small", False, 0)
    ragdb.text("model", "use", "small")
    with working(ragdb, tmp_path / "log"):
        until(lambda: status(home)["embedded"] == 1 and status(home)["failed"] == 1)
        # Written while the worker listens: embedded soon after.
        home.call("put_document", p_content="Cheese is made of milk.", p_title="Cheese")
        until(lambda: status(home)["embedded"] == 2)
        told = status(home)
        assert (told["waiting"], told["circuit"]) == (0, "closed")
        [failure] = told["failures"]  # type: ignore[misc]
        assert (failure["title"], failure["error"]) == (
            "Snakes", "embed: it answered with HTTP status 400")  # fmt: skip
        [cost] = told["costs"]  # type: ignore[misc]
        assert cost["tokens"] == 10 and cost["cost"] == 0.001
        assert "Snakes" in ragdb.text("model", "status", "small")
        models.before = lambda request: (200, {}, {"data": [{"index": 0, "embedding": [1.0] * 16}]})
        assert ragdb.json("model", "retry", "small") == {"retried": 1}
        until(lambda: status(home)["embedded"] == 3)
        models.before = lambda request: None
    asked = len(models.requests)
    ragdb.text("model", "switch", "small")
    [best, *_] = ragdb.json("search", "cheese of milk")["results"]
    assert (best["title"], len(models.requests)) == ("Cheese", asked + 1)
    assert models.requests[-1].texts == ["cheese of milk"]
    ragdb.json("ask", "What is cheese made of?")
    assert len(models.requests) == asked + 2
    ragdb.json("search", "cheese of milk", "--mode", "keyword")
    ragdb.json("search", "cheese of milk")
    assert len(models.requests) == asked + 2
    # Without its model a search still answers, by the table.
    models.before = lambda request: (500, {}, {})
    assert ragdb.json("search", "milk")["results"][0]["title"] == "Cheese"
    models.before = lambda request: None
    judged = {"query_id": "1", "query": "what is cheese made of", "documents": {"x": 1}}
    home.call("put_document", p_content="Cheese, of milk.", p_external_id="x")
    home.call("put_judgements", p_dataset="said", p_judgements=json.dumps([judged]))
    compared = ragdb.json("model", "compare", "said", "small", "table")["models"]
    assert {row["model"] for row in compared} == {"small", "table"}
    assert ragdb.json("model", "rollback") == {"searched": "table"}
    refused = ragdb.run("model", "drop", "none", "--yes")
    assert refused.returncode == 4
    ragdb.text("model", "leave", "small")
    ragdb.text("model", "drop", "small", "--yes")
    assert ragdb.json("model", "list")["models"] == []


@pytest.mark.parametrize("in_place", [False, True])
def test_killed_workers_lose_and_repeat_nothing(
    home: Home, models: Models, tmp_path: Path, in_place: bool
) -> None:
    more: list[str] = []
    if in_place:
        models.dimensions = 256
        [(table,)] = home.ask("select model from ragdb_data.embedding_table_version")
        more = ["--dimensions", "256", "--table", str(table)]
    register(home, models, "--options", '{"batch_size": 4, "concurrency": 2}', *more)
    home.ragdb.text("model", "use", "small")
    number = 120
    for first in range(0, number, 60):
        documents = [
            {"external_id": str(n), "content": f"Ship number {n} sails."}
            for n in range(first, first + 60)
        ]
        home.call("put_documents", p_documents=json.dumps(documents))
    kills = 4
    most = [0]

    def held(request: Request) -> None:
        while len(models.requests) > most[0]:
            time.sleep(0.02)

    models.before = held
    chance = random.Random(7)
    for _ in range(kills):
        most[0] = len(models.requests) + chance.randint(2, 5)
        with working(home.ragdb, tmp_path / "log") as worker:
            until(lambda: len(models.requests) > most[0])
            worker.kill()
        home.expire()
    most[0] = 1000
    with working(home.ragdb, tmp_path / "log"):
        until(lambda: status(home)["embedded"] == number)
        until(lambda: status(home)["waiting"] == 0)
    # Of a model in place: what it has taken the place of.
    rows = home.ask("select count(*), count(distinct chunk_no) from ragdb_data.model_vector")
    assert rows == [(number, number)]
    if in_place:
        rows = home.ask("select count(*) from ragdb_data.chunk_vector where model_no > 0")
        assert rows == [(number,)]
    # Only what was under way when a worker died is asked for again.
    assert number <= len(models.texts) <= number + kills * 8
