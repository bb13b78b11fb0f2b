"""Documents: what is put can be found, a change costs its difference, what is deleted is gone."""

from __future__ import annotations

import threading

import psycopg
import pytest

from ragdb.db import Caller, Database
from ragdb.errors import RagdbError

POLICY = "Keys rotate every ninety days. The vault does it alone."
INDEX_TABLES = ("body", "chunk", "chunk_word", "chunk_vector", "document_fact")


def count(db: psycopg.Connection, table: str) -> int:
    return db.execute(f"select count(*) from ragdb_data.{table}").fetchone()[0]


def chunk_numbers(db: psycopg.Connection) -> set[int]:
    return {row[0] for row in db.execute("select chunk_no from ragdb_data.chunk")}


def test_what_is_put_is_found(acme):
    put = acme.put(POLICY, p_title="Key policy", p_url="https://wiki.test/keys")
    assert (put["status"], put["chunks"]) == ("ingested", 1)
    hit = acme.search("how often do keys rotate")[0]
    assert hit["document_id"] == put["document_id"]
    assert (hit["title"], hit["url"]) == ("Key policy", "https://wiki.test/keys")
    assert "**Keys** **rotate** every" in hit["snippet"]
    assert hit["content"] == POLICY[hit["char_start"] : hit["char_end"]]


def test_document_comes_back_as_it_was_given(acme):
    fields = {
        "title": "Ünïcode 🗝", "external_id": "a/b.md", "url": "https://x.test",
        "mime": "text/markdown", "labels": ["hr", "legal"], "language": "de",
        "metadata": {"a": {"b": [1, None, "x"]}},
        "date": "2025-01-31T12:00:00Z", "content": "# Kopf\r\n\r\nText 🗝 mit Umlauten: äöü.\n",
    }  # fmt: skip
    put = acme.put_many([fields], p_source="wiki")[0]
    document = acme.call("get_document", p_document_id=put["document_id"])[0]
    for key in ("title", "external_id", "url", "mime", "labels", "metadata", "content"):
        assert document[key] == fields[key]
    assert document["language"] == "german"
    assert document["source"] == "wiki"
    assert document["date"].isoformat() == "2025-01-31T12:00:00+00:00"


def test_putting_again_changes_nothing(acme, db):
    first = acme.put(POLICY, p_external_id="k", p_labels=["a"])
    before = chunk_numbers(db)
    again = acme.put(POLICY, p_external_id="k", p_labels=["a"])
    assert again == {**first, "status": "unchanged"}
    assert chunk_numbers(db) == before


def test_new_metadata_costs_no_index_row(acme, db):
    acme.put(POLICY, p_external_id="k", p_metadata={"year": 2024})
    before = chunk_numbers(db)
    put = acme.put(POLICY, p_external_id="k", p_metadata={"year": 2025})
    assert put["status"] == "updated"
    assert chunk_numbers(db) == before
    assert acme.search("keys", p_filters={"metadata.year": 2025})
    assert not acme.search("keys", p_filters={"metadata.year": 2024})


def test_change_touches_only_changed_chunks(acme, db):
    paragraphs = [f"Paragraph {n} is about subject{n} and nothing else at all." for n in range(40)]
    chunking = {"chunker": "recursive", "size": 60, "overlap": 0, "unit": "characters"}
    acme.put("\n\n".join(paragraphs), p_external_id="k", p_chunking=chunking)
    before = chunk_numbers(db)
    paragraphs[20] = "Paragraph 20 speaks of walruses now and of little else."
    paragraphs.insert(3, "A new paragraph that moves all that follow it along.")
    put = acme.put("\n\n".join(paragraphs), p_external_id="k", p_chunking=chunking)
    after = chunk_numbers(db)
    assert put["status"] == "updated"
    assert put["chunks"] == len(after) == 41
    assert len(after - before) == 2
    assert len(before - after) == 1
    text = "\n\n".join(paragraphs)
    for chunk in acme.read("chunks"):
        assert chunk["content"] == text[chunk["char_start"] : chunk["char_end"]]
    assert acme.search("walruses", p_mode="keyword")
    assert not acme.search("subject20", p_mode="keyword")


def test_new_title_is_searchable_and_old_is_not(acme):
    acme.put(POLICY, p_external_id="k", p_title="Zebra")
    acme.put(POLICY, p_external_id="k", p_title="Walrus")
    assert acme.search("walrus", p_mode="keyword")
    assert not acme.search("zebra", p_mode="keyword")


