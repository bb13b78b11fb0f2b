"""Whatever ends `ragdb add`: what was reported is stored whole, and a rerun completes the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from runner import Ragdb

from ragdb.embedded import Server

DOCUMENTS = 1500
SENTENCE = "Sentence {1} of document {0} speaks of harbour {0} and of ship {1}.\n\n"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = "".join(SENTENCE.format(number, line) for line in range(40))
        (folder / f"{number:05}.md").write_text(text)
    return folder


class Installation:
    """What a superuser sees in the database of a home."""

    def __init__(self, ragdb: Ragdb) -> None:
        self.server = Server.default(ragdb.home)

    def ask(self, query: str) -> Any:
        url = make_conninfo(self.server.superuser_url(), dbname="ragdb")
        with psycopg.connect(url) as connection:
            return connection.execute(query.encode()).fetchall()

    def stored(self) -> int:
        return self.ask("select count(*) from ragdb_data.document")[0][0]

    def await_documents(self, adding: subprocess.Popen[str]) -> None:
        """Wait until the first batch is stored."""
        while self.stored() == 0:
            assert adding.poll() is None, adding.communicate()
            time.sleep(0.05)

    def check_whole(self) -> None:
        """No half document: each has its text, every chunk of it, and all index rows of these."""
        assert self.ask(
            "select count(*) from ragdb_data.document d where not exists"
            " (select from ragdb_data.body b where b.body_no = d.body_no and exists"
            " (select from ragdb_data.chunk c where c.body_no = b.body_no))"
        ) == [(0,)]
        assert self.ask(
            "select count(*) from ragdb_data.body b where length(b.content) <>"
            " (select max(c.char_end) from ragdb_data.chunk c where c.body_no = b.body_no)"
            " and length(rtrim(b.content, E' \\n')) >"
            " (select max(c.char_end) from ragdb_data.chunk c where c.body_no = b.body_no)"
        ) == [(0,)]
        chunks = "ragdb_data.chunk c where not exists (select from ragdb_data"
        for missing in (
            "chunk_word w where w.chunk_no = c.chunk_no",
            "chunk_vector v where v.chunk_no = c.chunk_no",
            "posting p where p.chunk_no = c.chunk_no and p.term = 0"
            " union all select from ragdb_data.slot s where s.chunk_no = c.chunk_no",
        ):
            assert self.ask(f"select count(*) from {chunks}.{missing})") == [(0,)]
        assert self.ask(
            "select count(*) from ragdb_data.body b where not exists"
            " (select from ragdb_data.document d where d.body_no = b.body_no)"
        ) == [(0,)]


def reported(report: dict[str, Any]) -> set[str]:
    return {f["document_id"] for f in report["files"] if f["status"] == "ingested"}


def complete(ragdb: Ragdb, many: Path, before: set[str]) -> None:
    """Run it again: everything is there once, and what was reported is what it was."""
    again = ragdb.json("add", many)
    assert again["totals"]["failed"] == 0 and len(again["files"]) == DOCUMENTS
    unchanged = {f["document_id"] for f in again["files"] if f["status"] == "unchanged"}
    assert before <= unchanged
    installation = Installation(ragdb)
    assert installation.stored() == DOCUMENTS
    installation.check_whole()


@pytest.mark.parametrize("times", [1, 2])
def test_interrupt(empty: Ragdb, many: Path, times: int) -> None:
    empty.text("init")
    installation = Installation(empty)
    process = empty.start("add", many, "--json")
    installation.await_documents(process)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    out, _ = process.communicate()
    assert process.returncode == 130
    report = json.loads(out)
    assert report["interrupted"] is True
    stored = installation.stored()
    assert len(reported(report)) == len(report["files"]) == stored
    assert 0 < stored < DOCUMENTS
    installation.check_whole()
    complete(empty, many, reported(report))


def test_killed_client(empty: Ragdb, many: Path) -> None:
    empty.text("init")
    installation = Installation(empty)
    process = empty.start("add", many)
    installation.await_documents(process)
    process.kill()
    process.communicate()
    assert 0 < installation.stored() <= DOCUMENTS
    installation.check_whole()
    complete(empty, many, set())


def test_killed_server(empty: Ragdb, many: Path) -> None:
    empty.text("init")
    installation = Installation(empty)
    process = empty.start("add", many, "--json")
    installation.await_documents(process)
    pid = installation.server.status().pid
    assert pid
    for victim in (pid, *children(pid)):
        os.kill(victim, signal.SIGKILL)
    out, _ = process.communicate()
    assert process.returncode == 6
    report = json.loads(out)
    assert report["error"]["code"] == "database_unavailable"
    assert report["totals"]["failed"] > 0

    empty.text("start")
    assert len(reported(report)) <= installation.stored() < DOCUMENTS
    present = {str(row[0]) for row in installation.ask("select id from ragdb_data.document")}
    assert reported(report) <= present
    installation.check_whole()
    complete(empty, many, reported(report))


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]
