"""Rebuilding, removing copies, and chunks out and in again."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def folder(member, tmp_path):
    (tmp_path / "a.md").write_text("# Keys\n\nKeys rotate every 90 days.\n")
    (tmp_path / "b.md").write_text("# Keys\n\nKeys rotate every 90 days.\n")
    (tmp_path / "c.md").write_text("# Doors\n\nDoors open at nine.\n")
    member.json("add", str(tmp_path))
    return tmp_path


def test_copies_are_listed_and_deleted(member, folder):
    told = member.json("dedupe")
    assert told["deleted"] is False and len(told["copies"]) == 1
    assert member.json("dedupe", "--delete")["copies"] == told["copies"]
    assert member.json("dedupe")["copies"] == []


def test_texts_are_rebuilt(member, folder):
    assert member.json("rebuild")["texts"] >= 2
    assert "90 days" in member.json("search", "rotate keys")["results"][0]["snippet"]


def test_chunks_go_out_and_come_in(member, folder):
    file = folder / "chunks.jsonl"
    member.text("chunks", "export", str(file))
    lines = file.read_text().splitlines()
    assert {"id", "source", "content", "metadata", "embedding"} == set(json.loads(lines[0]))
    with file.open("a") as more:
        more.write("no json\n")
    told = member.json("chunks", "import", str(file), code=1)
    assert told["totals"]["failed"] == 1 and told["failed"][0]["line"] == len(lines) + 1
    assert sum(told["totals"].values()) == len(lines) + 1


def test_lines_that_are_no_chunks_keep_nothing_else_out(member, tmp_path):
    lines = [
        b'{"id": "a", "content": "Fine."}', b"\x92\x93\x94", b"[" * 5000,
        b'{"id": "b", "content": "x\\u0000y"}', b'{"id": "c", "content": "Also fine."}',
    ]  # fmt: skip
    (tmp_path / "c.jsonl").write_bytes(b"\n".join(lines))
    told = member.json("chunks", "import", str(tmp_path / "c.jsonl"), code=1)
    assert told["totals"] == {"failed": 3, "ingested": 2}
    assert sorted(fault["line"] for fault in told["failed"]) == [2, 3, 4]


def test_maintain_says_what_it_found(member, folder):
    told = member.json("maintain", "--check")
    assert told["problems"] == [] and told["vacuum"] == []
    tasks = {task["task"] for task in told["tasks"]}
    assert {"analyze tables", "index vectors", "seal chunks"} <= tasks


def test_long_values_are_shown_in_part(member):
    documents = [{"content": "Ships sail. " * 500}]
    payload = json.dumps({"documents": documents, "source": "fleet"})
    job = member.text("jobs", "enqueue", "put_documents", "--payload", payload).strip()
    shown = member.text("jobs", "show", job)
    assert '{"source": "fleet", "documents"' in shown and "all with --json" in shown
    assert len(shown) < 3000
    assert member.json("jobs", "show", job)["payload"]["documents"] == documents
