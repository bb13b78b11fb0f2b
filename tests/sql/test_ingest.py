"""Ingestion at speed: batches, several writers, small changes, and an index built afterwards."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ragdb.db import Caller, Database
from ragdb.errors import RagdbError
from ragdb.vector_index import make_way, rebuild

# What texts are made of, and what looks like a letter, a space or a point and is treated otherwise.
ORDINARY = "abcdefgXYZ0123456789      ,.-_/()!?\n\t'\""
UNUSUAL = (
    "äöüßÄÉñłŹøσΣжЯё…\u2013—“”\u2019«»€§°²½ªµ™ﬁ中日の한Ⅷ①\u00a0\u00ad\u0301\u200b\u2028İ\u0131ŉ\x1f"
)
WORDS = ["rotate", "keys", "running", "the", "of", "1e5", "0x1f", "3rd", "42", "naïve", "Straße"]


def texts(count: int) -> list[str]:
    random.seed(11)
    return [
        " ".join(
            random.choice(WORDS)
            if random.random() < 0.6
            else "".join(
                random.choice(UNUSUAL if random.random() < rare else ORDINARY) for _ in range(12)
            )
            for _ in range(40)
        )
        for rare in (0, 0, 0.02, 0.3)
        for _ in range(count // 4)
    ]


def documents(count: int, prefix: str = "") -> list[dict[str, object]]:
    random.seed(7)
    words = [f"word{n}" for n in range(300)]
    return [
        {
            "external_id": f"{prefix}{n}",
            "title": words[n % 60],
            "content": f"{prefix}{n} " + " ".join(random.choices(words, k=20)) + ".",
        }
        for n in range(count)
    ]


@pytest.mark.parametrize("language", ["english", "german", "russian", "simple"])
def test_texts_indexed_together_are_as_indexed_alone(db, language):
    given = texts(300)
    titles = [given[(n * 7) % 40] if n % 5 else "" for n in range(len(given))]
    rows = db.execute(
        "select i.terms, e.terms, i.embedding operator(public.<=>) v.embedding"
        "  from unnest(%(texts)s::text[], %(titles)s::text[]) with ordinality t(body, title, n)"
        "  join ragdb_data._index_texts("
        "         %(language)s, %(titles)s, %(texts)s, ragdb_data._embedding_version()) i"
        "    on i.ordinal = n"
        "  join ragdb.embed_batch(%(texts)s, %(titles)s) v on v.ordinal = n"
        " cross join lateral (select array_remove(ragdb_data._terms(%(language)s, title), 0) || 0"
        "                           || ragdb_data._terms(%(language)s, body) as terms) e",
        {"texts": given, "titles": titles, "language": language},
    ).fetchall()
    assert len(rows) == len(given)
    for together, alone, distance in rows:
        assert together == alone
        assert distance < 1e-3


def test_a_batch_reads_no_more_than_its_own_rows(acme, database):
    """In tables that were never analyzed the planner knows no sizes: that must not matter."""
    with psycopg.connect(database.url) as service:
        service.execute("select ragdb.begin_context(%s)", (acme.key,))
        for prefix in "abc":
            service.execute("select ragdb.put_documents(%s)", (Jsonb(documents(200, prefix)),))
        service.execute("select ragdb.put_documents(%s)", (Jsonb(documents(200, "a")),))
        [(read,)] = service.execute(
            "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))"
            "  from pg_stat_xact_user_tables"
            " where relname in ('document', 'body', 'chunk', 'document_fact', 'data_source')"
        ).fetchall()
    assert read < 30 * 800


def test_a_large_batch_never_has_postings_and_is_found_alike(acme, globex, db):
    stored = documents(520)
    acme.put_many(stored)
    assert db.execute("select count(*) from ragdb_data.posting").fetchone() == (0,)
    assert db.execute("select sum(chunks) from ragdb_data.segment").fetchone() == (520,)
    for first in range(0, len(stored), 130):
        globex.put_many(stored[first : first + 130])

    def answers(library):
        return [
            (query, mode, row["title"], row["content"], round(row["score"], 5))
            for query in ("word3 word17", "word250 word9 word40", "17")
            for mode in ("keyword", "hybrid")
            for row in library.search(query, p_mode=mode, p_limit=10)
        ]

    assert answers(acme) == answers(globex)


def test_writers_of_one_tenant_do_not_wait_for_each_other(acme, database):
    acme.put("The source is there before they meet.")
    with ExitStack() as stack:
        writers = [stack.enter_context(psycopg.connect(database.url)) for _ in range(4)]
        for number, writer in enumerate(writers):
            writer.execute("set lock_timeout = '1ms'")
            writer.execute("select ragdb.begin_context(%s)", (acme.key,))
            batch = documents(520 if number % 2 else 20, f"writer{number}-")
            writer.execute("select ragdb.put_documents(%s)", (Jsonb(batch),))
            writer.execute(
                "select ragdb.put_documents(%s)", (Jsonb(documents(10, f"more{number}-")),)
            )
        for writer in writers:
            writer.commit()
    for number in range(4):
        assert len(acme.search(f"writer{number}", p_mode="keyword", p_limit=15)) == 15


def test_an_edit_writes_only_the_chunks_it_changes(acme, db):
    random.seed(5)
    words = [f"term{n}" for n in range(500)]
    paragraphs = [
        " ".join(random.choices(words, k=60)).capitalize() + f". Paragraph {n}." for n in range(900)
    ]

    def rows() -> dict[str, set[tuple[int, str]]]:
        return {
            table: set(
                db.execute(f"select chunk_no, ctid::text from ragdb_data.{table}").fetchall()
            )
            for table in ("chunk_word", "chunk_vector", "posting")
        }

    def put() -> dict[str, object]:
        return acme.put("\n\n".join(paragraphs), p_external_id="long", p_mime="text/markdown")

    assert put()["chunks"] > 150
    before = rows()
    [(moved,)] = db.execute("select max(char_start) from ragdb_data.chunk").fetchall()
    paragraphs[400] += " One sentence more."
    assert put()["status"] == "updated"
    after = rows()
    for table, kept in before.items():
        assert len({chunk for chunk, _ in after[table] - kept}) <= 2
        assert len({chunk for chunk, _ in kept - after[table]}) <= 2
    assert db.execute("select max(char_start) from ragdb_data.chunk").fetchone()[0] == moved + 19


def test_replacing_a_document_keeps_what_it_is_known_by(acme):
    first = acme.put(
        "The gate is open.", p_title="Gate", p_source="castle", p_external_id="gate",
        p_visibility="organization", p_labels=["old"],
    )  # fmt: skip
    again = acme.call(
        "replace_document", p_document_id=first["document_id"], p_content="The gate is shut."
    )[0]
    assert again == first | {"status": "updated"}
    document = acme.call("get_document", p_document_id=first["document_id"])[0]
    assert (document["source"], document["external_id"]) == ("castle", "gate")
    assert (document["visibility"], document["labels"]) == ("organization", [])
    assert document["content"] == "The gate is shut."
    with pytest.raises(RagdbError) as raised:
        acme.call(
            "replace_document", p_document_id="00000000-0000-0000-0000-000000000000", p_content="x"
        )
    assert raised.value.problem.code == "document_not_found"


def test_vector_index_is_built_by_its_owner_alone(acme, database, db):
    acme.put_many(documents(40))
    before = acme.search("word3 word17", p_mode="vector")
    with pytest.raises(RagdbError) as refused:
        acme.call("drop_vector_index")
    assert refused.value.problem.code == "permission_denied"
    with Database.connect(database.superuser_url) as owner:
        caller = Caller(role=None, organization="acme")
        assert owner.call(caller, "build_vector_index") == [{"build_vector_index": 0}]
        owner.call(caller, "drop_vector_index")
        assert acme.search("word3 word17", p_mode="vector") == before
        assert owner.call(caller, "build_vector_index") == [{"build_vector_index": 40}]
    assert acme.search("word3 word17", p_mode="vector") == before
    indexes = db.execute(
        "select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid"
        " where c.relname ~ '^chunk_vector_\\d\\d_hnsw$' and i.indisvalid"
    ).fetchone()
    assert indexes == (16,)


def test_copies_do_not_make_an_index_look_bad(acme, database):
    """At one distance one neighbour is as good as another: the index would be built for ever."""
    words = [f"word{number}" for number in range(12)]
    chance = random.Random(1)
    acme.put_many([{"content": " ".join(chance.sample(words, 12))} for _ in range(2100)])
    with Database.connect(database.superuser_url) as connection:
        owner = partial(connection.call, Caller(role=None, organization="acme"))
        assert rebuild(owner)
        assert owner("check_vector_index")[0]["recall"] >= 0.95
        assert not rebuild(owner)


def test_tables_that_have_changed_are_analyzed_by_their_owner(acme, database, db):
    with pytest.raises(RagdbError) as refused:
        acme.call("analyze_tables")
    assert refused.value.problem.code == "permission_denied"
    db.execute("alter table ragdb_data.chunk set (autovacuum_enabled = false)")
    acme.put_many(documents(1200))
    with Database.connect(database.superuser_url) as connection:
        owner = partial(connection.call, Caller(role=None, organization="acme"))
        done: dict[str, dict[str, Any]] = {}
        for _ in range(100):  # what a session has written is told the others within a second
            done |= {row["name"]: row for row in owner("analyze_tables")}
            if "ragdb_data.chunk" in done:
                break
            time.sleep(0.1)
        assert done["ragdb_data.chunk"]["is_analyzed"]
        assert not done["ragdb_data.chunk"]["needs_vacuum"]
        connection.connection.execute("select pg_stat_force_next_flush()")
        assert "ragdb_data.chunk" not in {row["name"] for row in owner("analyze_tables")}
    estimate = db.execute(
        "select reltuples from pg_class where oid = 'ragdb_data.chunk'::regclass"
    ).fetchone()
    assert estimate == (1200,)


def test_the_owner_builds_the_vector_index_where_that_is_best(acme, database, db):
    acme.put_many(documents(2100))
    assert db.execute("select bool_or(is_indexed) from ragdb_data.chunk_vector").fetchone() == (
        False,
    )
    before = acme.search("word3 word17", p_mode="vector")
    [mine] = acme.call("check_vector_index")
    assert (mine["indexed"], mine["waiting"], mine["is_owned"]) == (0, 2100, False)
    assert mine["advice"] == "insert"
    with Database.connect(database.superuser_url) as connection:
        owner = partial(connection.call, Caller(role=None, organization="acme"))
        assert rebuild(owner)
        [built] = owner("check_vector_index")
        assert (built["indexed"], built["waiting"], built["advice"]) == (2100, 0, "none")
        assert built["recall"] >= 0.95
        assert not rebuild(owner)
        make_way(owner)
        acme.put_many(documents(600, "more "))
        [bare] = owner("check_vector_index")
        assert (bare["indexed"], bare["waiting"], bare["advice"]) == (2700, 0, "build")
        assert acme.search("more 7 word3", p_mode="vector")[0]["title"]
        assert rebuild(owner)
        assert owner("check_vector_index")[0]["recall"] >= 0.95
    after = acme.search("word3 word17", p_mode="vector", p_limit=20)
    assert {row["content"] for row in before} & {row["content"] for row in after}
    with pytest.raises(RagdbError) as refused:
        acme.call("check_vector_index", p_sample=0)
    assert refused.value.problem.code == "invalid_limit"
