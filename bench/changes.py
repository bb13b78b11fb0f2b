"""The change section: what editing, deleting and churning cost, and what they leave behind."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Literal

import numpy as np
from psycopg.types.json import Jsonb

from bench.corpus import Document
from bench.measure import cpu_seconds, recall
from bench.server import Ragdb, call_as
from bench.writing import maintain, write
from ragdb.db import Caller, Database

Say = Callable[[str], None]

_EDITS = 20
_DELETED = 1000
_SENTENCE = re.compile(r"(?<=[a-z]{3}[.?!])\s+(?=[A-Z])")
_MODES = ("hybrid", "keyword", "vector")


def measure(
    ragdb: Ragdb, documents: Iterator[Document], chunks: int, rounds: int, queries: list[str],
    say: Say,
) -> dict[str, Any]:  # fmt: skip
    """Figures of a fresh database."""
    figures: dict[str, Any] = {
        f"edit_{chunker}": _edits(ragdb, documents, chunker, say)
        for chunker in ("markdown", "recursive")
    }
    figures["delete"] = _deletes(ragdb, documents, say)
    figures["churn"] = _churn(ragdb, documents, chunks, rounds, queries, say)
    return figures


def _edits(
    ragdb: Ragdb, documents: Iterator[Document], chunker: Literal["markdown", "recursive"], say: Say
) -> dict[str, float]:
    """One sentence of a document of 500 chunks, twenty times over, each at another place."""
    key = ragdb.organization(f"edit-{chunker}")
    document: Document = {
        "external_id": "long", "title": "A long document", "content": "",
        "chunking": {"chunker": chunker},
    }  # fmt: skip
    embedded: list[int] = []
    posted: list[int] = []
    milliseconds: list[float] = []
    with Database.connect(ragdb.service_url) as database:
        row: dict[str, Any] = {"chunks": 0}
        while row["chunks"] < 500:
            more = "\n\n".join(str(part["content"]) for part in islice(documents, 5))
            document["content"] = f"{document['content']}\n\n{more}"
            row = call_as(database, key, "put_documents", p_documents=Jsonb([document]))[0]
        sentences = [match.end() for match in _SENTENCE.finditer(str(document["content"]))]
        for place in sentences[:: max(1, len(sentences) // _EDITS)][:_EDITS]:
            text = str(document["content"])
            document["content"] = f"{text[:place]}One more remark belongs here. {text[place:]}"
            before = _versions(ragdb, "chunk_vector"), _versions(ragdb, "chunk_word")
            started = time.perf_counter()
            call_as(database, key, "put_documents", p_documents=Jsonb([document]))
            milliseconds.append((time.perf_counter() - started) * 1000)
            embedded.append(len(_versions(ragdb, "chunk_vector") - before[0]))
            posted.append(len(_versions(ragdb, "chunk_word") - before[1]))
    say(f"edit, {chunker}: up to {max(embedded)} chunks embedded again of {row['chunks']}")
    return {
        "document_chunks": row["chunks"], "edits": len(embedded),
        "embedded_p50": float(np.median(embedded)), "embedded_most": max(embedded),
        "posted_most": max(posted), "p50_ms": round(float(np.median(milliseconds)), 1),
    }  # fmt: skip


def _versions(ragdb: Ragdb, table: str) -> set[tuple[int, str]]:
    """The rows of a table of chunks with the transaction that wrote each."""
    query = f"select chunk_no, xmin::text as version from ragdb_data.{table}"
    rows = ragdb.ask(query)
    return {(row["chunk_no"], row["version"]) for row in rows}


def _deletes(ragdb: Ragdb, documents: Iterator[Document], say: Say) -> dict[str, Any]:
    """A thousand documents in one call; then ask each leg for words only they have."""
    key = ragdb.organization("delete")
    kept = list(islice(documents, 200))
    doomed = [
        {**document, "content": f"Zyxquat marks it.\n\n{str(document['content'])[:2500]}"}
        for document in islice(documents, _DELETED)
    ]
    with Database.connect(ragdb.service_url) as database:
        call_as(database, key, "put_documents", p_documents=Jsonb(kept))
        ids: list[Any] = []
        chunks = 0
        for start in range(0, _DELETED, 200):
            batch = Jsonb(doomed[start : start + 200])
            rows = call_as(database, key, "put_documents", p_documents=batch)
            ids += [row["document_id"] for row in rows if row["document_id"]]
            chunks += sum(row["chunks"] for row in rows)
        call_as(database, key, "maintain")
        before = _found(database, key, set(ids))
        pid = database.connection.info.backend_pid
        started, cpu = time.perf_counter(), cpu_seconds(pid)
        call_as(database, key, "delete_documents", p_document_ids=ids)
        seconds, cpu = time.perf_counter() - started, cpu_seconds(pid) - cpu
        after = _found(database, key, set(ids))
    say(f"{len(ids)} documents deleted in {seconds:.3f} s; found before {before}, after {after}")
    return {
        "documents": len(ids), "chunks": chunks, "seconds": round(seconds, 4),
        "cpu_seconds": round(cpu, 4), "found_before": before, "found_after": after,
    }  # fmt: skip


def _found(database: Database, key: str, ids: set[Any]) -> dict[str, int]:
    """How many results of each mode belong to these documents."""
    found: dict[str, int] = {}
    for mode in _MODES:
        rows = database.call(
            Caller(api_key=key), "search", read_only=True,
            p_query="zyxquat marks it", p_limit=1000, p_mode=mode,
        )  # fmt: skip
        found[mode] = sum(row["document_id"] in ids for row in rows)
    return found


def _churn(
    ragdb: Ragdb, documents: Iterator[Document], chunks: int, rounds: int, queries: list[str],
    say: Say,
) -> dict[str, Any]:  # fmt: skip
    """Replace a third of a tenant's documents, the oldest, again and again; vacuum each time."""
    key = ragdb.organization("churn")
    write(ragdb, key, documents, chunks, 1)
    maintain(ragdb, key, "churn")
    ragdb.do("vacuum analyze")
    figures: dict[str, Any] = {
        "chunks": chunks, "rounds": rounds, "bytes_before": ragdb.data_bytes(),
        "recall_before": _recall(ragdb, key, queries),
    }  # fmt: skip
    with Database.connect(ragdb.service_url) as database:
        for number in range(rounds):
            found = database.read(Caller(api_key=key), "documents")
            found.sort(key=lambda row: (row["created_at"], row["external_id"]))
            ids = [row["document_id"] for row in found]
            call_as(database, key, "delete_documents", p_document_ids=ids[: len(ids) // 3])
            write(ragdb, key, documents, chunks // 3, 1)
            maintain(ragdb, key, "churn")
            ragdb.do("vacuum analyze")
            say(f"churn {number + 1} of {rounds}: {ragdb.data_bytes() >> 20} MB")
    figures["bytes_after"] = ragdb.data_bytes()
    figures["growth"] = round(figures["bytes_after"] / figures["bytes_before"], 3)
    figures["recall_after"] = _recall(ragdb, key, queries)
    return figures


_EXACT = b"""
select v.chunk_no
  from ragdb_data.chunk_vector v
  join ragdb_data.organization o on o.org_no = v.org_no
 where o.slug = 'churn'
 order by (v.embedding operator(public.<=>) ragdb.embed(%s)) + 0, v.chunk_no
 limit 10
"""


def _recall(ragdb: Ragdb, key: str, queries: list[str]) -> float:
    """Of vector search, against the cosines of all the tenant's vectors."""
    found: list[list[int]] = []
    exact: list[list[int]] = []
    with (
        Database.connect(ragdb.service_url) as service,
        Database.connect(ragdb.superuser_url) as owner,
    ):
        for query in queries:
            rows = service.call(
                Caller(api_key=key), "search", read_only=True, p_query=query, p_mode="vector"
            )
            found.append([row["chunk_id"] for row in rows])
            best = owner.connection.execute(_EXACT, [query]).fetchall()
            exact.append([row["chunk_no"] for row in best])
    return round(recall(found, exact), 4)
