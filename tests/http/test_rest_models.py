"""Searches of an organization whose queries an embedding model embeds, over REST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest import Tenant

from embedding_server import Models, serving

Operator = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        yield models


@pytest.fixture
def library(acme: Tenant, models: Models, operator: Operator) -> Iterator[Tenant]:
    name = acme.slug.replace("-", "_")
    operator(acme.slug, "register_embedding_model", p_name=name, p_protocol="openai",
             p_url=models.url(), p_model="m", p_dimensions=16)  # fmt: skip
    operator(acme.slug, "use_embedding_model", p_name=name)
    operator(acme.slug, "switch_embedding_model", p_name=name)
    acme.put("Cheese is made of milk.", title="Cheese")
    acme.put("Ships sail to harbours.", title="Ships")
    yield acme
    operator(acme.slug, "switch_embedding_model", p_name=None)


def asked(models: Models) -> list[str]:
    texts = models.texts
    models.requests.clear()
    return texts


def test_queries_are_embedded_by_the_model(library: Tenant, models: Models) -> None:
    assert library.search("cheese of milk")[0]["title"] == "Cheese"
    assert asked(models) == ["cheese of milk"]
    assert library.search("cheese  of milk", limit=1)[0]["title"] == "Cheese"
    assert library.search("milk", mode="keyword")[0]["title"] == "Cheese"
    assert asked(models) == []
    library.search("milk", queries=["dairy", "cheese of milk"])
    assert sorted(asked(models)) == ["dairy", "milk"]
    assert library.ask("What is cheese made of?")["found"]
    assert asked(models) == ["What is cheese made of?"]
    explained = library.http.post("/api/v1/search/explain", json={"query": "harbours"}).json()
    assert asked(models) == ["harbours"]
    assert explained["trace"]["embedding_model"]


@pytest.mark.parametrize("answer", [(500, {}, {}), (429, {}, {}), (200, {}, b"{"), (400, {}, {})])
def test_a_search_never_fails_for_want_of_its_model(
    library: Tenant, models: Models, operator: Operator, answer: Any
) -> None:
    models.before = lambda request: answer
    for number in range(5):
        [first, *_] = library.search(f"ships to harbours {number}")
        assert first["title"] == "Ships" and first["vector_score"] is not None
    # After three failures it is left alone.
    assert len(models.requests) == 3
    operator(library.slug, "retry_embeddings", p_name=library.slug.replace("-", "_"))
    models.before = lambda request: None
    models.requests.clear()
    library.search("ships")
    assert asked(models) == ["ships"]
