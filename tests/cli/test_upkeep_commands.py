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
