"""Weights of the ranking: set, fitted to judgements and feedback, and never without being asked."""

from __future__ import annotations

import re

import pytest
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError

ANIMALS = re.findall(
    r"\w+",
    "ant bear bison camel cat cow crab crow deer dog dove duck eagle eel elk falcon "
    "ferret fox frog goat goose hare hawk heron horse jackal koala lark lemur lion "
    "lizard llama lynx mole moose moth mouse mule newt otter owl ox panda parrot pig "
    "pigeon pony puma rabbit rat raven robin salmon seal shark sheep shrimp skunk sloth "
    "snail snake spider squid stork swan tiger toad trout turkey turtle viper wasp whale "
    "wolf wombat worm wren yak zebra",
)


@pytest.fixture
def zoo(acme):
    """Two documents an animal: one says its name often, one says the query's phrase once."""
    documents = []
    for animal in ANIMALS:
        often = f"The {animal}. A {animal} and a {animal}: house, {animal}, feeding, {animal} care."
        phrase = f"It was winter. The {animal} house feeding plan is new."
        documents += [
            {"external_id": f"{animal}/often", "content": often},
            {"external_id": f"{animal}/phrase", "content": phrase},
        ]
    acme.put_many(documents)
    return acme


def query(animal: str) -> str:
    return f"{animal} house feeding plan"


def judge(acme, kind: str, animals=ANIMALS) -> None:
    judged = [
        {"query_id": animal, "query": query(animal), "documents": {f"{animal}/{kind}": 1}}
        for animal in animals
    ]
    acme.call("put_judgements", p_dataset="zoo", p_judgements=Jsonb(judged))


def refused(acme, function, **arguments):
    with pytest.raises(RagdbError) as error:
        acme.call(function, **arguments)
    return error.value.problem


def test_weights_hold_where_they_were_set(zoo, globex):
    def parts(**arguments):
        rows = zoo.call("explain_search", p_query=query("owl"), **arguments)[1:]
        top = max(row["lexical"] or 0 for row in rows)
        row = rows[0]
        rest = row["score"] - row["lexical"] / top
        return row, rest

    row, rest = parts()
    assert rest == pytest.approx(row["cosine"] + 0.35 * row["phrase"] + 0.6 * row["sentence"])
    zoo.call("set_ranking_weights", p_vector_weight=0.5, p_phrase_weight=2.0)
    row, rest = parts()
    assert rest == pytest.approx(0.5 * row["cosine"] + 2 * row["phrase"] + 0.6 * row["sentence"])
    zoo.call("set_ranking_weights", p_sentence_weight=0.0, p_workspace="default")
    row, rest = parts()
    assert rest == pytest.approx(0.5 * row["cosine"] + 2 * row["phrase"] + 0.6 * row["sentence"])
    row, rest = parts(p_workspace="default")
    assert rest == pytest.approx(row["cosine"] + 0.35 * row["phrase"])
    assert {w["workspace"]: w["vector_weight"] for w in zoo.read("ranking_weights")} == {
        None: 0.5, "default": 1.0,
    }  # fmt: skip
    assert globex.read("ranking_weights") == []
    zoo.call("set_ranking_weights")
    zoo.call("set_ranking_weights", p_workspace="default")
    assert zoo.read("ranking_weights") == []
    row, rest = parts()
    assert rest == pytest.approx(row["cosine"] + 0.35 * row["phrase"] + 0.6 * row["sentence"])
    assert refused(zoo, "set_ranking_weights", p_vector_weight=11.0).status == 422


def test_judgements_move_the_weights_when_told_to(zoo):
    judge(zoo, "phrase")
    (tuned,) = zoo.call("tune")
    assert tuned["queries"] == len(ANIMALS)
    assert 20 < tuned["held_out"] < len(ANIMALS) - 20
    assert tuned["before"] == [1, 0.35, 0.6]
    assert tuned["difference"] == pytest.approx(tuned["ndcg_after"] - tuned["ndcg_before"])
    assert tuned["difference"] > 0
    assert tuned["ci"][0] <= tuned["difference"] <= tuned["ci"][1]
    assert (tuned["is_applied"], zoo.read("ranking_weights")) == (False, [])

    (applied,) = zoo.call("tune", p_apply=True)
    assert applied["is_applied"]
    (stored,) = zoo.read("ranking_weights")
    assert [stored[f"{name}_weight"] for name in ("vector", "phrase", "sentence")] == [
        tuned[f"{name}_weight"] for name in ("vector", "phrase", "sentence")
    ]
    assert stored["workspace"] == "default"
    assert stored["phrase_weight"] + stored["sentence_weight"] > 0.95
    (again,) = zoo.call("tune")
    assert again["before"] == [tuned["vector_weight"], stored["phrase_weight"],
                               stored["sentence_weight"]]  # fmt: skip


