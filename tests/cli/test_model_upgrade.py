"""`ragdb model upgrade` with the real transformer: in the worker itself, and behind an endpoint."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from runner import PROGRAM, Ragdb

from ragdb import settings
from ragdb.db import Caller, Database
from ragdb.embedded import Server
from ragdb.embeddings.minilm import MiniLM

# Questions in other words than the answers have, and sentences that share the questions' words.
ANSWERED = {
    "feline": ("Which pet purrs when it is stroked?", "The kitten hums softly if you pat its fur."),
    "physician": ("Whom do I see when I am ill?", "A physician treats people with a disease."),
    "automobile": ("How fast can a car drive?", "The automobile reaches 210 kilometres an hour."),
    "salary": ("When do employees get paid?", "Wages are transferred on the last working day."),
    "ocean": ("Where do whales live?", "The large mammals roam the sea far from any coast."),
    "bakery": ("Who makes bread in the morning?", "The baker kneads dough long before sunrise."),
    "password": ("I cannot log in any more", "A forgotten secret for sign-in is reset by mail."),
    "fire": ("What to do if the house burns?", "In case of flames leave the building at once."),
}
DISTRACTORS = {
    "pets": "The list of which pet is it and when it is due stands in the annex.",
    "ill": "Whom the form names, and when I sign, see below.",
    "drive": "How to drive a screw fast: can and car parts are in the box.",
    "paid": "Employees of the month get a picture; when is not said.",
    "live": "Where concerts are live, doors open at eight.",
    "makes": "Who reads this in the morning makes notes.",
    "log": "I log wood in any more or less dry weather, which one cannot burn.",
    "house": "What to do if the house has no number: ask the office.",
}


class Home:
    """An installation with documents and judgements."""

    def __init__(self, ragdb: Ragdb) -> None:
        ragdb.text("init")
        self.ragdb, self.server = ragdb, Server.default(ragdb.home)
        self.settings = settings.load(ragdb.home, {})
        texts = {name: text for name, (_, text) in ANSWERED.items()} | DISTRACTORS
        self.put(texts)
        judged = [
            {"query_id": name, "query": question, "documents": {name: 1}}
            for name, (question, _) in ANSWERED.items()
        ]
        self.call("put_judgements", p_dataset="asked", p_judgements=Jsonb(judged))

    def put(self, texts: dict[str, str]) -> None:
        documents = [{"external_id": name, "content": text} for name, text in texts.items()]
        self.call("put_documents", p_documents=Jsonb(documents))

    def call(self, function: str, **arguments: object) -> list[dict[str, Any]]:
        with Database.connect(self.settings.database_url or "") as database:
            return database.call(Caller(api_key=self.settings.api_key), function, **arguments)

    def quality(self) -> float:
        [row] = self.call(
            "evaluate", p_dataset="asked", p_config={"modes": ["hybrid"], "shared": True}
        )
        return row["ndcg_10"]

    def model(self) -> dict[str, Any]:
        [row] = self.ragdb.json("model", "list")["models"]
        return row

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        url = make_conninfo(self.server.superuser_url(), dbname="ragdb")
        with psycopg.connect(url, autocommit=True) as connection:
            return connection.execute(query.encode()).fetchall()

    def vectors(self) -> dict[int, list[float]]:
        rows = self.ask("select chunk_no, embedding::real[] from ragdb_data.chunk_vector")
        return dict(rows)


@pytest.fixture
def home(empty: Ragdb) -> Home:
    return Home(empty)


@contextmanager
def process(ragdb: Ragdb, log: Path, *command: str) -> Generator[None]:
    """A command for as long as the block runs."""
    with log.open("ab") as stderr:
        running = subprocess.Popen([PROGRAM, *command], env=ragdb.variables, stderr=stderr)
    try:
        yield
    finally:
        running.terminate()
        assert running.wait(timeout=60) == 0, log.read_text()


@contextmanager
def searching(home: Home) -> Generator[list[int]]:
    """Searches all the while; yields how many results each had."""
    found: list[int] = []
    ended = threading.Event()

    def search() -> None:
        with Database.connect(home.settings.database_url or "") as database:
            while not ended.is_set():
                for question, _ in ANSWERED.values():
                    rows = database.call(
                        Caller(api_key=home.settings.api_key), "search", p_query=question
                    )
                    found.append(len(rows))

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def until(condition: Callable[[], Any]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_covered(home: Home) -> bool:
    model = home.model()
    return model["coverage"] == 100 and not model["waiting"] and not model["is_backfilling"]


def test_vectors_are_replaced_while_searches_go_on(home: Home, tmp_path: Path) -> None:
    ragdb = home.ragdb
    before, by_table = home.quality(), home.vectors()
    assert ragdb.json("model", "upgrade") == {"used": "minilm"}
    assert home.model()["coverage"] == 0
    with searching(home) as found, process(ragdb, tmp_path / "worker", "worker"):
        until(lambda: is_covered(home))
        home.put({"new": "A text that comes when the model is in use already."})
        until(lambda: is_covered(home))
    assert found and set(found) == {10}
    assert home.quality() > before

    # The column holds the model's own vectors, and queries are look-ups as before.
    embedded = home.vectors()
    assert len(embedded) == len(by_table) + 1
    model = MiniLM(1)
    contents = home.ask("select chunk_no, content from ragdb_data.chunk")
    for chunk_no, content in contents:
        [expected] = model.project(model.encode([content]).vectors)
        assert sum(a * b for a, b in zip(embedded[chunk_no], expected, strict=True)) > 0.999
    assert not home.call("begin_query_embedding", p_queries=["Whom do I see when I am ill?"])
    assert home.model()["failed"] == 0

    # Back again at once, to a ranking as before; nothing is written for it.
    assert ragdb.json("model", "rollback") == {"searched": "table"}
    assert home.quality() == pytest.approx(before, abs=0.02)
    assert (home.vectors(), home.model()["is_searched"]) == (embedded, False)
    # And for good: workers put the table's vectors back, to the last bit.
    with searching(home) as found, process(ragdb, tmp_path / "worker", "worker"):
        assert ragdb.json("model", "leave", "minilm") == {"left": "minilm"}
        until(lambda: home.ask("select from ragdb_data.organization_model") == [])
    assert found and set(found) == {10}
    assert "embedding model loaded" in (tmp_path / "worker").read_text()
    restored = home.vectors()
    assert {number: restored[number] for number in by_table} == by_table
    assert home.quality() == pytest.approx(before, abs=0.02)


def test_an_endpoint_does_as_well(home: Home, tmp_path: Path) -> None:
    ragdb = home.ragdb
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serving = ragdb.having(RAGDB_HTTP_PORT=str(port), RAGDB_EMBEDDING_THREADS="1")
    working = ragdb.having(MINILM_API_KEY=home.settings.api_key or "")
    url = f"http://127.0.0.1:{port}"
    with process(serving, tmp_path / "serve", "serve", "--embeddings"):
        ragdb.json("model", "upgrade", "--url", url, "--api-key-name", "MINILM_API_KEY")
        with process(working, tmp_path / "worker", "worker"):
            until(lambda: is_covered(home))
    status = ragdb.json("model", "status", "minilm")
    assert (status["protocol"], status["url"], status["failed"]) == ("openai", url, 0)
    served = (tmp_path / "serve").read_text().splitlines()[1:]
    assert {line["status"] for line in map(json.loads, served)} == {200}
    model = MiniLM(1)
    [(chunk_no, content)] = home.ask(
        "select chunk_no, content from ragdb_data.chunk where content like 'The kitten%'"
    )
    [expected] = model.project(model.encode([content]).vectors)
    found = home.vectors()[chunk_no]
    assert sum(a * b for a, b in zip(found, expected, strict=True)) > 0.999


def test_sets_are_measured_with_the_model(empty: Ragdb, tmp_path: Path) -> None:
    empty.text("init")
    texts = {name: text for name, (_, text) in ANSWERED.items()} | DISTRACTORS
    files = {
        "corpus.jsonl": [{"_id": name, "text": text} for name, text in texts.items()],
        "queries.jsonl": [{"_id": name, "text": q} for name, (q, _) in ANSWERED.items()],
    }
    for file, records in files.items():
        (tmp_path / file).write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "qrels.tsv").write_text("".join(f"{name}\t{name}\t1\n" for name in ANSWERED))

    def measured(*options: str) -> float:
        [row] = empty.json("eval", tmp_path, "--modes", "hybrid", *options)["modes"]
        return row["ndcg@10"]

    by_table = measured()
    code = empty.problem("eval", tmp_path, "--embeddings", "minilm")[1]
    assert code == "embedding_model_not_found"
    empty.text("model", "upgrade")
    with process(empty, tmp_path / "worker", "worker"):
        assert measured("--embeddings", "minilm") > by_table


def test_without_the_extra_it_says_what_to_install(empty: Ragdb) -> None:
    empty.text("init")
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from ragdb_cli.app import run; sys.exit(run(['model', 'upgrade']))"
    )
    python = PROGRAM.with_name("python")
    done = subprocess.run(
        [python, "-c", script], env=empty.variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ragdb[local]" in done.stderr
    assert not empty.json("model", "list")["models"]
