"""Files over HTTP: several at a time, one as a document, and given back as they came."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from typing import Any

import pytest
from rest import Tenant, problem

from sample_files import docx, pdf

URL = "/api/v1/ingest/files"
UPLOAD = "/api/v1/documents"
SPANISH = (
    "El contrato puede rescindirse con un preaviso de tres meses antes del final del año. La"
    " rescisión debe hacerse por escrito y comunicarse a tiempo a la otra parte."
)


def send(tenant: Tenant, *files: tuple[str, bytes], **fields: Any) -> dict[str, Any]:
    parts = [("files", (name, data)) for name, data in files]
    response = tenant.http.post(URL, files=parts, data=fields)
    assert response.status_code == 200, response.text
    return response.json()


def test_several_files(acme: Tenant) -> None:
    report = send(
        acme,
        ("report.pdf", pdf("Lemons on page one", "Limes on page two")),
        ("C:\\My Documents\\letter.docx", docx("Pears", "Pears are green.")),
        ("secret.pdf", pdf("x", password="tiger")),
        ("empty.txt", b""),
        ("list.jsonl", b'{"_id": "a", "text": "Figs are sweet."}\n{"broken"\n'),
        ("nota.txt", SPANISH.encode("cp1252")),
    )
    statuses = {file["file"]: file["status"] for file in report["files"]}
    assert statuses == {
        "report.pdf": "ingested", "letter.docx": "ingested", "secret.pdf": "failed",
        "empty.txt": "failed", "list.jsonl#a": "ingested", "list.jsonl line 2": "failed",
        "nota.txt": "ingested",
    }  # fmt: skip
    assert report["message"] == "4 stored, 3 failed."
    assert report["chunks_added"] == sum(file["chunks"] for file in report["files"]) == 5
    errors = {file["file"]: file["error"]["code"] for file in report["files"] if file["error"]}
    assert errors == {
        "secret.pdf": "encrypted_file", "empty.txt": "empty_file",
        "list.jsonl line 2": "invalid_json",
    }  # fmt: skip
    [hit, *_] = acme.search("limes")
    assert (hit["page"], hit["content"].strip()) == (2, "Limes on page two")
    [pears, *_] = acme.search("pears")
    assert pears["heading_path"] == ["Pears"]
    languages = {
        document["external_id"]: document["language"]
        for document in acme.http.get("/api/v1/documents").json()["documents"]
    }
    assert languages["nota.txt"] == "spanish" and languages["report.pdf"] == "english"

    again = send(acme, ("report.pdf", pdf("Lemons on page one", "Limes on page two")))
    assert again["files"][0]["status"] == "unchanged" and again["chunks_added"] == 0


def test_files_of_one_name_do_not_replace_each_other(acme: Tenant) -> None:
    report = send(acme, ("a/x.txt", b"The first unicorn."), ("b/x.txt", b"The second dragon."))
    assert [file["status"] for file in report["files"]] == ["ingested", "failed"]
    assert report["files"][1]["error"]["code"] == "duplicate_external_id"
    assert acme.search("unicorn") and not acme.http.post(
        "/api/v1/search", json={"query": "dragon", "mode": "keyword"}
    ).json()["results"]


def test_lines_that_are_no_documents(acme: Tenant) -> None:
    lines = (
        b'{"external_id": null, "_id": "kb", "text": "Fine."}\n{"_id": {"a": 1}, "text": "x"}\n'
        b'{"_id": "2", "text": "x", "metadata": "y"}\n{"_id": true, "text": "x"}\n'
    )
    report = send(acme, ("l.jsonl", lines))
    assert [(file["file"], (file["error"] or {}).get("code")) for file in report["files"]] == [
        ("l.jsonl#kb", None), ("l.jsonl line 2", "invalid_document"),
        ("l.jsonl line 3", "invalid_document"), ("l.jsonl line 4", "invalid_document"),
    ]  # fmt: skip


def test_what_all_files_are_given(acme: Tenant) -> None:
    report = send(
        acme, ("a.txt", b"Lemons are sour."), language="de", source="mail", visibility="private",
        labels=["fruit", "sour"], metadata=json.dumps({"year": 2025}),
    )  # fmt: skip
    document = acme.http.get(f"{UPLOAD}/{report['files'][0]['document_id']}").json()
    assert document["language"] == "german" and document["source"] == "mail"
    assert document["labels"] == ["fruit", "sour"] and document["metadata"] == {"year": 2025}
    assert document["visibility"] == "private"


def test_a_file_as_a_document(acme: Tenant) -> None:
    original = docx("Pears", "Pears are green.")
    fields = {"title": "About pears", "external_id": "kb-1", "url": "https://e.org/p",
              "keep_original": "true"}  # fmt: skip
    file = {"file": ("pêars 1.docx", original)}
    response = acme.http.post(UPLOAD, files=file, data=fields)
    assert response.status_code == 201, response.text
    stored = response.json()
    assert stored["status"] == "ingested" and stored["chunks"] == 1
    document = acme.http.get(response.headers["Location"]).json()
    assert (document["title"], document["external_id"], document["url"]) == (
        "About pears", "kb-1", "https://e.org/p",
    )  # fmt: skip
    assert acme.http.post(UPLOAD, files=file, data=fields).status_code == 200

    given = acme.http.get(f"{response.headers['Location']}/original")
    assert given.status_code == 200 and given.content == original
    assert given.headers["Content-Type"] == document["mime"]
    assert given.headers["Content-Disposition"] == (
        "attachment; filename*=UTF-8''p%C3%AAars%201.docx"
    )
    assert given.headers["X-Content-Type-Options"] == "nosniff"


def test_originals_are_kept_on_request_only(acme: Tenant, globex: Tenant) -> None:
    file = {"file": ("a.txt", b"Lemons are sour.")}
    [plain] = [acme.http.post(UPLOAD, files=file).json()["document_id"]]
    problem(acme.http.get(f"{UPLOAD}/{plain}/original"), 404, "original_not_found")
    acme.http.post(UPLOAD, files=file, data={"keep_original": "1"})
    assert acme.http.get(f"{UPLOAD}/{plain}/original").content == b"Lemons are sour."
    problem(globex.http.get(f"{UPLOAD}/{plain}/original"), 404, "original_not_found")


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        ("a.pdf", pdf("x", password="tiger"), 422, "encrypted_file"),
        ("a.pdf", b"\x89PNG\r\n\x1a\n" + bytes(9), 415, "mislabelled_file"),
        ("a.exe", b"MZ\0\0", 415, "unsupported_format"),
        ("a.txt", b" ", 422, "empty_file"),
        ("a.pdf", b"%PDF-1.4" + bytes(64_000_000), 413, "file_too_large"),
    ],
)
def test_a_file_that_is_no_document(
    acme: Tenant, name: str, data: bytes, status: int, code: str
) -> None:
    response = acme.http.post(UPLOAD, files={"file": (name, data)})
    problem(response, status, code)


def test_forms_that_are_refused(acme: Tenant, rest: Any) -> None:
    file = {"files": ("a.txt", b"x")}
    problem(acme.http.post(URL, json={}), 415, "unsupported_media_type")
    problem(acme.http.post(URL, data={"source": "x"}), 415, "unsupported_media_type")
    problem(acme.http.post(URL, files={"source": (None, "x")}), 422, "invalid_request")
    problem(acme.http.post(URL, files=file, data={"colour": "red"}), 422, "invalid_request")
    problem(acme.http.post(URL, files=file, data={"metadata": "[]"}), 422, "invalid_request")
    problem(acme.http.post(URL, files=file, data={"keep_original": "x"}), 422, "invalid_request")
    problem(acme.http.post(URL, files=file, data={"source": "x" * 300_000}), 413, "body_too_large")
    nowhere = {"workspace": "nowhere"}
    problem(acme.http.post(URL, files=file, data=nowhere), 404, "workspace_not_found")
    problem(acme.http.post(UPLOAD, files=[("file", b"x"), ("file", b"y")]), 422, "invalid_request")
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    problem(acme.http.post(URL, content=b"nonsense", headers=form), 400, "invalid_form")
    with rest.client() as nobody:
        problem(nobody.post(URL, files=file), 401, "missing_api_key")
    # A body that is announced to be too large is not waited for.
    connection = HTTPConnection(acme.http.base_url.host, acme.http.base_url.port)
    connection.putrequest("POST", URL)
    for name, value in (form | {"X-API-Key": acme.key, "Content-Length": "600000000"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    assert (response.status, json.load(response)["code"]) == (413, "body_too_large")
    connection.close()


def test_a_viewer_may_not_upload(acme: Tenant, operator: Any, rest: Any) -> None:
    operator(acme.slug, "add_member", p_email="v@acme.test", p_role="viewer")
    [created] = operator(acme.slug, "create_api_key", p_name="v", p_email="v@acme.test")
    with rest.client(created["key"]) as viewer:
        problem(viewer.post(URL, files={"files": ("a.txt", b"x")}), 403, "permission_denied")


def test_the_service_answers_while_it_reads(acme: Tenant) -> None:
    rows = b"a,b,c\n" + b"x,y,z\n" * 50_000
    thread = threading.Thread(target=lambda: send(acme, ("large.csv", rows)))
    thread.start()
    served = 0
    while thread.is_alive():
        assert acme.http.get("/health/live").status_code == 200
        served += 1
    thread.join()
    assert served > 3
