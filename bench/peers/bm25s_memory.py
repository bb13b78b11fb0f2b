"""bm25s: BM25 scores precomputed in sparse matrices, in this process's memory."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.export import Export
from bench.peers import Built, Mode, Where, folder_bytes
from bench.queries import Query

bm25s: Any = import_module("bm25s")
stemmers: Any = import_module("Stemmer")


class Bm25s:
    """One matrix for all tenants; a filter is a mask of the rows it lets through."""

    configuration = (
        f"bm25s {bm25s.__version__}: Lucene's BM25 k1=1.2 b=.75, English stop words, PyStemmer,"
        " weight mask made once for each filter; returns ids, no text"
    )
    modes: tuple[Mode, ...] = ("keyword",)
    pid: int | None = None
    _export: Export

    def __init__(self) -> None:
        self._stemmer: Any = stemmers.Stemmer("english")
        self._index: Any = None
        self._masks: dict[Where, NDArray[np.float32]] = {}

    def build(self, export: Export, folder: Path) -> Built:
        index = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
        started = time.perf_counter()
        tokens = self._tokens([f"{title} {content}" for title, content in export.texts()])
        index.index(tokens, show_progress=False)
        seconds = time.perf_counter() - started
        index.save(str(folder))
        return Built(seconds, 0.0, folder_bytes(folder))

    def open(self, export: Export, folder: Path) -> None:
        self._index = bm25s.BM25.load(str(folder))
        self._export = export

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        if where.conditions() and where not in self._masks:
            self._masks[where] = self._export.matching(where.conditions()).astype(np.float32)
        rows, scores = self._index.retrieve(
            self._tokens([query.text]), k=k, show_progress=False,
            weight_mask=self._masks.get(where),
        )  # fmt: skip
        return self._export.ids[rows[0][scores[0] > 0]].tolist()

    def _tokens(self, texts: list[str]) -> Any:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)

    def close(self) -> None:
        self._index = None
