"""`ragdb add`: what is taken, what it is called, what is reported of the rest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from runner import Ragdb


def by_path(report: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["status"] for file in report["files"]}


def errors(report: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["error"]["code"] for file in report["files"] if file["error"]}


def ids(ragdb: Ragdb) -> set[str]:
    return {row["external_id"] for row in ragdb.json("doc", "list")["documents"]}


def test_statuses(member: Ragdb, docs: Path) -> None:
    first = member.json("add", docs)
    assert set(by_path(first).values()) == {"ingested"}
    assert first["totals"] == {
        "ingested": 3, "updated": 0, "unchanged": 0, "duplicate": 0, "failed": 0, "skipped": 0,
        "chunks": 3,
    }  # fmt: skip
    for file in first["files"]:
        assert set(file) == {"path", "status", "document_id", "chunks", "error"}
        assert file["error"] is None and file["chunks"] == 1
        assert member.json("doc", "show", file["document_id"])["chunks"] == 1
    assert first["seconds"] > 0 and first["chunks_per_second"] > 0

    assert set(by_path(member.json("add", docs)).values()) == {"unchanged"}

    (docs / "keys.md").write_text("# Keys\n\nAPI keys rotate every 30 days.\n")
    (docs / "copy.txt").write_bytes((docs / "guide" / "lemons.txt").read_bytes())
    third = by_path(member.json("add", docs))
    assert third == {
        f"{docs}/copy.txt": "duplicate",
        f"{docs}/keys.md": "updated",
        f"{docs}/guide/lemons.txt": "unchanged",
        f"{docs}/guide/page.html": "unchanged",
    }


def test_external_ids_do_not_depend_on_the_working_directory(member: Ragdb, docs: Path) -> None:
    expected = {"docs/keys.md", "docs/guide/lemons.txt", "docs/guide/page.html"}
    member.text("add", docs)
    assert ids(member) == expected
    for arguments, place in (
        (["docs"], docs.parent),
        (["."], docs),
        (["../../docs"], docs / "guide"),
        (["docs/keys.md"], docs.parent),
        (["keys.md"], docs),
        (["--root", "..", "."], docs),
    ):
        report = member.json("add", *arguments, cwd=place)
        assert set(by_path(report).values()) == {"unchanged"}, arguments
    assert ids(member) == expected
    member.text("add", "--root", docs, docs)
    assert ids(member) == expected | {"keys.md", "guide/lemons.txt", "guide/page.html"}


def test_root_that_is_not_above(member: Ragdb, docs: Path) -> None:
    report = member.json("add", "--root", docs / "guide", docs / "keys.md", code=1)
    assert errors(report) == {f"{docs}/keys.md": "outside_root"}


def test_same_name_twice_in_a_run(member: Ragdb, docs: Path) -> None:
    (docs / "a" / "x").mkdir(parents=True)
    (docs / "b" / "x").mkdir(parents=True)
    (docs / "a" / "x" / "same.md").write_text("The first of two texts.")
    (docs / "b" / "x" / "same.md").write_text("The second of two texts.")
    report = member.json("add", docs / "a" / "x", docs / "b" / "x", code=1)
    assert errors(report) == {f"{docs}/b/x/same.md": "duplicate_external_id"}
    assert member.json("search", "first")["results"]


def test_what_is_left_out_of_a_folder(member: Ragdb, docs: Path) -> None:
    for name in (".git", "node_modules", "venv", "__pycache__", "guide/.hidden"):
        (docs / name).mkdir()
        (docs / name / "inside.md").write_text("Not to be found.")
    (docs / "venv" / "pyvenv.cfg").touch()
    (docs / ".hidden.md").write_text("Not to be found.")
    (docs / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (docs / "guide" / "up").symlink_to("..")
    (docs / "guide" / "again").symlink_to(".")
    report = member.json("add", docs)
    assert report["totals"]["ingested"] == 3 and report["totals"]["skipped"] == 1
    assert len(report["files"]) == 3


def test_bad_files_in_a_folder_of_thousands(member: Ragdb, docs: Path) -> None:
    many = docs / "many"
    many.mkdir()
    for number in range(2000):
        (many / f"{number:04}.txt").write_text(f"Note {number} about subject {number % 97}.")
    (many / "0100-damaged.txt").write_bytes("Grüße ".encode() * 9 + b"\xff")
    (many / "0200-binary.md").write_bytes(b"\x00\x01\x02\x03" * 100)
    (many / "0300-empty.md").touch()
    (many / "0400-dangling.md").symlink_to("nowhere")
    (many / "0500-loop.md").symlink_to("0500-loop.md")
    os.mkfifo(many / "0600-pipe.md")
    (many / "0700-caf\udce9.md").write_text("A name that is not UTF-8.")
    locked = many / "locked"
    locked.mkdir()
    locked.chmod(0)
    report = member.json("add", docs, code=1)
    failed = {path.removeprefix(f"{many}/"): code for path, code in errors(report).items()}
    expected = {
        "0100-damaged.txt": "not_utf8",
        "0200-binary.md": "binary_file",
        "0300-empty.md": "empty_file",
        "0400-dangling.md": "file_not_found",
        "0500-loop.md": "unreadable_file",
        "0600-pipe.md": "not_a_file",
    }
    if os.geteuid() != 0:  # whom no mode keeps out
        expected["locked"] = "unreadable_file"
    assert failed == expected
    assert report["totals"]["ingested"] == 2000 + 3 + 1
    (found, *_) = member.json("search", "name that is not UTF-8")["results"]
    document = member.json("doc", "show", found["document_id"])
    assert document["external_id"] == "docs/many/0700-caf\\xe9.md"

    done = member.run("add", docs)
    assert done.returncode == 1
    assert f"failed  {many}/0100-damaged.txt: " in done.stderr and "(not_utf8)" in done.stderr


def test_named_files_that_cannot_be_taken(member: Ragdb, docs: Path) -> None:
    (docs / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with (docs / "huge.pdf").open("wb") as file:
        file.write(b"%PDF-1.4\n")
        file.truncate(70_000_000)
    names = ["photo.png", "huge.pdf", "missing.md", "keys.md", "/dev/null", ""]
    report = member.json("add", *names, cwd=docs, code=1)
    assert errors(report) == {
        "photo.png": "unsupported_format",
        "huge.pdf": "file_too_large",
        "missing.md": "file_not_found",
        "/dev/null": "not_a_file",
        "": "file_not_found",  # and not the folder one is in
    }
    assert by_path(report)["keys.md"] == "ingested"


def test_standard_input(member: Ragdb) -> None:
    text = b"Lemons are yellow.\nLimes are green.\n"
    first = member.json("add", "-", input=text)
    assert by_path(first) == {"-": "ingested"}
    assert by_path(member.json("add", "-", input=text)) == {"-": "unchanged"}
    (found,) = member.json("doc", "list")["documents"]
    assert found["title"] == "Lemons are yellow."

    member.text("add", "--name", "fruit.md", "--title", "Fruit", "-", input=b"# Pears\n\nGreen.")
    (found,) = [d for d in member.json("doc", "list")["documents"] if d["title"] == "Fruit"]
    assert (found["external_id"], found["mime"]) == ("fruit.md", "text/markdown")

    assert errors(member.json("add", "-", input=b"\xff\xfe\xfa", code=1)) == {"-": "not_utf8"}
    assert errors(member.json("add", "-", input=b" \n", code=1)) == {"-": "empty_file"}


def test_jsonl(member: Ragdb, tmp_path: Path) -> None:
    corpus = tmp_path / "set" / "corpus.jsonl"
    corpus.parent.mkdir()
    lines = [
        {"_id": "d1", "title": "Oil", "text": "Oil is pumped.", "metadata": {"year": 1973}},
        {"id": 2, "content": "Gas is piped.", "url": "https://example.org/gas"},
        {"text": "Coal is dug."},
        {"_id": "d4"},
        {"_id": "d5", "text": "half a pair \ud800"},
        {"_id": "d6", "text": "NUL \0 inside"},
        {"_id": "d1", "text": "Oil again."},
        ["no object"],
    ]
    corpus.write_text("\n".join([*map(json.dumps, lines), "{broken", "", '{"text": "The end."}']))
    report = member.json("add", "corpus.jsonl", cwd=corpus.parent, code=1)
    assert errors(report) == {
        "corpus.jsonl line 4": "invalid_document",
        "corpus.jsonl line 5": "not_utf8",
        "corpus.jsonl line 6": "nul_character",
        "corpus.jsonl#d1": "duplicate_external_id",
        "corpus.jsonl line 8": "invalid_document",
        "corpus.jsonl line 9": "invalid_json",
    }
    assert ids(member) == {f"set/corpus.jsonl#{name}" for name in ("d1", "2", "3", "11")}
    found = member.json("search", "oil", "--filter", '{"metadata.year": 1973}')["results"]
    assert [row["title"] for row in found] == ["Oil"]


def test_what_all_documents_are_given(member: Ragdb, docs: Path) -> None:
    member.text("workspace", "create", "legal", "--closed")
    member.text(
        "add", docs, "--workspace", "legal", "--source", "intranet", "--visibility", "private",
        "--label", "hr", "--label", "draft", "--language", "de", "--metadata", '{"year": 2025}',
    )  # fmt: skip
    found = member.json("doc", "list", "--workspace", "legal")["documents"]
    assert len(found) == 3
    for document in found:
        assert document["source"] == "intranet" and document["visibility"] == "private"
        assert document["labels"] == ["hr", "draft"] and document["language"] == "german"
        assert document["metadata"]["year"] == 2025
    (source,) = member.json("source", "list")["sources"]
    assert (source["name"], source["documents"]) == ("intranet", 3)


def test_unknown_language_fails_each_document(member: Ragdb, docs: Path) -> None:
    report = member.json("add", docs, "--language", "klingon", code=1)
    assert set(errors(report).values()) == {"unknown_language"}


@pytest.mark.parametrize("arguments", [("--workspace", "nowhere")])
def test_what_no_document_can_do_ends_the_run(
    member: Ragdb, docs: Path, arguments: tuple[str, str]
) -> None:
    report = member.json("add", docs, *arguments, code=4)
    assert report["error"]["code"] == "workspace_not_found"
    assert set(errors(report).values()) == {"workspace_not_found"}
    done = member.run("add", docs, *arguments)
    assert done.returncode == 4 and done.stderr.count("workspace") == 2  # error and hint


def test_large_text(member: Ragdb, docs: Path) -> None:
    line = "Paragraph {0} tells of ships number {0} and of nothing else.\n\n"
    text = "".join(line.format(number) for number in range(30_000))
    (docs / "large.txt").write_text(text)
    report = member.json("add", docs / "large.txt")
    assert sum(part["chunks"] for part in report["files"]) > 500
    parts = [member.text("doc", "show", part["document_id"], "--text") for part in report["files"]]
    assert len(parts) > 1  # of at most a million characters each
    assert "".join(parts).split() == text.split()


def test_two_at_once(member: Ragdb, docs: Path) -> None:
    for number in range(300):
        (docs / f"{number:03}.txt").write_text(f"Report {number} is about harbour {number % 7}.")
    running = [member.start("add", docs, "--json") for _ in range(3)]
    reports = [json.loads(process.communicate()[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert {report["totals"]["failed"] for report in reports} == {0}
    assert sum(report["totals"]["ingested"] for report in reports) == 303
    assert len(member.json("doc", "list", "--limit", "1000")["documents"]) == 303


def test_bulk_stores_the_same_and_builds_the_vector_index(
    member: Ragdb, tmp_path: Path, superuser_url: str
) -> None:
    lines = [
        {"_id": str(n), "text": f"Report {n} is about harbour {n % 7} and ship {n % 11}."}
        for n in range(2100)
    ]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(map(json.dumps, lines)))
    first = member.json("add", corpus, "--bulk")
    assert (first["totals"]["ingested"], first["totals"]["chunks"]) == (2100, 2100)
    again = member.json("add", corpus)
    assert again["totals"]["unchanged"] == 2100
    with psycopg.connect(superuser_url, dbname="ragdb") as connection:
        indexed = connection.execute(
            "select count(*) from ragdb_data.chunk_vector v"
            "  join ragdb_data.organization o on o.org_no = v.org_no"
            " where o.slug = %s and v.is_indexed",
            (member.environ["TEST_ORG"],),
        ).fetchone()
    assert indexed == (2100,)
