"""`ragdb eval` and `ragdb tune`: a set of queries is measured, and nothing of it is left behind."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import psycopg
import pytest
from runner import Ragdb

from ragdb.evaluation import EvaluationSet

METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr", "map")


def write(folder: Path, documents: int = 40, queries: int = 40) -> Path:
    """A set in which document n answers query n, and some texts are as awkward as real ones."""
    generator = random.Random(2)
    words = ["river", "stone", "cloud", "ember", "frost", "maple", "canyon", "harbor", "meadow"]
    folder.mkdir()
    with (folder / "corpus.jsonl").open("w") as corpus:
        for number in range(documents):
            text = " ".join(generator.choices(words, k=20)) + f" subject{number}."
            record = {"_id": str(number), "title": f"Report {number % 5}", "text": text}
            corpus.write(json.dumps(record) + "\n")
        corpus.write(json.dumps({"_id": "title", "title": "A title alone", "text": ""}) + "\n")
        corpus.write(json.dumps({"_id": "nothing", "title": "", "text": ""}) + "\n")
    with (folder / "queries.jsonl").open("w") as file:
        for number in range(queries):
            text = f"subject{number} {generator.choice(words)}"
            file.write(json.dumps({"_id": f"q{number}", "text": text}) + "\n")
        file.write(json.dumps({"_id": "unjudged", "text": "river"}) + "\n")
    (folder / "qrels").mkdir()
    with (folder / "qrels" / "test.tsv").open("w") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for number in range(queries):
            file.write(f"q{number}\t{number}\t2\nq{number}\t{number + 1}\t0\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "reports")


def workspaces(member: Ragdb) -> list[str]:
    return [row["slug"] for row in member.json("workspace", "list")["workspaces"]]


def test_a_set_is_measured_and_cleared_away(member: Ragdb, folder: Path) -> None:
    measured = member.json("eval", folder)
    assert (measured["dataset"], measured["queries"]) == ("reports", 40)
    assert [mode["mode"] for mode in measured["modes"]] == ["keyword", "vector", "hybrid"]
    for mode in measured["modes"]:
        for metric in METRICS:
            low, high = mode["ci"][metric]
            assert 0 <= low <= mode[metric] <= high <= 1
    assert measured["modes"][0]["ndcg@10"] == 1
    assert measured["modes"][2]["over_keyword"]["ndcg@10"]["difference"] <= 0
    assert workspaces(member) == ["default"]
    assert member.json("doc", "list")["documents"] == []
    text = member.text("eval", folder, "--modes", "keyword", "--queries", "10", "--plain")
    header, row = (line.split("\t") for line in text.splitlines())
    assert header == ["mode", *METRICS, "ndcg@10 95 %"]
    assert row[:2] == ["keyword", "1.0000"]


def test_the_language_is_that_of_most_texts(tmp_path: Path) -> None:
    german = "Die alten Häuser am Marktplatz wurden von Zimmerleuten aus der Stadt gebaut. " * 3
    english = "The old houses of the market were built by carpenters who came from town. " * 3
    for name, texts, language in (
        ("most", [german, german, english, "kurz"], "german"),
        ("short", ["kurz"], "english"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        lines = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(texts)]
        (folder / "corpus.jsonl").write_text("\n".join(lines))
        assert EvaluationSet(folder).spoken() == language
        assert EvaluationSet(folder, "es").spoken() == "es"


def test_a_set_that_is_kept_is_found_loaded(member: Ragdb, folder: Path) -> None:
    first = member.run("eval", folder, "--keep", "--modes", "hybrid")
    assert first.returncode == 0
    (kept,) = (slug for slug in workspaces(member) if slug != "default")
    assert kept in first.stderr
    config = json.dumps({"vector_weight": 3, "half": "first"})
    again = member.json(
        "eval", folder, "--modes", "hybrid", "--compare", "last", "--keep",
        "--config", "{}", "--config", config,
    )  # fmt: skip
    same, other = again["modes"]
    assert same["compared"]["ndcg@10"]["difference"] == 0
    assert (other["config"], other["queries"] < 40) == (json.loads(config), True)
    tuned = member.json("tune", "--workspace", kept)
    assert tuned["queries"] == 40
    assert not tuned["is_applied"]
    assert "Nothing was changed" in member.run("tune", "--workspace", kept).stderr
    member.json("eval", folder, "--modes", "keyword")
    assert workspaces(member) == ["default"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_cleared_away(
    member: Ragdb, tmp_path: Path, superuser_url: str, number: signal.Signals
) -> None:
    """Once while documents are loaded, once while the database measures."""
    folder = write(tmp_path / "large", documents=1000, queries=1000)
    with psycopg.connect(superuser_url, dbname="ragdb", autocommit=True) as connection:
        for table in ("document", "judged_query"):
            process = member.start("eval", folder, "--modes", "hybrid")
            count = (
                f"select count(*) from ragdb_data.{table} where scope_no = (select max(scope_no)"
            )
            count += " from ragdb_data.scope)"
            while process.poll() is None and not connection.execute(count).fetchone()[0]:
                time.sleep(0.02)
            process.send_signal(number)
            _, told = process.communicate(timeout=120)
            assert process.returncode == 130, told
            assert told.splitlines()[-1] == "Interrupted."
            assert workspaces(member) == ["default"]


def test_what_is_no_set_is_refused(member: Ragdb, folder: Path) -> None:
    corpus = folder / "corpus.jsonl"
    corpus.write_text(corpus.read_text() + "{}\n")
    assert member.problem("eval", folder) == (1, "invalid_evaluation_set")
    (folder / "qrels" / "test.tsv").unlink()
    code, name = member.problem("eval", folder)
    assert (code, name) == (1, "invalid_evaluation_set")
    assert member.run("eval", folder / "none").returncode == 2
    assert workspaces(member) == ["default"]
    assert member.problem("tune") == (1, "too_few_judgements")
