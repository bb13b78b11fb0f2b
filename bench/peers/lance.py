"""LanceDB, embedded, with every index it has for this."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.export import DIMENSIONS, Export
from bench.peers import Built, Mode, Where, folder_bytes
from bench.queries import Query

os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of its own coming changes at each query
lancedb: Any = import_module("lancedb")
indexes: Any = import_module("lancedb.index")
rerankers: Any = import_module("lancedb.rerankers")
pa: Any = import_module("pyarrow")

_BATCH = 10_000


class Lance:
    """One table for all tenants."""

    configuration = (
        f"lancedb {lancedb.__version__}: IVF_HNSW_SQ cosine m=16 ef_construction=64, one partition"
        " below 1M rows, ef=100; FTS with stemming and stop words, without positions; bitmap index"
        " on org, shelf and half; prefilter; RRFReranker over its own legs; 10 results as id, text"
    )
    modes: tuple[Mode, ...] = ("hybrid", "keyword", "vector")
    pid: int | None = None

    def __init__(self) -> None:
        self._table: Any = None
        self._reranker: Any = rerankers.RRFReranker()

    def build(self, export: Export, folder: Path) -> Built:
        database = lancedb.connect(str(folder))
        started = time.perf_counter()
        table = database.create_table("chunk", _batches(export), schema=_SCHEMA)
        loaded = time.perf_counter()
        partitions = max(1, len(export) // 1_000_000)
        table.create_index("vector", config=indexes.HnswSq(
            distance_type="cosine", num_partitions=partitions, m=16, ef_construction=64
        ))  # fmt: skip
        full_text = indexes.FTS(stem=True, remove_stop_words=True, with_position=False)
        table.create_index("text", config=full_text)
        for column in ("org", "shelf", "half"):
            table.create_index(column, config=indexes.Bitmap())
        table.optimize()
        return Built(loaded - started, time.perf_counter() - loaded, folder_bytes(folder))

    def open(self, export: Export, folder: Path) -> None:
        database = lancedb.connect(str(folder))
        self._table = database.open_table("chunk")

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        if mode == "hybrid":
            search = self._table.search(query_type="hybrid").vector(query.vector)
            search = search.text(query.text).rerank(self._reranker).ef(100)
        elif mode == "keyword":
            search = self._table.search(query.text, query_type="fts")
        else:
            search = self._table.search(query.vector, vector_column_name="vector").ef(100)
        if conditions := where.conditions():
            text = " and ".join(f"{column} = {value}" for column, value in conditions)
            search = search.where(text, prefilter=True)
        return search.select(["id", "text"]).limit(k).to_arrow()["id"].to_pylist()

    def close(self) -> None:
        self._table = None


_SCHEMA = pa.schema([
    ("id", pa.int64()), ("org", pa.int32()), ("shelf", pa.int16()), ("half", pa.int16()),
    ("text", pa.string()), ("vector", pa.list_(pa.float32(), DIMENSIONS)),
])  # fmt: skip


def _batches(export: Export) -> Generator[Any]:
    texts = export.texts()
    for start in range(0, len(export), _BATCH):
        rows = slice(start, min(start + _BATCH, len(export)))
        both = [f"{title} {content}" for _, (title, content) in zip(
            range(rows.start, rows.stop), texts, strict=False)]  # fmt: skip
        flat = pa.array(np.ascontiguousarray(export.vectors[rows]).reshape(-1))
        columns = [
            pa.array(export.ids[rows]), pa.array(export.orgs[rows]), pa.array(export.shelves[rows]),
            pa.array(export.halves[rows]), pa.array(both),
            pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS),
        ]  # fmt: skip
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
