"""explain_search() tells why a search returned what it did, and why it did not return the rest."""

from __future__ import annotations

import math

import pytest


@pytest.fixture
def library(acme):
    acme.put("Keys rotate every ninety days. Rotate keys in the vault.", p_title="Keys")
    acme.put("The vault stores secrets.", p_title="Vault", p_labels=["internal"])
    acme.put("Lunch is served at noon.", p_title="Lunch")
    for n in range(5):
        acme.put(f"Menu number {n}: soup, bread and fruit.", p_title=f"Menu {n}")
    return acme


def explain(tenant, query: str, **arguments: object):
    told, *rows = tenant.call("explain_search", p_query=query, read_only=True, **arguments)
    assert told["rank"] is None
    return told["trace"], rows


def test_the_query_in_the_callers_words(library):
    library.call("put_synonyms", p_word="safe", p_synonyms=["vault"])
    trace, _ = explain(library, 'keys safee "vault" -lunch', p_correct=True)
    assert trace["phrases"] == trace["quoted"] == ["vault"]
    assert trace["excluded"] == ["lunch"]
    trace, _ = explain(library, 'the keys of the "vault" +"keys rotate"')
    assert trace["phrases"] == ["keys rotate"]
    assert trace["quoted"] == ["vault", "keys rotate"]
    trace, rows = explain(library, "the keys and the safe")
    words = {word["word"]: word for word in trace["words"]}
    assert list(words) == ["the", "keys", "and", "safe"]
    assert words["the"]["stop_word"]
    assert words["keys"]["chunks"] == 1
    assert words["keys"]["idf"] == pytest.approx(math.log(1 + (8 - 1 + 0.5) / 1.5))
    assert words["safe"]["chunks"] == 0
    assert trace["synonyms"] == [{"word": "safe", "synonym": "vault", "weight": 0.7}]
    assert {row["title"] for row in rows[:2]} == {"Keys", "Vault"}
    trace, _ = explain(library, "keyz in the vualt", p_correct=True)
    assert trace["corrected_query"] == "keys in the vault"


def test_what_each_word_contributes(library):
    library.put("Keys of the piano.", p_title="Rotate the piano")
    _, rows = explain(library, "how do keys rotate in a zoo")
    for row in rows[:3]:
        assert set(row["words"]) == {"keys", "rotate", "zoo"}
        assert sum(row["words"].values()) == pytest.approx(row["lexical"] or 0)
    assert rows[0]["words"]["keys"] > 0
    assert rows[0]["words"]["zoo"] == 0
    lunch = next(row for row in rows if row["title"] == "Lunch")
    assert set(lunch["words"].values()) == {0}
    _, rows = explain(library, "how do keys rotate", p_mode="vector")
    assert {row["words"] for row in rows} == {None}
    [menu] = library.search("menu number 3", p_mode="keyword", p_limit=1)
    _, rows = explain(library, "menu keys", p_limit=2, p_chunk=menu["chunk_id"])
    other = rows[-1]
    assert other["rank"] is None
    assert other["words"]["keys"] == 0
    assert other["words"]["menu"] == pytest.approx(other["lexical"])


def test_features_add_up(library):
    trace, rows = explain(library, "rotate keys", p_boosts={"labels": {"internal": 1}})
    weights = trace["weights"]
    for row in rows:
        base = row["normal_lexical"] + weights["vector"] * row["cosine"]
        assert row["base"] == pytest.approx(base)
        assert row["score"] == pytest.approx(
            row["boost"]
            * (base + weights["phrase"] * row["phrase"] + weights["sentence"] * row["sentence"])
        )
    assert rows[0]["normal_lexical"] == pytest.approx(1)
    assert {row["boost"] for row in rows} == {1, 2}
    assert trace["vector_strategy"] == "exact"
    assert "exact" in trace["vector_reason"]
    trace, _ = explain(library, "rotate keys", p_filters={"label": "internal"})
    assert trace["selectivity"] == pytest.approx(1 / 8)


def test_why_not(library):
    [menu] = library.search("menu number 3", p_mode="keyword", p_limit=1)
    chunk = menu["chunk_id"]

    def reason(query: str, **arguments: object) -> str:
        _, rows = explain(library, query, p_limit=2, **arguments)
        (row,) = [row for row in rows if row["rank"] is None]
        assert row["chunk_id"] == arguments.get("p_chunk", chunk)
        return row["reason"]

    assert "score higher" in reason("rotate keys", p_chunk=chunk)
    assert "score higher" in reason("rotate keys", p_document=menu["document_id"])
    assert "filter" in reason("menu 3", p_chunk=chunk, p_filters={"label": "internal"})
    assert "phrase" in reason("menu 3 -soup", p_chunk=chunk)
    assert "phrase" in reason('menu "number 2"', p_chunk=chunk)
    assert "phrase" in reason('menu +"fruit soup"', p_chunk=chunk)
    assert "score higher" in reason('menu "fruit soup"', p_chunk=chunk)
    assert "no word" in reason("rotate keys", p_chunk=chunk, p_mode="keyword")
    assert "left out" in reason("menu number 3", p_chunk=chunk, p_min_score=100)
    assert "no such chunk" in reason("menu", p_chunk=10**12)
    assert reason("menu number 3", p_chunk=chunk) == "It is a result."
    library.call("create_workspace", p_slug="other")
    assert "workspace" in reason("menu", p_chunk=chunk, p_workspace="other")

    _, rows = explain(library, "rotate keys", p_limit=1, p_chunk=chunk)
    assert rows[-1]["cosine"] is not None
    assert rows[-1]["vector_rank"] > 1


def test_nothing_is_told_of_chunks_one_may_not_read(library):
    private = library.put("The skeleton key is mine.", p_visibility="private")["document_id"]
    [row] = library.search("skeleton", p_mode="keyword")
    viewer = library.member("viewer@acme.test")
    told, *rows = library.as_key(
        viewer, "explain_search", p_query="skeleton key", p_chunk=row["chunk_id"],
        p_document=private, read_only=True,
    )  # fmt: skip
    (asked,) = [row for row in rows if row["rank"] is None]
    assert asked["reason"].startswith("There is no such chunk")
    assert [value for name, value in asked.items() if name not in ("chunk_id", "reason")] == [
        None
    ] * (len(asked) - 2)
    assert {w["word"]: w["chunks"] for w in told["trace"]["words"]} == {"skeleton": 0, "key": 1}