def test_weights_that_serve_stay(zoo):
    judge(zoo, "often")
    (tuned,) = zoo.call("tune", p_dataset="zoo")
    assert tuned["ndcg_before"] == pytest.approx(1)
    assert tuned["before"] == [tuned["vector_weight"], tuned["phrase_weight"],
                               tuned["sentence_weight"]]  # fmt: skip


def test_feedback_serves_as_well(zoo):
    problem = refused(zoo, "tune")
    assert (problem.status, problem.code) == (409, "too_few_judgements")
    assert "put_judgements" in problem.hint
    ids = {row["external_id"]: row["document_id"] for row in zoo.read("documents")}
    viewer = zoo.member("vera@acme.test")
    for animal in ANIMALS[:40]:
        said = {"p_query": query(animal), "p_document_id": ids[f"{animal}/often"]}
        zoo.as_key(viewer, "record_feedback", p_value=1, **said)
    for animal in ANIMALS[:12]:  # somebody else does not think so
        said = {"p_query": query(animal), "p_document_id": ids[f"{animal}/often"]}
        zoo.call("record_feedback", p_value=-1, **said)
    assert refused(zoo, "tune").code == "too_few_judgements"
    judge(zoo, "often", ANIMALS[40:50])
    (tuned,) = zoo.call("tune")
    assert tuned["queries"] == 38
    assert refused(zoo, "tune", p_dataset="zoo").code == "too_few_judgements"


def test_feedback_is_its_authors_until_taken_back(zoo):
    ids = {row["external_id"]: row["document_id"] for row in zoo.read("documents")}
    vera, rita = zoo.member("vera@acme.test"), zoo.member("rita@acme.test")
    owl = {"p_query": query("owl"), "p_document_id": ids["owl/often"]}
    zoo.as_key(vera, "record_feedback", p_value=1, **owl)
    zoo.as_key(vera, "record_feedback", p_value=-1, **owl)
    (row,) = zoo.read("feedback")  # an administrator reads what was said
    assert (row["query"], row["value"], row["email"]) == (query("owl"), -1, "vera@acme.test")
    zoo.as_key(rita, "record_feedback", p_value=0, **owl)
    assert len(zoo.read("feedback")) == 1
    zoo.as_key(vera, "record_feedback", p_value=0, **owl)
    assert zoo.read("feedback") == []
    zoo.as_key(vera, "record_feedback", p_value=1, **owl)
    zoo.call("delete_document", p_document_id=ids["owl/often"])
    assert zoo.read("feedback") == []
    assert refused(zoo, "record_feedback", p_value=1, **owl).code == "document_not_found"


def test_feedback_on_an_answer_is_about_what_it_cites(acme):
    acme.put("API keys rotate every ninety days.", p_title="Keys")
    acme.put("Lunch is served at noon.", p_title="Lunch")
    (answer,) = acme.call("ask_finish", p_question="How often do API keys rotate?")
    assert answer["found"]
    said = acme.call("record_feedback", p_value=1, p_answer_id=answer["answer_id"])
    assert said == [{"record_feedback": 1}]
    (row,) = acme.read("feedback")
    assert (row["query"], row["title"]) == ("How often do API keys rotate?", "Keys")
    for wrong in (
        {"p_value": 2, "p_answer_id": answer["answer_id"]},
        {"p_value": 1, "p_query": "keys"},
        {"p_value": 1, "p_query": " ", "p_document_id": row["document_id"]},
    ):
        assert refused(acme, "record_feedback", **wrong).code == "invalid_feedback"
    nobody = "00000000-0000-0000-0000-000000000000"
    assert refused(acme, "record_feedback", p_value=1, p_answer_id=nobody).code == (
        "answer_not_found"
    )