def test_same_text_is_stored_once_and_outlives_one_reference(acme, db):
    first = acme.put(POLICY, p_external_id="a", p_title="A")
    second = acme.put(POLICY, p_external_id="b", p_title="B")
    assert second["status"] == "duplicate"
    assert count(db, "body") == count(db, "chunk") == 1
    assert len(acme.search("rotate")) == 1
    acme.call("delete_document", p_document_id=first["document_id"])
    assert [hit["document_id"] for hit in acme.search("rotate")] == [second["document_id"]]
    acme.call("delete_document", p_document_id=second["document_id"])
    assert not acme.search("rotate")


def test_changing_a_copy_leaves_the_other(acme):
    acme.put(POLICY, p_external_id="a")
    acme.put(POLICY, p_external_id="b")
    assert acme.put("Walruses eat clams.", p_external_id="b")["status"] == "updated"
    assert acme.search("vault", p_mode="keyword")
    assert acme.search("walruses", p_mode="keyword")
    assert acme.put(POLICY, p_external_id="b")["status"] == "updated"
    assert not acme.search("walruses", p_mode="keyword")


def test_copies_within_a_batch(acme):
    rows = acme.put_many(
        [{"external_id": "a", "content": POLICY}, {"external_id": "b", "content": POLICY}]
    )
    assert [row["status"] for row in rows] == ["ingested", "duplicate"]


def test_deleted_document_leaves_nothing(acme, db):
    keep = acme.put("Walruses eat clams.", p_external_id="keep")
    gone = acme.put(POLICY, p_external_id="gone", p_metadata={"secret": "tungsten"})
    acme.call("ask_finish", p_question="How often do keys rotate?")
    acme.call("delete_document", p_document_id=gone["document_id"])
    for query, mode in (("rotate", "keyword"), ("rotate", "vector"), ("vault keys", "hybrid")):
        assert gone["document_id"] not in {
            h["document_id"] for h in acme.search(query, p_mode=mode)
        }
    assert not acme.search("rotate", p_mode="keyword")
    for table in INDEX_TABLES:
        rows = db.execute(f"select to_jsonb(t)::text from ragdb_data.{table} t").fetchall()
        assert not any("rotate" in row[0] or "tungsten" in row[0] for row in rows), table
    assert not acme.read("answers")
    assert [d["document_id"] for d in acme.read("documents")] == [keep["document_id"]]
    with pytest.raises(RagdbError) as error:
        acme.call("get_document", p_document_id=gone["document_id"])
    assert error.value.problem.code == "document_not_found"


def test_deleted_chunks_count_in_no_statistic(acme):
    acme.put("Walruses eat clams.", p_external_id="keep")
    before = acme.search("walruses clams", p_mode="keyword")[0]["score"]
    others = acme.put_many(
        [{"external_id": str(n), "content": f"Walruses and clams, report {n}."} for n in range(9)]
    )
    assert acme.search("walruses clams", p_mode="keyword")[0]["score"] != before
    acme.call("delete_documents", p_document_ids=[row["document_id"] for row in others])
    assert acme.search("walruses clams", p_mode="keyword")[0]["score"] == before
    assert acme.call("maintain")[0]["rows"] > 0
    assert acme.search("walruses clams", p_mode="keyword")[0]["score"] == before


def test_a_faulty_document_fails_alone(acme):
    rows = acme.put_many(
        [
            {"external_id": "good", "content": POLICY},
            {"external_id": "blank", "content": " \n\t"},
            {"external_id": "number", "content": 7},
            {"external_id": "extra", "content": "x", "colour": "red"},
            {"external_id": "tongue", "content": "x", "language": "klingon"},
            {"external_id": "meta", "content": "x", "metadata": [1]},
            {"external_id": "when", "content": "x", "date": "yesterweek"},
            "not an object",
            {"external_id": "twice", "content": "first"},
            {"external_id": "twice", "content": "second"},
        ]
    )
    assert [row["error"] for row in rows] == [
        None, "empty_content", "invalid_document", "invalid_document", "unknown_language",
        "invalid_document", "invalid_document", "invalid_document", "duplicate_external_id", None,
    ]  # fmt: skip
    assert "colour" in rows[3]["message"]
    assert [row["status"] for row in rows if row["error"]] == ["failed"] * 8
    assert {d["external_id"] for d in acme.read("documents")} == {"good", "twice"}
    assert acme.search("second", p_mode="keyword")


