"""Everything search() takes, over REST: options, explanations, corrections, synonyms, cursors."""

from __future__ import annotations

from typing import Any

import pytest
from rest import Tenant, problem


@pytest.fixture
def library(acme: Tenant) -> Tenant:
    acme.put("Keys rotate every 90 days. The vault keeps old keys.", title="Key policy")
    acme.put("The kubernetes cluster runs everything.", title="Cluster", labels=["ops"])
    acme.put("Lunch is served at noon.", title="Lunch")
    return acme


def titles(hits: list[dict[str, Any]]) -> list[str]:
    return [hit["title"] for hit in hits]


def test_options(library: Tenant) -> None:
    assert titles(library.search('"served at noon"')) == ["Lunch"]
    assert "Lunch" not in titles(library.search("keys -lunch"))
    hits = library.search(
        "keys", queries=["vault"], diversity=0.2, per_document=1, distinct=True, min_score=0.01,
        boosts={"labels": {"ops": 0.5}}, neighbours=1, section=False, correct=False, offset=0,
    )  # fmt: skip
    assert hits[0]["title"] == "Key policy"
    response = library.http.post("/api/v1/search", json={"query": "x", "boosts": {"age": 1}})
    problem(response, 422, "invalid_boosts")


def test_what_was_done_otherwise_than_asked(library: Tenant) -> None:
    def notices(query: str) -> list[str]:
        response = library.http.post("/api/v1/search", json={"query": query})
        assert response.status_code == 200
        return response.json()["notices"]

    [notice] = notices('lunch "served at midnight"')
    assert "phrases" in notice
    assert notices('lunch "served at noon"') == []
    assert notices('When is lunch "served at midnight"?') == []


def test_did_you_mean(library: Tenant) -> None:
    asked = {"query": "kuberntees", "mode": "keyword"}
    found = library.http.post("/api/v1/search", json=asked).json()
    assert (found["count"], found["corrected_query"]) == (0, None)
    found = library.http.post("/api/v1/search", json=asked | {"suggest": True}).json()
    assert (found["count"], found["corrected_query"]) == (0, "kubernetes")
    found = library.http.post("/api/v1/search", json=asked | {"correct": True}).json()
    assert (titles(found["results"]), found["corrected_query"]) == (["Cluster"], "kubernetes")
    suggested = library.http.get("/api/v1/suggest", params={"query": "the kuberntees of vualt"})
    assert suggested.json() == {
        "corrected_query": "the kubernetes of vault",
        "suggestions": [
            {"word": "kuberntees", "suggestion": "kubernetes", "chunks": 1},
            {"word": "vualt", "suggestion": "vault", "chunks": 1},
        ],
    }


def test_synonyms(library: Tenant, globex: Tenant) -> None:
    put = library.http.put(
        "/api/v1/synonyms", json={"word": "k8s", "synonyms": ["kubernetes"], "weight": 0.6}
    )
    assert (put.status_code, put.json()) == (200, {"pairs": 2})
    assert titles(library.search("k8s", mode="keyword")) == ["Cluster"]
    listed = library.http.get("/api/v1/synonyms").json()["synonyms"]
    assert {(pair["word"], pair["synonym"], pair["weight"]) for pair in listed} == {
        ("k8s", "kubernetes", 0.6), ("kubernetes", "k8s", 0.6),
    }  # fmt: skip
    assert globex.http.get("/api/v1/synonyms").json() == {"synonyms": []}
    refused = library.http.put("/api/v1/synonyms", json={"word": "the", "synonyms": ["a"]})
    problem(refused, 422, "invalid_synonym")
    gone = library.http.delete("/api/v1/synonyms", params={"word": "k8s", "synonym": "kubernetes"})
    assert gone.json() == {"pairs": 2}
    assert library.search("k8s", mode="keyword") == []


def test_explanations(library: Tenant) -> None:
    [lunch] = library.search('"lunch"', mode="keyword")
    response = library.http.post(
        "/api/v1/search/explain",
        json={"query": "vault keys", "limit": 1, "chunk": lunch["chunk_id"]},
    )
    assert response.status_code == 200, response.text
    explained = response.json()
    assert [word["word"] for word in explained["trace"]["words"]] == ["vault", "keys"]
    best, other = explained["results"]
    assert best["words"]["keys"] > 0
    assert (best["rank"], best["title"]) == (1, "Key policy")
    assert (other["rank"], other["chunk_id"]) == (None, lunch["chunk_id"])
    assert "score higher" in other["reason"]


def test_a_list_goes_on_where_its_cursor_was_deleted(library: Tenant) -> None:
    page = library.http.get("/api/v1/documents", params={"limit": 1}).json()
    [document] = page["documents"]
    library.http.delete(f"/api/v1/documents/{document['document_id']}")
    rest = library.http.get("/api/v1/documents", params={"limit": 5, "after": page["next"]}).json()
    assert [d["title"] for d in rest["documents"]] == ["Cluster", "Key policy"]
    assert rest["next"] is None
    wrong = library.http.get("/api/v1/documents", params={"after": document["document_id"]})
    problem(wrong, 422, "invalid_cursor")
