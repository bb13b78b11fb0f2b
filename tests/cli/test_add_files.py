"""`ragdb add` with files of all formats, long texts, web pages, and originals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from runner import Ragdb

from sample_files import bomb, docx, pdf, pptx, xlsx


def errors(report: dict[str, Any]) -> dict[str, str]:
    return {Path(f["path"]).name: f["error"]["code"] for f in report["files"] if f["error"]}


def external_ids(ragdb: Ragdb) -> set[str]:
    documents = ragdb.json("doc", "list", "--limit", "1000")["documents"]
    return {document["external_id"] for document in documents}


@pytest.fixture
def office(tmp_path: Path) -> Path:
    folder = tmp_path / "office"
    folder.mkdir()
    (folder / "report.pdf").write_bytes(pdf("Lemons on page one", "Limes on page two"))
    (folder / "letter.docx").write_bytes(docx("Pears", "Pears are green."))
    (folder / "talk.pptx").write_bytes(pptx(("Figs", "Figs are sweet."), ("Nuts", "Walnuts.")))
    (folder / "prices.xlsx").write_bytes(xlsx(Prices=[["fruit", "cents"], ["kumquat", 77]]))
    return folder


def test_a_folder_of_office_files(member: Ragdb, office: Path) -> None:
    (office / "secret.pdf").write_bytes(pdf("x", password="tiger"))
    (office / "bomb.docx").write_bytes(bomb())
    (office / "photo.pdf").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    (office / "torn.xlsx").write_bytes((office / "prices.xlsx").read_bytes()[:300])
    done = member.run("add", office)
    assert done.returncode == 1
    assert "4 ingested, 4 failed" in done.stdout
    assert "(encrypted_file)\n        Remove the password" in done.stderr
    report = member.json("add", office, code=1)
    assert report["totals"]["unchanged"] == 4
    assert errors(report) == {
        "secret.pdf": "encrypted_file", "bomb.docx": "archive_bomb",
        "photo.pdf": "mislabelled_file", "torn.xlsx": "corrupt_file",
    }  # fmt: skip
    for query, page, place in (
        ("limes", 2, []), ("pears green", None, ["Pears"]), ("walnuts", 2, ["Nuts"]),
        ("kumquat", 1, ["Prices"]),
    ):  # fmt: skip
        hit = member.json("search", query)["results"][0]
        assert (hit["page"], hit["heading_path"]) == (page, place), query


def test_originals(member: Ragdb, office: Path, tmp_path: Path) -> None:
    report = member.json("add", office / "report.pdf")
    identity = report["files"][0]["document_id"]
    assert member.problem("doc", "original", identity) == (4, "original_not_found")
    member.text("add", "--keep-original", office / "report.pdf")
    target = tmp_path / "given.pdf"
    assert member.text("doc", "original", identity, "-o", target).startswith("report.pdf: ")
    assert target.read_bytes() == (office / "report.pdf").read_bytes()
    told = member.json("doc", "original", identity)
    assert (told["name"], told["mime"]) == ("report.pdf", "application/pdf")


def test_standard_input_and_patterns(member: Ragdb, office: Path) -> None:
    report = member.json("add", "-", input=(office / "letter.docx").read_bytes())
    assert report["totals"]["ingested"] == 1
    (document,) = member.json("doc", "list")["documents"]
    assert (document["title"], document["external_id"][:7]) == ("Pears", "sha256:")
    assert document["mime"].endswith("wordprocessingml.document")
    lines = b'{"_id": 1, "text": "Figs."}\n{"external_id": "kb-2", "content": "Nuts."}\n'
    member.json("add", "--name", "a.jsonl", "-", input=lines)
    assert external_ids(member) >= {"a.jsonl#1", "kb-2"}
    report = member.json("add", "office/*.p*", cwd=office.parent)
    assert {Path(file["path"]).name for file in report["files"]} == {"report.pdf", "talk.pptx"}


def test_what_a_line_says_of_its_document(member: Ragdb, tmp_path: Path) -> None:
    line = {
        "external_id": "kb-1", "title": "Zitronen", "content": "Zitronen sind sauer.",
        "language": "de", "labels": ["fruit"], "date": "2025-01-31", "url": "https://e.org/1",
        "mime": "text/markdown", "metadata": {"year": 2025},
    }  # fmt: skip
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    member.text("add", "--label", "sour", tmp_path / "a.jsonl")
    (document,) = member.json("doc", "list")["documents"]
    assert document["external_id"] == "kb-1" and document["language"] == "german"
    assert document["labels"] == ["fruit", "sour"] and document["metadata"] == {"year": 2025}
    assert document["date"].startswith("2025-01-31") and document["mime"] == "text/markdown"


def test_a_long_text_is_stored_in_parts(member: Ragdb, tmp_path: Path) -> None:
    sections = [f"## Section {n}\n\n" + "x" * 60_000 + f" marker{n}q.\n\n" for n in range(40)]
    file = tmp_path / "book" / "long.md"
    file.parent.mkdir()
    file.write_text("".join(sections))
    report = member.json("add", file)
    parts = [f"book/long.md#part-{n}" for n in range(1, len(report["files"]) + 1)]
    assert len(parts) >= 3 and external_ids(member) == set(parts)
    texts = [member.text("doc", "show", f["document_id"], "--text") for f in report["files"]]
    assert "".join(texts).split() == file.read_text().split()
    assert member.json("search", "marker39q")["results"][0]["title"].startswith("long, part ")
    assert member.json("add", file)["totals"]["unchanged"] == len(parts)

    file.write_text("".join(sections[:17]))
    member.text("add", file)
    assert external_ids(member) == {"book/long.md#part-1", "book/long.md#part-2"}
    file.write_text("".join(sections[:3]))
    member.text("add", file)
    assert external_ids(member) == {"book/long.md"}


@pytest.fixture
def site(office: Path) -> Iterator[str]:
    (office / "page.html").write_text("<title>Plums</title><p>Plums are blue.")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=office)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_web_pages(member: Ragdb, site: str) -> None:
    report = member.json("add", f"{site}/page.html", code=1)
    assert errors(report) == {"page.html": "address_not_allowed"}
    allowed = member.having(RAGDB_ALLOW_HOSTS="127.0.0.0/8")
    report = allowed.json("add", f"{site}/page.html", f"{site}/report.pdf", f"{site}/no", code=1)
    assert report["totals"]["ingested"] == 2 and errors(report) == {"no": "fetch_failed"}
    hit = member.json("search", "plums")["results"][0]
    assert (hit["title"], hit["url"]) == ("Plums", f"{site}/page.html")
    assert allowed.json("add", f"{site}/page.html")["totals"]["unchanged"] == 1
    assert member.having(RAGDB_ALLOW_HOSTS="ten/8;").problem("status") == (2, "invalid_setting")
