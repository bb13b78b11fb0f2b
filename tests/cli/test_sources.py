"""Data sources read by a real worker: folders, records over HTTP, document libraries."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from runner import Ragdb
from services import Graph, Records, serving
from sourcing import RECORD_FIELDS, add, counts, found, ids, reading, record, refresh


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the worker of these tests may read, and writes its log."""
    return tmp_path_factory.mktemp("sources").resolve()


@pytest.fixture(scope="module")
def worker(installation: Ragdb, place: Path) -> Iterator[Path]:
    """One worker for all tests but those that kill theirs; its log."""
    log = place / "log"
    with reading(installation, log):
        yield log


def test_a_folder(member: Ragdb, worker: Path, place: Path) -> None:
    folder = place / "folder"
    (folder / "sub").mkdir(parents=True)
    for n in range(4):
        (folder / f"{n}.md").write_text(f"# Paper {n}\n\nLemon{n} trees grow in warm countries.\n")
    (folder / "sub" / "a.txt").write_text("Ferries leave at noon.")
    (folder / "sub" / "draft.txt").write_text("Not to be read.")
    (folder / "empty.txt").write_text("")
    (place / "outside.txt").write_text("Nobody may read that.")
    (folder / "way.txt").symlink_to(place / "outside.txt")
    config = {"path": str(folder), "exclude": ["draft.*"]}
    made = add(member, "papers", "file", config, "--label", "paper", "--sweep-limit", "0.4")
    assert made["is_new"] and made["next_run_at"] is None

    first = refresh(member, "papers")
    assert (first["status"], counts(first)) == ("succeeded", {"seen": 7, "added": 5, "failed": 2})
    assert ids(member) == ["0.md", "1.md", "2.md", "3.md", "sub/a.txt"]
    assert found(member, "lemon2") == ["Paper 2"]
    errors = {row["external_id"]: row["error"] for row in
              member.json("source", "errors", "papers")["errors"]}  # fmt: skip
    assert errors == {"empty.txt": "empty_file", "way.txt": "outside_folder"}
    listed = member.json("doc", "list")["documents"]
    assert {tuple(row["labels"]) for row in listed} == {("paper",)}

    (folder / "1.md").write_text("# Paper 1\n\nOranges instead.\n")
    (folder / "2.md").unlink()
    os.utime(folder / "3.md", (1, 1))
    (folder / "new.txt").write_text("Something new.")
    second = refresh(member, "papers")
    assert counts(second) == {
        "seen": 7, "added": 1, "changed": 2, "unchanged": 2, "failed": 2, "deleted": 1,
    }  # fmt: skip
    assert found(member, "oranges") == ["Paper 1"] and found(member, "lemon2") == []

    # What was deleted here comes back, and an empty mount takes nothing away.
    [row] = [row for row in member.json("doc", "list")["documents"] if row["title"] == "Paper 1"]
    member.text("doc", "rm", row["document_id"])
    assert counts(refresh(member, "papers"))["added"] == 1
    kept = ids(member)
    folder.rename(place / "gone")
    assert refresh(member, "papers", code=1)["error"] == "folder_not_found"
    folder.mkdir()
    refused = refresh(member, "papers")
    assert (refused["status"], refused["error"]) == ("incomplete", "sweep_refused")
    assert ids(member) == kept
    swept = refresh(member, "papers", "--sweep-limit", "1")
    assert (swept["status"], swept["deleted"], ids(member)) == ("succeeded", len(kept), [])

    runs = member.json("source", "runs", "papers")["runs"]
    assert [run["status"] for run in runs[:3]] == ["succeeded", "incomplete", "failed"]
    [source] = member.json("source", "list")["sources"]
    assert (source["name"], source["last_status"], source["is_synced"]) == (
        "papers", "succeeded", True,
    )  # fmt: skip


