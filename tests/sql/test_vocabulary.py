"""Synonyms that somebody agreed on, and corrections read from documents the caller may read."""

from __future__ import annotations

import pytest
from sealing import seal

from ragdb.errors import RagdbError

SECRET = "zanzibarium"


def titles(rows) -> set[str]:
    return {row["title"] for row in rows}


@pytest.fixture
def fleet(acme):
    acme.put("The cluster runs kubernetes and nothing else.", p_title="Cluster")
    acme.put("Employees have thirty days of paid leave.", p_title="Leave")
    acme.put("Backups are kept for a year.", p_title="Backups")
    return acme


def test_a_synonym_is_found_and_counts_less(fleet):
    assert fleet.search("k8s", p_mode="keyword") == []
    fleet.call("put_synonyms", p_word="K8s", p_synonyms=["Kubernetes"], p_weight=0.5)
    [row] = fleet.search("k8s", p_mode="keyword")
    [whole] = fleet.search("kubernetes", p_mode="keyword")
    assert row["title"] == "Cluster"
    assert row["score"] == pytest.approx(whole["score"] * 0.5)
    assert titles(fleet.search("k8s backups", p_mode="hybrid", p_limit=2)) == {"Cluster", "Backups"}
    assert fleet.search("k8s", p_mode="vector") == fleet.search("k8s", p_mode="vector")


def test_phrases_and_directions(fleet):
    fleet.call("put_synonyms", p_word="home office", p_synonyms=["paid leave"], p_both_ways=False)
    assert titles(fleet.search("home office", p_mode="keyword")) == {"Leave"}
    assert fleet.search("office at home", p_mode="keyword") == []
    assert {(s["word"], s["synonym"]) for s in fleet.read("synonyms")} == {
        ("home office", "paid leave")
    }
    fleet.call("put_synonyms", p_word="home office", p_synonyms=["paid leave", "holidays"])
    assert len(fleet.read("synonyms")) == 4
    assert fleet.call("delete_synonyms", p_word="paid leave") == [{"delete_synonyms": 2}]
    assert fleet.call("delete_synonyms", p_word="home office", p_synonyms=["x"]) == [
        {"delete_synonyms": 0}
    ]
    assert {s["word"] for s in fleet.read("synonyms")} == {"home office", "holidays"}


def test_synonyms_belong_to_an_organization_or_a_workspace(fleet, globex):
    fleet.call("create_workspace", p_slug="ops")
    fleet.call("create_workspace", p_slug="hr")
    for workspace in ("ops", "hr"):
        fleet.put("All of it runs on kubernetes.", p_title=workspace, p_workspace=workspace)
    fleet.call("put_synonyms", p_word="k8s", p_synonyms=["kubernetes"], p_workspace="ops")
    assert titles(fleet.search("k8s", p_mode="keyword", p_workspace="ops")) >= {"ops"}
    assert fleet.search("k8s", p_mode="keyword", p_workspace="hr") == []
    globex.put("All of it runs on kubernetes.")
    assert globex.search("k8s", p_mode="keyword") == []
    assert globex.read("synonyms") == []
    with pytest.raises(RagdbError) as error:
        fleet.as_key(
            fleet.member("viewer@acme.test"), "put_synonyms", p_word="a1", p_synonyms=["b1"]
        )
    assert error.value.problem.code == "permission_denied"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"p_word": "the", "p_synonyms": ["kubernetes"]}, "invalid_synonym"),
        ({"p_word": "k8s", "p_synonyms": []}, "invalid_synonym"),
        ({"p_word": "k8s", "p_synonyms": ["K8S "]}, "invalid_synonym"),
        ({"p_word": None, "p_synonyms": ["a1"]}, "invalid_synonym"),
        ({"p_word": "k8s", "p_synonyms": ["x" * 201]}, "invalid_synonym"),
        ({"p_word": "k8s", "p_synonyms": ["a1"], "p_weight": 1}, "invalid_weight"),
        ({"p_word": "k8s", "p_synonyms": ["a1"], "p_weight": float("nan")}, "invalid_weight"),
        ({"p_word": "k8s", "p_synonyms": ["a1"], "p_workspace": "none"}, "workspace_not_found"),
        ({"p_word": "k8s", "p_synonyms": ["a1"], "p_language": "klingon"}, "unknown_language"),
    ],
)
def test_what_is_no_synonym(acme, arguments, code):
    with pytest.raises(RagdbError) as error:
        acme.call("put_synonyms", **arguments)
    assert error.value.problem.code == code
    assert acme.read("synonyms") == []


