"""Measuring search: metrics as trec_eval has them, BM25 as others have it, runs that compare."""

from __future__ import annotations

import random
import statistics

import bm25s
import pytest
import pytrec_eval
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError

WORDS = [f"{a}{b}" for a in "bdfgklmnprtvz" for b in ("ako", "elu", "iro", "oma", "usi", "yta")]
ONE_PIECE = {"chunker": "recursive", "size": 100_000, "overlap": 0, "unit": "characters"}


def corpus(generator: random.Random, documents: int) -> dict[str, str]:
    """Texts of all lengths whose words are as unevenly common as those of a language."""
    weights = [1 / (rank + 1) for rank in range(len(WORDS))]
    return {
        f"d{number}": " ".join(generator.choices(WORDS, weights, k=generator.randint(3, 120)))
        for number in range(documents)
    }


def put(organization, texts, **arguments) -> None:
    organization.put_many(
        [
            {"external_id": name, "content": text, "chunking": ONE_PIECE}
            for name, text in texts.items()
        ],
        **arguments,
    )


def judge(organization, judged, dataset="set", **arguments):
    """judged: query text to {external id: grade}; the text is the id as well."""
    return organization.call(
        "put_judgements",
        p_dataset=dataset,
        p_judgements=Jsonb(
            [
                {"query_id": query, "query": query, "documents": documents}
                for query, documents in judged.items()
            ]
        ),
        **arguments,
    )[0]


def evaluate(organization, dataset="set", **config):
    rows = organization.call("evaluate", p_dataset=dataset, p_config=config)
    return {row["mode"]: row for row in rows}


def refused(organization, function, **arguments) -> str:
    with pytest.raises(RagdbError) as error:
        organization.call(function, **arguments)
    return error.value.problem.code


@pytest.mark.parametrize("seed", range(20))
def test_metrics_are_those_of_trec_eval(db, seed):
    """Random rankings of graded documents, tied scores in its order, and one that found nothing."""
    generator = random.Random(seed)
    names = [f"d{number}" for number in range(150)]
    judged, found = {}, {}
    for query in range(12):
        chosen = generator.sample(names, generator.randint(1, 40))
        judged[f"q{query}"] = {name: generator.choice((0, 0, 1, 2, 3)) for name in chosen}
        judged[f"q{query}"][chosen[0]] = 1
        found[f"q{query}"] = {
            name: float(generator.randint(1, 12))
            for name in generator.sample(names, generator.choice((1, 7, 40, 100)))
        }
    del found["q0"]
    measures = {"ndcg_cut_10", "recall_10", "recall_100", "recip_rank", "map"}
    expected = pytrec_eval.RelevanceEvaluator(judged, measures).evaluate(found)
    expected["q0"] = dict.fromkeys(measures, 0.0)
    for query, documents in judged.items():
        scores = found.get(query, {})
        # trec_eval orders ties by name, the greatest first.
        ranking = sorted(scores, key=lambda name: (scores[name], name), reverse=True)
        row = db.execute(
            "select * from ragdb_data._ranking_metrics(%s, %s, %s::int2[])",
            (ranking, list(documents), list(documents.values())),
        ).fetchone()
        ours = dict(
            zip(("ndcg_cut_10", "recall_10", "recall_100", "recip_rank", "map"), row, strict=True)
        )
        assert ours == pytest.approx(expected[query], abs=1e-9)


def test_intervals_are_the_bootstrap_and_the_same_each_time(db):
    generator = random.Random(3)
    values = [generator.random() ** 2 for _ in range(400)]
    query = "select ragdb_data._interval(%s)"
    low, high = db.execute(query, (values,)).fetchone()[0]
    assert [low, high] == db.execute(query, (values,)).fetchone()[0]
    error = statistics.stdev(values) / 20
    mean = statistics.mean(values)
    assert [low, high] == pytest.approx([mean - 1.96 * error, mean + 1.96 * error], abs=error / 4)
    assert db.execute(query, ([0.5] * 30,)).fetchone()[0] == [0.5, 0.5]


