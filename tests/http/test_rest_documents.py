"""Documents over REST: in, changed, listed, and gone."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from rest import Tenant, problem

GATE = "The gate opens at nine. It closes at five."


def test_a_new_document_is_created_and_readable(acme: Tenant) -> None:
    response = acme.http.post(
        "/api/v1/documents",
        json={
            "content": GATE, "title": "Gate", "external_id": "gate", "url": "https://acme.test/gate",
            "labels": ["hours"], "metadata": {"year": 2025}, "language": "en", "date": "2025-01-31",
            "mime": "text/markdown", "source": "handbook", "visibility": "organization",
        },
    )  # fmt: skip
    assert response.status_code == 201
    stored = response.json()
    assert stored == {"document_id": stored["document_id"], "status": "ingested", "chunks": 1}
    assert response.headers["Location"] == f"/api/v1/documents/{UUID(stored['document_id'])}"

    document = acme.http.get(response.headers["Location"]).json()
    assert document.pop("created_at") == document.pop("updated_at")
    assert document == {
        "document_id": stored["document_id"], "external_id": "gate", "title": "Gate",
        "url": "https://acme.test/gate", "mime": "text/markdown", "source": "handbook",
        "workspace": "default", "visibility": "organization", "labels": ["hours"],
        "metadata": {"year": 2025}, "language": "english", "date": "2025-01-31T00:00:00Z",
        "chunks": 1, "content": GATE,
    }  # fmt: skip


def test_the_status_says_what_a_put_did(acme: Tenant) -> None:
    def put(content: str, external_id: str) -> tuple[int, str]:
        body = {"content": content, "external_id": external_id}
        response = acme.http.post("/api/v1/documents", json=body)
        return response.status_code, response.json()["status"]

    assert put(GATE, "one") == (201, "ingested")
    assert put(GATE, "one") == (200, "unchanged")
    assert put(GATE, "two") == (200, "duplicate")
    assert put("The gate is closed.", "one") == (200, "updated")


def test_replacing_keeps_the_document_and_changes_what_is_found(acme: Tenant) -> None:
    stored = acme.put(
        GATE, title="Gate", external_id="gate", source="handbook", labels=["hours"],
        visibility="private",
    )  # fmt: skip
    path = f"/api/v1/documents/{stored['document_id']}"
    response = acme.http.put(path, json={"content": "The drawbridge is raised.", "title": "Bridge"})
    assert (response.status_code, response.json()) == (200, stored | {"status": "updated"})

    document = acme.http.get(path).json()
    assert document["content"] == "The drawbridge is raised."
    assert document["labels"] == []
    assert {name: document[name] for name in ("external_id", "source", "visibility", "title")} == {
        "external_id": "gate", "source": "handbook", "visibility": "private", "title": "Bridge",
    }  # fmt: skip
    assert [hit["document_id"] for hit in acme.search("drawbridge", mode="keyword")] == [
        stored["document_id"]
    ]
    assert acme.search("gate", mode="keyword") == []
    problem(acme.http.put(path, json={"content": "x", "source": "y"}), 422, "invalid_request")


def test_a_deleted_document_is_gone(acme: Tenant) -> None:
    path = f"/api/v1/documents/{acme.put(GATE)['document_id']}"
    response = acme.http.delete(path)
    assert (response.status_code, response.content) == (204, b"")
    problem(acme.http.get(path), 404, "document_not_found")
    problem(acme.http.delete(path), 404, "document_not_found")
    problem(acme.http.put(path, json={"content": GATE}), 404, "document_not_found")
    assert acme.search("gate") == []


def test_a_batch_reports_each_document(acme: Tenant) -> None:
    response = acme.http.post(
        "/api/v1/documents/batch",
        json={
            "source": "handbook",
            "documents": [
                {"content": GATE, "external_id": "gate", "title": "Gate"},
                {"content": GATE, "external_id": "copy"},
                {"content": 5},
                {"content": " "},
                {"content": GATE, "colour": "red"},
            ],
        },
    )
    assert response.status_code == 200
    documents = response.json()["documents"]
    assert [(d["ordinal"], d["status"], d["error"]) for d in documents] == [
        (1, "ingested", None),
        (2, "duplicate", None),
        (3, "failed", "invalid_document"),
        (4, "failed", "empty_content"),
        (5, "failed", "invalid_document"),
    ]
    assert documents[0]["document_id"] != documents[1]["document_id"]
    assert "colour" in documents[4]["message"]
    assert {hit["title"] for hit in acme.search("gate")} == {"Gate"}


def test_pages_hold_every_document_once(acme: Tenant) -> None:
    put = [acme.put(f"Rule {number} of the house.")["document_id"] for number in range(5)]
    acme.put("Elsewhere.", source="other")
    seen: list[str] = []
    parameters: dict[str, str] = {"limit": "2", "source": "default"}
    while True:
        page = acme.http.get("/api/v1/documents", params=parameters).json()
        seen += [document["document_id"] for document in page["documents"]]
        if page["next"] is None:
            break
        parameters["after"] = page["next"]
    assert seen == put[::-1]
    assert len(acme.http.get("/api/v1/documents").json()["documents"]) == 6

    problem(acme.http.get("/api/v1/documents?limit=0"), 422, "invalid_limit")
    problem(acme.http.get("/api/v1/documents?limit=99999999999"), 422, "invalid_request")
    problem(acme.http.get(f"/api/v1/documents?after={uuid4()}"), 422, "invalid_cursor")


def test_a_document_the_caller_has_is_not_sent_again(acme: Tenant) -> None:
    path = f"/api/v1/documents/{acme.put(GATE, external_id='gate')['document_id']}"
    etag = acme.http.get(path).headers["ETag"]

    def known(tags: str) -> httpx.Response:
        return acme.http.get(path, headers={"If-None-Match": tags})

    for tags in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = known(tags)
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == etag
    assert known('"other"').status_code == 200

    acme.put("The gate is closed.", external_id="gate")
    assert known(etag).status_code == 200
    assert known(etag).headers["ETag"] != etag


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_malformed_id_is_named(acme: Tenant, method: str) -> None:
    body = {"content": GATE} if method == "PUT" else None
    response = acme.http.request(method, "/api/v1/documents/17", json=body)
    found = problem(response, 422, "invalid_request")
    assert found["errors"] == [{"field": "document_id", "message": "Invalid UUID"}]


def test_two_organizations_share_nothing(acme: Tenant, globex: Tenant) -> None:
    secret = acme.put("The vault code is 4711.", title="Vault", external_id="vault")
    path = f"/api/v1/documents/{secret['document_id']}"

    problem(globex.http.get(path), 404, "document_not_found")
    problem(globex.http.put(path, json={"content": "Mine."}), 404, "document_not_found")
    problem(globex.http.delete(path), 404, "document_not_found")
    [listed] = acme.http.get("/api/v1/documents").json()["documents"]
    after = globex.http.get("/api/v1/documents", params={"after": listed["cursor"]})
    assert after.json() == {"documents": [], "next": None}
    assert globex.http.get("/api/v1/documents").json() == {"documents": [], "next": None}
    assert globex.search("vault code") == []
    assert not globex.ask("What is the vault code?")["found"]

    # The same text and the same external id are a document of their own.
    own = globex.put("The vault code is 4711.", title="Vault", external_id="vault")
    assert own["status"] == "ingested"
    assert own["document_id"] != secret["document_id"]
    assert [hit["document_id"] for hit in globex.search("vault code")] == [own["document_id"]]
    assert [hit["document_id"] for hit in acme.search("vault code")] == [secret["document_id"]]
    [citation] = globex.ask("What is the vault code?")["citations"]
    assert citation["document_id"] == own["document_id"]


def test_chunks_go_out_and_come_in(acme: Tenant, globex: Tenant) -> None:
    for number in range(5):
        acme.http.post("/api/v1/documents", json={"content": f"Ship {number} sails."})
    records: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        response = acme.http.get("/api/v1/chunks", params={"limit": 2, "after": after}).json()
        records, after = records + response["records"], response["next"]
    assert sorted(record["content"] for record in records) == [
        f"Ship {number} sails." for number in range(5)
    ]
    assert len(records[0]["embedding"]) == 256
    sent = {"records": [*records, {"id": "x"}], "source": "fleet"}
    done = globex.http.post("/api/v1/chunks", json=sent).json()["documents"]
    assert [row["status"] for row in done] == ["ingested"] * 5 + ["failed"]
    assert globex.search("ship 3")[0]["content"] == "Ship 3 sails."
    problem(globex.http.get("/api/v1/chunks", params={"limit": 0}), 422, "invalid_limit")
    problem(globex.http.get("/api/v1/chunks", params={"after": -1}), 422, "invalid_request")
    problem(globex.http.post("/api/v1/chunks", json={"records": 7}), 422, "invalid_request")