def suggested(tenant, query: str, key: str | None = None, **arguments: object) -> dict[str, str]:
    rows = tenant.as_key(key or tenant.key, "suggest", p_query=query, read_only=True, **arguments)
    return {row["word"]: row["suggestion"] for row in rows}


def test_a_misspelt_word_is_corrected(fleet):
    assert suggested(fleet, "kuberntees on the clustre") == {
        "kuberntees": "kubernetes", "clustre": "cluster",
    }  # fmt: skip
    assert suggested(fleet, "cluster of employees") == {}, "they are there"
    assert suggested(fleet, "quetzalcoatl") == {}, "nothing is like it"
    assert fleet.call("corrected_query", p_query='"Kuberntees" on -clustre', read_only=True) == [
        {"corrected_query": '"kubernetes" on -cluster'}
    ]
    assert fleet.call("corrected_query", p_query="cluster", read_only=True) == [
        {"corrected_query": None}
    ]
    assert fleet.search("kuberntees", p_mode="keyword") == []
    assert titles(fleet.search("kuberntees", p_mode="keyword", p_correct=True)) == {"Cluster"}
    fleet.call("put_synonyms", p_word="kuberntees", p_synonyms=["cluster"])
    assert suggested(fleet, "kuberntees") == {}, "somebody knows this word"


def test_the_more_frequent_word_is_proposed(acme):
    for n in range(3):
        acme.put(f"The bridge number {n}.")
    acme.put("The bridle is here.")
    assert suggested(acme, "bridhe") == {"bridhe": "bridge"}


def sealed(db, tenant, words: list[str]) -> list[str]:
    """Documents with these words, two of each, sealed and learnt."""
    rows = tenant.put_many(
        [{"external_id": f"{w}{n}", "content": f"Entry {n} on {w}"} for w in words for n in (1, 2)]
    )
    seal(db, tenant.key)
    done = {row["task"]: row["rows"] for row in tenant.call("maintain")}
    assert done["learn words"] >= sum(len(word) + 1 for word in words)
    return [row["document_id"] for row in rows]


def test_no_word_of_a_deleted_document_is_proposed(acme, db):
    """Neither from the tail, nor from segments whose words were learnt, nor from any table."""
    ids = sealed(db, acme, [SECRET, "harbour"])
    assert suggested(acme, "zanzibariun harbuor") == {
        "zanzibariun": SECRET, "harbuor": "harbour",
    }  # fmt: skip
    tail = acme.put("One more entry: quicksilverish.")["document_id"]
    assert suggested(acme, "quicksilverysh") == {"quicksilverysh": "quicksilverish"}

    acme.call("delete_documents", p_document_ids=[*ids[:2], tail])
    for maintained in (False, True):
        assert suggested(acme, "zanzibariun quicksilverysh harbuor") == {"harbuor": "harbour"}
        tables = db.execute(
            "select c.oid::regclass::text from pg_class c"
            " where c.relnamespace in ('ragdb_data'::regnamespace, 'ragdb_private'::regnamespace)"
            "   and c.relkind = 'r'"
        ).fetchall()
        for (table,) in tables:
            (count,) = db.execute(
                f"select count(*) from {table} t where t::text ~ 'zanzibari|quicksilver'".encode()
            ).fetchone()
            assert count == 0, (table, maintained)
        acme.call("maintain")


def test_learnt_words_that_are_no_more_go(acme, db):
    """With the segment that is made anew when a tenth of it is dead."""
    ids = sealed(db, acme, [SECRET, "harbour"])
    count = "select count(*) from ragdb_data.spelling"
    (before,) = db.execute(count).fetchone()
    acme.call("delete_documents", p_document_ids=ids[:2])
    acme.call("maintain")
    (after,) = db.execute(count).fetchone()
    assert before - after == len(SECRET) + 1
    assert suggested(acme, "harbuor") == {"harbuor": "harbour"}


def test_words_one_may_not_read_are_neither_proposed_nor_counted(acme, globex):
    globex.put(f"The {SECRET} of globex.")
    acme.put("Everybody reads this.")
    acme.put(f"The {SECRET} of the administrator.", p_visibility="private")
    acme.call("create_workspace", p_slug="closed", p_is_open=False)
    for n in range(5):
        acme.put(f"The bridle is secret {n}.", p_workspace="closed")
    acme.put("The bridge is known.")
    viewer = acme.member("viewer@acme.test")
    assert suggested(acme, "zanzibariun", viewer) == {}
    assert suggested(acme, "zanzibariun") == {"zanzibariun": SECRET}
    assert suggested(acme, "bridhe", viewer) == {"bridhe": "bridge"}
    assert suggested(acme, "bridhe") == {"bridhe": "bridle"}
    assert suggested(acme, "bridhe", p_workspace="default") == {"bridhe": "bridge"}