def test_keyword_mode_is_bm25_as_others_have_it(acme):
    """Against bm25s in Lucene's form, over texts without titles; the same k1 and b."""
    generator = random.Random(11)
    texts = corpus(generator, 300)
    put(acme, texts)
    index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    index.index(bm25s.tokenize(list(texts.values()), stopwords=[], show_progress=False),
                show_progress=False)  # fmt: skip
    names = list(texts)
    judged, theirs = {}, {}
    for _ in range(40):
        query = " ".join(generator.sample(WORDS, 4))
        tokens = bm25s.tokenize([query], stopwords=[], show_progress=False)
        ids, scores = index.retrieve(tokens, k=100, show_progress=False)
        ranked = {names[i]: float(s) for i, s in zip(ids[0], scores[0], strict=True) if s > 0}
        ours = acme.search(query, p_mode="keyword", p_limit=10, p_language="simple")
        assert [row["score"] for row in ours] == pytest.approx(
            # Lucene leaves out the factor k1 + 1, which changes no order.
            [2.2 * score for score in sorted(ranked.values(), reverse=True)[:10]],
            rel=1e-4,
        )
        judged[query] = {name: generator.randint(0, 2) for name in generator.sample(names, 8)}
        judged[query][names[ids[0][2]]] = 1
        theirs[query] = ranked
    judge(acme, judged)
    measured = evaluate(acme, modes=["keyword"], language="simple")["keyword"]
    reference = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut_10"}).evaluate(theirs)
    mean = statistics.mean(result["ndcg_cut_10"] for result in reference.values())
    assert measured["queries"] == 40
    assert measured["ndcg_10"] == pytest.approx(mean, abs=0.01)


@pytest.fixture
def measured(acme):
    """Judgements that search answers well, of which every second is wrong."""
    texts = corpus(random.Random(5), 120)
    put(acme, texts)
    judged = {}
    for number, (name, text) in enumerate(texts.items()):
        query = " ".join(text.split()[:3]) + f" {number}"
        judged[query] = {name if number % 2 else "d0": 1, "none": 0}
    judge(acme, judged)
    return acme


def test_a_run_says_how_good_each_mode_is(measured):
    found = evaluate(measured)
    assert found.keys() == {"keyword", "vector", "hybrid"}
    keyword = found["keyword"]
    assert keyword["queries"] == 120
    assert 0.1 < keyword["ndcg_10"] < 0.9
    assert keyword["over_keyword"] is None
    for row in found.values():
        for name, column in (("ndcg@10", "ndcg_10"), ("recall@100", "recall_100"), ("mrr", "mrr")):
            low, high = row["ci"][name]
            assert low <= row[column] <= high
    gain = found["hybrid"]["over_keyword"]["ndcg@10"]
    assert gain["difference"] == pytest.approx(found["hybrid"]["ndcg_10"] - keyword["ndcg_10"])
    assert gain["ci"][0] <= gain["difference"] <= gain["ci"][1]
    stored = {row["mode"]: row for row in measured.read("evaluations")}
    assert stored["hybrid"]["ndcg_10"] == found["hybrid"]["ndcg_10"]
    assert {row["run_id"] for row in stored.values()} == {keyword["run_id"]}


def test_configurations_and_stored_runs_are_compared(measured):
    before = evaluate(measured, modes=["hybrid"])["hybrid"]
    same = evaluate(measured, modes=["hybrid"], compare="last")["hybrid"]["compared"]
    assert same["run_id"] == str(before["run_id"])
    assert same["ndcg@10"] == {"difference": 0, "ci": [0, 0]}
    config = {"vector_weight": 0, "phrase_weight": 0, "sentence_weight": 0}
    words = evaluate(measured, modes=["keyword", "hybrid"], **config)
    assert words["hybrid"]["over_keyword"]["mrr"]["difference"] == pytest.approx(0, abs=0.01)
    run = str(words["hybrid"]["run_id"])
    again = evaluate(measured, modes=["hybrid"], compare=run)["hybrid"]
    assert again["compared"]["ndcg@10"]["difference"] == pytest.approx(
        before["ndcg_10"] - words["hybrid"]["ndcg_10"]
    )


def test_a_part_of_the_queries_is_always_the_same_part(measured):
    first = evaluate(measured, modes=["keyword"], half="first")["keyword"]
    second = evaluate(measured, modes=["keyword"], half="second")["keyword"]
    assert first["queries"] + second["queries"] == 120
    assert abs(first["queries"] - 60) < 25
    few = [evaluate(measured, modes=["keyword"], queries=9)["keyword"] for _ in range(2)]
    assert few[0]["queries"] == 9
    assert few[0]["ndcg_10"] == few[1]["ndcg_10"]