def test_a_folder_that_is_not_allowed(member: Ragdb, worker: Path) -> None:
    add(member, "etc", "file", {"path": "/etc"})
    assert refresh(member, "etc", code=1)["error"] == "folder_not_allowed"
    assert member.problem("source", "show", "nothing") == (4, "source_not_found")
    assert member.problem("source", "add", "x", "ftp") == (1, "unknown_source_type")
    assert member.problem("source", "add", "x", "file") == (1, "invalid_source_config")
    bad = json.dumps({"path": "/srv", "depth": 3})
    assert member.problem("source", "add", "x", "file", "--config", bad)[1] == (
        "invalid_source_config"
    )


@pytest.mark.parametrize(
    "pagination",
    [
        {"type": "page", "size": 7},
        {"type": "offset", "param": "offset"},
        {"type": "cursor", "path": "cursor"},
        {"type": "next", "path": "next"},
        {"type": "link"},
    ],
    ids=lambda pagination: pagination["type"],
)
def test_records_in_pages(member: Ragdb, worker: Path, pagination: dict[str, Any]) -> None:
    service = Records([record(n) for n in range(30)], busy=2)
    with serving(service) as base:
        config = {
            "url": f"{base}/records", "items": "data.items", "fields": RECORD_FIELDS,
            "format": "html", "pagination": pagination,
        }  # fmt: skip
        add(member, "ships", "api", config)
        assert counts(refresh(member, "ships")) == {"seen": 30, "added": 30}
        assert found(member, "ship29") == ["Record 29"]
        [hit] = member.json("search", "ship29", "--mode", "keyword")["results"]
        assert hit["url"] == "https://records.test/29"
        service.records[3]["text"] = "<p>Submarine3 dives.</p>"
        del service.records[10]
        again = counts(refresh(member, "ships"))
        assert again == {"seen": 29, "changed": 1, "unchanged": 28, "deleted": 1}


def test_records_that_changed_since(member: Ragdb, worker: Path) -> None:
    service = Records([record(n) for n in range(20)])
    with serving(service) as base:
        config = {
            "url": f"{base}/records", "items": "data.items", "fields": RECORD_FIELDS,
            "pagination": {"type": "cursor", "path": "cursor"},
            "since": {"param": "since", "overlap": 3},
        }  # fmt: skip
        add(member, "ships", "api", config)
        assert counts(refresh(member, "ships")) == {"seen": 20, "added": 20}
        service.records += [record(20), record(21, gone=True), record(5, modified="2027-01-01")]
        service.records[19]["gone"] = True
        second = refresh(member, "ships")
        assert service.asked[-1].query["since"] == "2026-01-01T00:00:16Z"
        # Three again because of the overlap, and one of them is gone now.
        assert counts(second) == {
            "seen": 5, "added": 1, "changed": 1, "unchanged": 3, "deleted": 1,
        }  # fmt: skip
        assert counts(refresh(member, "ships")) == {"seen": 1, "unchanged": 1}
        del service.records[:15]
        swept = refresh(member, "ships", "--full", "--sweep-limit", "1")
        assert counts(swept)["deleted"] == 14


