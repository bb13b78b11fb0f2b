"""Tantivy, the search library in Rust: what a search by keyword costs at the least."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.export import Export
from bench.peers import Built, Mode, Where, folder_bytes
from bench.queries import Query

tantivy: Any = import_module("tantivy")
_HEAP = 256 << 20


class Tantivy:
    """One index for all tenants, their number an indexed field."""

    configuration = (
        "tantivy: en_stem tokenizer, BM25 over title and text, stored text, 256 MB writer,"
        " merges waited for; organization and filter as required terms"
    )
    modes: tuple[Mode, ...] = ("keyword",)
    pid: int | None = None

    def __init__(self) -> None:
        self._index: Any = None
        self._searcher: Any = None

    def build(self, export: Export, folder: Path) -> Built:
        index = tantivy.Index(_schema(), path=str(folder))
        started = time.perf_counter()
        writer = index.writer(_HEAP)
        for row, (title, content) in enumerate(export.texts()):
            writer.add_document(tantivy.Document(
                id=int(export.ids[row]), org=int(export.orgs[row]), shelf=int(export.shelves[row]),
                half=int(export.halves[row]), text=f"{title} {content}",
            ))  # fmt: skip
        writer.commit()
        writer.wait_merging_threads()
        return Built(time.perf_counter() - started, 0.0, folder_bytes(folder))

    def open(self, export: Export, folder: Path) -> None:
        self._index = tantivy.Index(_schema(), path=str(folder))
        self._searcher = self._index.searcher()

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        words, _ = self._index.parse_query_lenient(query.text, ["text"])
        if conditions := where.conditions():
            schema = self._index.schema
            terms = [
                (tantivy.Occur.Must, tantivy.Query.term_query(schema, column, value))
                for column, value in conditions
            ]
            words = tantivy.Query.boolean_query([(tantivy.Occur.Must, words), *terms])
        hits = self._searcher.search(words, k, count=False).hits
        return [self._searcher.doc(address)["id"][0] for _, address in hits]

    def close(self) -> None:
        self._index = self._searcher = None


def _schema() -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("id", stored=True)
    for column in ("org", "shelf", "half"):
        builder.add_integer_field(column, indexed=True)
    builder.add_text_field("text", stored=True, tokenizer_name="en_stem")
    return builder.build()