def test_what_the_organization_shares_can_be_left_out(acme):
    put(acme, {"own": "Lemons grow on trees."})
    put(acme, {"shared": "Lemons, lemons, lemons!"}, p_visibility="organization")
    judge(acme, {"lemons": {"own": 1}})
    assert evaluate(acme, modes=["keyword"])["keyword"]["mrr"] == 0.5
    assert evaluate(acme, modes=["keyword"], shared=False)["keyword"]["mrr"] == 1


def test_a_text_that_two_documents_share_counts_for_both(acme):
    put(acme, {"one": "Lemons grow on trees.", "two": "Lemons grow on trees.", "x": "Ferries."})
    judge(acme, {"lemons": {"one": 1, "two": 1}})
    found = evaluate(acme, modes=["keyword"])["keyword"]
    assert (found["ndcg_10"], found["map"]) == (1, 1)


def test_judgements_are_replaced_and_deleted(acme, globex):
    assert judge(acme, {"a": {"x": 1, "y": 0}, "b": {"x": 2}}) == {"queries": 2, "judgements": 3}
    assert judge(acme, {"a": {"z": 3}, "b": {}}) == {"queries": 1, "judgements": 1}
    (row,) = acme.read("judgements")
    assert (row["workspace"], row["dataset"], row["query_id"]) == ("default", "set", "a")
    assert (row["external_id"], row["grade"]) == ("z", 3)
    assert globex.read("judgements") == []
    assert refused(globex, "evaluate", p_dataset="set") == "judgements_not_found"
    for wrong in ({}, [1], [{"query_id": "1"}], [{"query_id": 1, "query": "x", "documents": {}}],
                  [{"query_id": "1", "query": "x", "documents": {"d": "1"}}]):  # fmt: skip
        assert refused(acme, "put_judgements", p_dataset="set", p_judgements=Jsonb(wrong)) == (
            "invalid_judgements"
        )
    judge(acme, {"a": {"z": 0}})
    assert refused(acme, "evaluate", p_dataset="set") == "judgements_not_found"


def test_a_wrong_configuration_is_refused(measured):
    for wrong in (
        {"mode": "hybrid"}, {"modes": []}, {"modes": ["fuzzy"]}, {"queries": 0}, {"half": "third"},
        {"queries": "many"}, {"phrase_weight": -1}, {"phrase_weight": "1"}, {"shared": "no"},
    ):  # fmt: skip
        assert refused(measured, "evaluate", p_dataset="set", p_config=wrong) == (
            "invalid_configuration"
        )
    for run in ("last", "00000000-0000-0000-0000-000000000000"):
        assert refused(measured, "evaluate", p_dataset="set", p_config={"compare": run}) == (
            "run_not_found"
        )


def test_runs_belong_to_whoever_made_them(measured):
    evaluate(measured, modes=["keyword"])
    viewer = measured.member("vera@acme.test")
    assert measured.as_key(viewer, "evaluate", p_dataset="set", p_config={"modes": ["keyword"]})
    with pytest.raises(RagdbError) as error:
        measured.as_key(viewer, "put_judgements", p_dataset="x", p_judgements=Jsonb([]))
    assert error.value.problem.code == "permission_denied"
    assert len(measured.read("evaluations")) == 1


def test_a_workspace_goes_with_everything_in_it(acme, db):
    acme.call("create_workspace", p_slug="trial", p_is_open=False)
    put(acme, corpus(random.Random(1), 30), p_workspace="trial")
    put(acme, {"kept": "Lemons grow on trees."})
    put(acme, {"mine": "My own note."}, p_workspace="trial", p_visibility="private")
    judge(acme, {"lemons": {"d1": 1}}, p_workspace="trial")
    acme.call("set_ranking_weights", p_vector_weight=2.0, p_workspace="trial")
    acme.call("maintain")
    assert acme.call("delete_workspace", p_workspace="trial")[0]["delete_workspace"] == 31
    assert [row["slug"] for row in acme.read("workspaces")] == ["default"]
    assert [row["external_id"] for row in acme.read("documents")] == ["kept"]
    for table in ("chunk", "chunk_vector", "chunk_word", "body"):
        assert db.execute(f"select count(*) from ragdb_data.{table}").fetchone()[0] == 1, table
    for table in ("judged_query", "ranking_weight", "dead_chunk"):
        assert db.execute(f"select count(*) from ragdb_data.{table}").fetchone()[0] == 0, table
    assert acme.search("lemons")[0]["title"] == "kept"
    assert refused(acme, "delete_workspace", p_workspace="trial") == "workspace_not_found"
    assert refused(acme, "delete_workspace", p_workspace="default") == "workspace_needed"
