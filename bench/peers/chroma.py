"""Chroma, embedded, for vectors only: it scores text by BM25 in its cloud alone."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.export import Export
from bench.peers import Built, Mode, Where, folder_bytes
from bench.queries import Query

chromadb: Any = import_module("chromadb")
_BATCH = 5000


class Chroma:
    """One collection for all tenants."""

    configuration = (
        f"chromadb {chromadb.__version__}: persistent client, HNSW cosine max_neighbors=16"
        " ef_construction=64 ef_search=100, documents and metadata stored, filter by where"
    )
    modes: tuple[Mode, ...] = ("vector",)
    pid: int | None = None

    def __init__(self) -> None:
        self._client: Any = None
        self._collection: Any = None

    def build(self, export: Export, folder: Path) -> Built:
        client = _client(folder)
        collection = client.create_collection(
            "chunk", embedding_function=None,
            configuration={"hnsw": {"space": "cosine", "max_neighbors": 16,
                                    "ef_construction": 64, "ef_search": 100}},
        )  # fmt: skip
        started = time.perf_counter()
        texts = (content for _, content in export.texts())
        for start in range(0, len(export), _BATCH):
            rows = range(start, min(start + _BATCH, len(export)))
            collection.add(
                ids=[str(export.ids[row]) for row in rows],
                embeddings=export.vectors[rows.start : rows.stop],
                documents=[next(texts) for _ in rows],
                metadatas=[
                    {"org": int(export.orgs[row]), "shelf": int(export.shelves[row]),
                     "half": int(export.halves[row])}
                    for row in rows
                ],
            )  # fmt: skip
        seconds = time.perf_counter() - started
        client.close()
        return Built(seconds, 0.0, folder_bytes(folder))

    def open(self, export: Export, folder: Path) -> None:
        self._client = _client(folder)
        self._collection = self._client.get_collection("chunk", embedding_function=None)

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        terms = [{column: value} for column, value in where.conditions()]
        found = self._collection.query(
            query_embeddings=[query.vector], n_results=k, include=["documents"],
            where={"$and": terms} if len(terms) > 1 else terms[0] if terms else None,
        )  # fmt: skip
        return [int(chunk) for chunk in found["ids"][0]]

    def close(self) -> None:
        self._client.close()


def _client(folder: Path) -> Any:
    return chromadb.PersistentClient(str(folder), chromadb.Settings(anonymized_telemetry=False))
