"""Search and answers over REST."""

from __future__ import annotations

import pytest
from rest import Tenant

KEYS = "# Keys\n\nKeys rotate every 90 days. The vault keeps the old ones for a year.\n"
LUNCH = "Lunch is served at noon in the garden."


@pytest.fixture
def library(acme: Tenant) -> Tenant:
    acme.put(KEYS, title="Key policy", external_id="keys", mime="text/markdown", labels=["it"])
    acme.put(LUNCH, title="Lunch", external_id="lunch", labels=["food"])
    return acme


def test_the_best_passage_comes_first(library: Tenant) -> None:
    response = library.http.post("/api/v1/search", json={"query": "how often do keys rotate?"})
    assert response.status_code == 200
    found = response.json()
    assert found["count"] == len(found["results"]) == 2
    best = found["results"][0]
    assert (best["rank"], best["title"], best["heading_path"]) == (1, "Key policy", ["Keys"])
    assert "**rotate**" in best["snippet"]
    assert KEYS[best["char_start"] : best["char_end"]] == best["content"]
    assert best["lexical_rank"] == best["vector_rank"] == 1
    assert best["score"] > found["results"][1]["score"]


def test_the_arguments_of_search_are_passed_on(library: Tenant) -> None:
    assert [hit["title"] for hit in library.search("keys", mode="keyword")] == ["Key policy"]
    assert [hit["title"] for hit in library.search("keys", filters={"label": "food"})] == ["Lunch"]
    assert [hit["title"] for hit in library.search("keys", limit=1)] == ["Key policy"]
    assert [hit["title"] for hit in library.search("keys", limit=1, offset=1)] == ["Lunch"]
    assert library.search("keys", workspace="default", language="en", filters=None)


def test_an_answer_quotes_the_document(library: Tenant) -> None:
    answer = library.ask("How often do keys rotate?")
    assert answer["found"] is True
    assert answer["answer"].startswith("Keys rotate every 90 days. [1]")
    assert 0.5 < answer["confidence"] <= 1
    assert (answer["model"], answer["fallback_used"]) == (None, False)
    for citation in answer["citations"]:
        document = library.http.get(f"/api/v1/documents/{citation['document_id']}").json()
        assert document["content"][citation["start"] : citation["end"]] == citation["quote"]
        assert document["title"] == citation["title"]


def test_nothing_relevant_is_said_to_be_nothing(library: Tenant) -> None:
    answer = library.ask("Which dinosaurs lived in Mongolia?")
    assert (answer["found"], answer["citations"]) == (False, [])


def test_feedback_is_recorded_for_results_and_answers(library: Tenant) -> None:
    hit = library.search("how often do keys rotate?")[0]
    said = {"value": 1, "query": "how often do keys rotate?", "document_id": hit["document_id"]}
    response = library.http.post("/api/v1/feedback", json=said)
    assert (response.status_code, response.json()) == (200, {"documents": 1})
    answer = library.ask("How often do keys rotate?")
    disliked = {"value": -1, "answer_id": answer["answer_id"]}
    assert library.http.post("/api/v1/feedback", json=disliked).json() == {"documents": 1}
    for wrong in ({"value": 2, "answer_id": answer["answer_id"]}, {"value": 1}):
        refused = library.http.post("/api/v1/feedback", json=wrong)
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:ragdb:problem:invalid_feedback"
    unknown = said | {"document_id": "00000000-0000-0000-0000-000000000000"}
    assert library.http.post("/api/v1/feedback", json=unknown).status_code == 404


def test_a_member_cannot_read_anothers_private_document(acme: Tenant, member: Tenant) -> None:
    private = acme.put("My salary is 4711.", visibility="private")
    path = f"/api/v1/documents/{private['document_id']}"
    assert member.http.get(path).status_code == 404
    assert member.search("salary") == []
    assert len(acme.search("salary")) == 1
