"""Filters: each operator over each kind of key, any nesting, and no other key."""

from __future__ import annotations

import pytest

from ragdb.errors import RagdbError

DOCUMENTS = [
    {"external_id": "a", "title": "Alpha report", "language": "en", "labels": ["hr", "legal"],
     "date": "2025-01-10",
     "metadata": {"year": 2024, "team": {"name": "Blue"}, "tags": ["x", "y"]}},
    {"external_id": "b", "title": "Beta report", "language": "de", "labels": ["hr"],
     "date": "2025-06-30T22:00:00Z",
     "metadata": {"year": 2025, "team": {"name": "green"}, "final": True}},
    {"external_id": "c", "title": "Gamma memo", "labels": [],
     "metadata": {"year": "2023", "team": None, "note": "z" * 400 + " Needle " + "z" * 50}},
    {"external_id": "d", "title": "Delta memo", "language": "es", "labels": ["ops"],
     "date": "2026-01-01", "metadata": {"year": 1.5e3, "tags": [{"k": "deep"}], "it's": "quoted"}},
]  # fmt: skip


CASES = [
    ({}, "abcde"),
    ({"lang": "en"}, "ace"),
    ({"lang": "english"}, "ace"),
    ({"lang": "klingon"}, ""),
    ({"lang": ["de", "es"]}, "bd"),
    ({"label": "hr"}, "ab"),
    ({"label": {"ne": "hr"}}, "cde"),
    ({"label": {"in": ["legal", "ops"]}}, "ad"),
    ({"label": {"exists": False}}, "ce"),
    ({"label": []}, ""),
    ({"source": "mail"}, "e"),
    ({"document": "b"}, "b"),
    ({"title": {"contains": "MEMO"}}, "cd"),
    ({"title": "Beta report"}, "b"),
    ({"title": {"gte": "D"}}, "cde"),
    ({"date": {"gte": "2025-01-01", "lt": "2025-07-01"}}, "ab"),
    ({"date": {"gt": "2025-06-30T21:59:59Z"}}, "bd"),
    ({"date": "2026-01-01"}, "d"),
    ({"date": {"exists": True}}, "abd"),
    ({"metadata.year": 2024}, "a"),
    ({"metadata.year": {"lte": 2024}}, "acd"),
    ({"metadata.year": {"gt": 1500}}, "abc"),
    ({"metadata.year": "2023"}, "c"),
    ({"metadata.year": {"ne": 2024}}, "bcde"),
    ({"metadata.team.name": "Blue"}, "a"),
    ({"metadata.team.name": {"contains": "EE"}}, "b"),
    ({"metadata.team": {"exists": True}}, ""),
    ({"metadata.final": True}, "b"),
    ({"metadata.final": None}, "acde"),
    ({"metadata.tags": "y"}, "a"),
    ({"metadata.tags.k": "deep"}, "d"),
    ({"metadata.it's": "quoted"}, "d"),
    ({"metadata.note": {"contains": "needle"}}, "c"),
    ({"metadata.nobody": "x"}, ""),
    ({"metadata.nobody": {"exists": False}}, "abcde"),
    ({"not": {"label": "hr"}}, "cde"),
    ({"or": [{"label": "ops"}, {"metadata.year": 2024}]}, "ad"),
    ({"and": [{"label": "hr"}, {"lang": "de"}]}, "b"),
    ({"and": []}, "abcde"),
    ({"or": []}, ""),
    ({"label": "hr", "lang": "en"}, "a"),
    ({"or": [{"not": {"or": [{"label": "hr"}, {"source": "mail"}]}}, {"document": "a"}]}, "acd"),
    ({"title": {"contains": "%"}}, ""),
    ({"label": "' or 1=1 --"}, ""),
]

BAD = [
    ({"colour": "red"}, "unknown_filter_key"),
    ({"metadata": "red"}, "unknown_filter_key"),
    ({"metadata.": "red"}, "unknown_filter_key"),
    ({"or": [{"colour": "red"}]}, "unknown_filter_key"),
    ({"label": {"like": "x"}}, "unknown_filter_operator"),
    ({"label": {"eq": {"a": 1}}}, "invalid_filter"),
    ({"label": {"in": "x"}}, "invalid_filter"),
    ({"label": {"exists": "yes"}}, "invalid_filter"),
    ({"date": "yesterweek"}, "invalid_filter"),
    ({"or": {"label": "x"}}, "invalid_filter"),
    ({"not": ["x"]}, "invalid_filter"),
    ({"and": ["x"]}, "invalid_filter"),
]


def test_filters_choose_documents(acme, subtests):
    acme.put_many(
        [
            {**document, "content": f"Common words of {document['external_id']}."}
            for document in DOCUMENTS
        ],
        p_source="wiki",
    )
    acme.put("Common words of e.", p_external_id="e", p_title="Epsilon", p_source="mail")
    names = {d["document_id"]: d["external_id"] for d in acme.read("documents")}
    for filters, expected in CASES:
        with subtests.test(filters=filters):
            for mode in ("keyword", "vector", "hybrid"):
                rows = acme.search("common words", p_filters=filters, p_mode=mode, p_limit=50)
                assert "".join(sorted(names[row["document_id"]] for row in rows)) == expected, mode


def test_bad_filters_are_refused(acme, subtests):
    for filters, code in BAD:
        with subtests.test(filters=filters):
            with pytest.raises(RagdbError) as error:
                acme.search("x", p_filters=filters)
            assert (error.value.problem.status, error.value.problem.code) == (422, code)
