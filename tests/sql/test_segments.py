"""Sealed postings: sealed, deleted from or sealed anew, search finds what it did in plain rows."""

from __future__ import annotations

import random
import threading

import pytest

from ragdb.db import Caller, Database

WORDS = [f"word{n}" for n in range(400)]


@pytest.fixture
def library(acme):
    """4,600 chunks of one scope with word frequencies as texts have them, and some with titles."""
    random.seed(3)
    weights = [1 / (n + 3) for n in range(len(WORDS))]
    documents = [
        {
            "external_id": str(n),
            "title": WORDS[n % 90] if n % 4 else "!",
            "content": f"{n} " + " ".join(random.choices(WORDS, weights, k=random.randint(5, 30))),
            "labels": [f"l{n % 40}"],
        }
        for n in range(4_600)
    ]
    for first in range(0, len(documents), 200):
        acme.put_many(documents[first : first + 200])
    return acme


QUERIES = [
    "word3 word17 word250",
    "word0 word1",
    "word399",
    "word40 word40 word80 word333 word5 word120",
]


def answers(acme) -> list[tuple[object, ...]]:
    """Chunks and scores of all queries, modes and filters that touch the keyword leg."""
    return [
        (query, mode, label, row["chunk_id"], round(row["score"], 6))
        for query in QUERIES
        for mode in ("keyword", "hybrid")
        for label in (None, "l7", ["l1", "l2", "l3", "l4", "l5", "l6", "l8", "l9", "l10", "l11"])
        for row in acme.search(
            query, p_mode=mode, p_limit=15, p_filters=None if label is None else {"label": label}
        )
    ]


def done(acme, **arguments) -> dict[str, int]:
    return {row["task"]: row["rows"] for row in acme.call("maintain", **arguments)}


def test_sealing_changes_no_result(library, db):
    before = answers(library)
    assert done(library)["seal chunks"] == 4_600
    assert db.execute("select count(*) from ragdb_data.posting").fetchone()[0] == 0
    assert answers(library) == before
    assert done(library)["seal chunks"] == 0

    gone = [d["document_id"] for d in library.read("documents") if int(d["external_id"]) % 30 == 0]
    library.call("delete_documents", p_document_ids=gone)
    library.put("word399 is here again, in a new document.", p_external_id="new")
    with_dead = answers(library)
    assert done(library)["seal chunks anew"] == 0
    assert answers(library) == with_dead

    more = [d["document_id"] for d in library.read("documents") if d["external_id"].endswith("7")]
    library.call("delete_documents", p_document_ids=more)
    masked = answers(library)
    assert done(library)["seal chunks anew"] > 3_000
    assert answers(library) == masked
    assert db.execute("select count(*) from ragdb_data.dead_chunk").fetchone()[0] == 0


def test_maintaining_in_steps_comes_to_the_same(library, db):
    """Each step is a transaction that leaves every result as it was, and they have an end."""
    before = answers(library)
    for _ in range(20):
        left = sum(row["remaining"] for row in library.call("maintain", p_limit=1_000))
        assert answers(library) == before
        if not left:
            break
    assert db.execute("select count(*) from ragdb_data.posting").fetchone()[0] == 0
    assert done(library) == dict.fromkeys(done(library), 0)


def test_small_segments_are_merged(acme, db):
    sizes = []
    for step in range(8):
        for half in range(2):
            acme.put_many([{"content": f"{step} {half} {n} word{n % 7}"} for n in range(250)])
        done(acme)
        sizes.append(
            sorted(r[0] for r in db.execute("select chunks from ragdb_data.segment").fetchall())
        )
    assert sizes[:4] == [[500], [1_000], [500, 1_000], [2_000]]
    assert sizes[-1] == [4_000]


def test_segments_of_one_size_are_merged_though_none_is_as_small_as_the_rest(acme, db):
    """What is sealed as it is written comes in sizes of its own."""
    for size in (600, 700, 800, 900):
        acme.put_many([{"content": f"{size} {n} word{n % 7}"} for n in range(size)])
    segments = "select chunks from ragdb_data.segment order by chunks"
    assert db.execute(segments).fetchall() == [(600,), (700,), (800,), (900,)]
    done(acme)
    assert db.execute(segments).fetchall() == [(3_000,)]


def test_sealing_beside_deletes_and_searches(library, database):
    """Readers see no hole and no ghost while another session seals and a third deletes."""
    ids = [d["document_id"] for d in library.read("documents")][:200]
    failures: list[BaseException] = []
    stop = threading.Event()

    def session(work) -> threading.Thread:
        def run() -> None:
            try:
                with Database.connect(database.url) as service:
                    work(
                        lambda function, **a: service.call(
                            Caller(api_key=library.key), function, **a
                        )
                    )
            except BaseException as error:
                failures.append(error)

        return threading.Thread(target=run)

    def read(call) -> None:
        while not stop.is_set():
            assert len(call("search", p_query="word1 word2", p_mode="keyword", p_limit=20)) == 20

    def delete(call) -> None:
        for n in range(0, 200, 10):
            call("delete_documents", p_document_ids=ids[n : n + 10])

    def seal(call) -> None:
        for _ in range(3):
            call("maintain")

    reader, *writers = session(read), session(delete), session(seal)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not failures
    result = answers(library)
    library.call("maintain")
    assert answers(library) == result
    assert len(library.read("chunks")) == 4_400