def test_one_faulty_document_raises_its_problem(acme):
    with pytest.raises(RagdbError) as error:
        acme.put("   ")
    assert (error.value.problem.status, error.value.problem.code) == (422, "empty_content")


def test_unknown_workspace_and_visibility(acme):
    for arguments, code in (
        ({"p_workspace": "nowhere"}, "workspace_not_found"),
        ({"p_visibility": "public"}, "unknown_visibility"),
        ({"p_chunking": {"chunker": "recursive", "sise": 3}}, "invalid_chunk_profile"),
    ):
        with pytest.raises(RagdbError) as error:
            acme.put(POLICY, **arguments)
        assert error.value.problem.code == code


def test_same_external_id_in_two_sources(acme):
    acme.put("Walruses eat clams.", p_external_id="k", p_source="one")
    acme.put("Zebras eat grass.", p_external_id="k", p_source="two")
    assert {s["name"]: s["documents"] for s in acme.read("sources")} == {"one": 1, "two": 1}
    assert len(acme.read("documents")) == 2


def test_listing_pages_through_everything_once(acme):
    acme.put_many([{"external_id": str(n), "content": f"Text {n}"} for n in range(7)])
    seen, after = [], None
    while page := acme.call("list_documents", p_limit=3, p_after=after):
        seen += [row["external_id"] for row in page]
        after = page[-1]["cursor"]
    assert seen == [str(n) for n in reversed(range(7))]


def test_long_text(acme):
    text = "\n\n".join(f"Section {n}. " + "The quick brown fox jumps. " * 40 for n in range(9000))
    assert len(text) > 9_500_000
    text = text.replace("Section 4321.", "Section 4321 holds the xylophone.")
    put = acme.put(text, p_external_id="big")
    assert put["chunks"] > 4000
    hit = acme.search("xylophone", p_mode="keyword")[0]
    assert "xylophone" in hit["content"]
    assert text[hit["char_start"] : hit["char_end"]] == hit["content"]


def test_concurrent_writers_of_one_document(acme, database):
    """The same external id and the same texts from four connections: one document, whole."""
    failures: list[Exception] = []

    def write() -> None:
        try:
            with Database.connect(database.url) as service:
                for n in range(15):
                    service.call(
                        Caller(api_key=acme.key), "put_document",
                        p_content=f"Common text {n % 3} about walruses.", p_external_id="k",
                    )  # fmt: skip
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(acme.read("documents")) == 1
    assert len(acme.read("chunks")) == 1
    assert len(acme.search("walruses", p_mode="keyword")) == 1


def test_chunk_written_any_other_way_is_indexed(acme, db):
    acme.put(POLICY, p_external_id="k")
    db.execute(
        "insert into ragdb_data.chunk"
        " (org_no, body_no, scope_no, ordinal, char_start, char_end, hash, content)"
        " select org_no, body_no, scope_no, 1, 0, 5, '', 'Walruses eat clams.' from ragdb_data.body"
    )
    for mode in ("keyword", "vector", "hybrid"):
        assert "Walruses" in acme.search("walruses", p_mode=mode)[0]["content"]


def test_two_documents_change_to_the_same_text(acme):
    acme.put_many([{"external_id": x, "content": f"Text {x} about zebras."} for x in "ab"])
    rows = acme.put_many([{"external_id": x, "content": "Walruses eat clams."} for x in "ab"])
    assert [row["status"] for row in rows] == ["updated", "updated"]
    assert len(acme.search("walruses", p_mode="keyword")) == 1
    assert not acme.search("zebras", p_mode="keyword")


def test_two_documents_swap_their_texts(acme):
    acme.put_many(
        [{"external_id": x, "title": x, "content": f"About {y}."} for x, y in ("ax", "by")]
    )
    acme.put_many(
        [{"external_id": x, "title": x, "content": f"About {y}."} for x, y in ("ay", "bx")]
    )
    for title, content in (("a", "About y."), ("b", "About x.")):
        document = next(d for d in acme.read("documents") if d["title"] == title)
        assert (
            acme.call("get_document", p_document_id=document["document_id"])[0]["content"]
            == content
        )