def test_signing_in(member: Ragdb, worker: Path, superuser_url: str) -> None:
    service = Records([record(1, file="/files/1"), record(2, file="/missing")], token="t0ken-1")
    with serving(service) as base:
        fields = {"external_id": "id", "file": "file"}
        config: dict[str, Any] = {
            "url": f"{base}/records", "items": "data.items", "fields": fields,
            "auth": {"type": "oauth2", "token_url": f"{base}/token", "client_id": "app"},
        }  # fmt: skip
        add(member, "files", "api", config)
        assert refresh(member, "files", code=1)["error"] == "secret_missing"
        add(member, "files", "api", config, client_secret="wrong")
        assert refresh(member, "files", code=1)["error"] == "unauthorized"
        add(member, "files", "api", config, client_secret="hunter2")
        assert counts(refresh(member, "files"))["added"] == 1
        assert found(member, "ferries") != []
        # The token ends before its time; the secret stays when something else is changed.
        service.sign, service.token = {"Authorization": "Bearer other"}, "t0ken-2"
        add(member, "files", "api", config, "--label", "x")
        assert counts(refresh(member, "files"))["changed"] == 1
        # Elsewhere is another place.
        elsewhere = json.dumps({**config, "url": "http://127.0.0.2/records"})
        assert member.problem("source", "add", "files", "api", "--config", elsewhere) == (
            1, "secrets_required",
        )  # fmt: skip
        for auth, secrets, sign in (
            ({"type": "bearer"}, {"token": "b3arer"}, {"Authorization": "Bearer b3arer"}),
            ({"type": "header", "header": "X-Key"}, {"value": "k3y"}, {"X-Key": "k3y"}),
            (
                {"type": "basic", "user": "ada"}, {"password": "l0ve"},
                {"Authorization": "Basic YWRhOmwwdmU="},
            ),
        ):  # fmt: skip
            service.sign = sign
            add(member, "files", "api", {**config, "auth": auth}, **secrets)
            assert refresh(member, "files")["seen"] == 2
    shown = member.text("source", "show", "files") + member.text("source", "list")
    log = worker.read_text()
    url = make_conninfo(superuser_url, dbname="ragdb")
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select s::text from ragdb_data.source_setup s"
            " union all select j::text from ragdb_data.job_detail j"
            " union all select r::text from ragdb_data.sync_run r"
            " union all select e::text from ragdb_data.sync_error e"
        ).fetchall()
    stored = "".join(text for (text,) in rows)
    for secret in ("hunter2", "b3arer", "k3y", "l0ve", "t0ken-1", "t0ken-2"):
        assert secret not in shown + log + stored


def test_addresses_that_are_out_of_bounds(member: Ragdb, worker: Path) -> None:
    fields = {"external_id": "id", "content": "text"}
    add(member, "inside", "api", {"url": "http://127.0.0.2/records", "fields": fields})
    assert refresh(member, "inside", code=1)["error"] == "address_not_allowed"


def test_document_libraries(member: Ragdb, worker: Path) -> None:
    graph = Graph()
    for n in range(8):
        graph.put(f"f{n}", f"Reports/{n}.txt", f"Harbour{n} is calm.".encode())
    graph.put("picture", "Reports/ship.png", b"png")
    with graph.running():
        config = {
            "tenant_id": "contoso", "client_id": "app", "site": "contoso.test:/sites/ops",
            "graph_url": f"{graph.base}/v1.0", "login_url": graph.base,
        }  # fmt: skip
        add(member, "library", "sharepoint", config, client_secret="s3cr3t-of-contoso")
        graph.busy, graph.refused = 2, {"f7"}
        first = refresh(member, "library")
        assert counts(first) == {"seen": 8, "added": 7, "failed": 1}
        assert found(member, "harbour3") == ["3.txt"]
        assert graph.leaked == []

        graph.refused.clear()
        graph.put("f0", "Reports/0.txt", b"Harbour0 is rough.")
        graph.put("f1", "Reports/1.txt", None)
        graph.put("f7", "Reports/7.txt", b"Harbour7 is open again.")
        graph.downloads.clear()
        second = refresh(member, "library")
        assert counts(second) == {"seen": 2, "added": 1, "changed": 1, "deleted": 1}
        assert sorted(graph.downloads) == ["f0", "f7"]
        assert counts(refresh(member, "library")) == {}

        # The link is forgotten, and so is what went meanwhile.
        graph.put("f2", "Reports/2.txt", None)
        graph.put("f9", "Reports/9.txt", b"Harbour9 is new.")
        graph.oldest = graph.number
        del graph.files["f2"]
        resynced = refresh(member, "library")
        assert resynced["status"] == "succeeded"
        assert counts(resynced) == {"seen": 7, "added": 1, "unchanged": 6, "deleted": 1}
        [run, *_] = member.json("source", "runs", "library")["runs"]
        assert run["is_full"]
        assert counts(refresh(member, "library")) == {}
        # A failed download is come back to although nothing changed.
        graph.put("f3", "Reports/3.txt", b"Harbour3 is closed.")
        assert member.json("source", "list")["sources"][0]["documents"] == 7
