"""FAISS: an HNSW graph in this process's memory, what a search by vector costs at the least."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.export import DIMENSIONS, Export
from bench.peers import Built, Mode, Where
from bench.queries import Query

faiss: Any = import_module("faiss")


class Faiss:
    """One graph for all tenants; a filter is a bitmap of the rows it lets through."""

    configuration = (
        f"faiss {faiss.__version__}: IndexHNSWFlat M=16 efConstruction=64 efSearch=100, inner"
        " product, IDSelectorBitmap made once for each filter; returns ids, no text"
    )
    modes: tuple[Mode, ...] = ("vector",)
    pid: int | None = None
    _export: Export

    def __init__(self) -> None:
        self._index: Any = None
        self._parameters: dict[Where, Any] = {}

    def build(self, export: Export, folder: Path) -> Built:
        index = faiss.IndexHNSWFlat(DIMENSIONS, 16, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = 64
        started = time.perf_counter()
        index.add(np.ascontiguousarray(export.vectors))
        seconds = time.perf_counter() - started
        path = folder / "index"
        faiss.write_index(index, str(path))
        return Built(seconds, 0.0, path.stat().st_size)

    def open(self, export: Export, folder: Path) -> None:
        self._index = faiss.read_index(str(folder / "index"))
        self._export = export

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        if where not in self._parameters:
            self._parameters[where] = self._selecting(self._export, where)
        found = self._index.search(query.vector[None, :], k, params=self._parameters[where][0])
        return self._export.ids[[row for row in found[1][0] if row >= 0]].tolist()

    def _selecting(self, export: Export, where: Where) -> tuple[Any, ...]:
        """Parameters for a filter, with what they point to and do not keep alive."""
        if not where.conditions():
            return (faiss.SearchParametersHNSW(efSearch=100),)
        bits = np.packbits(export.matching(where.conditions()), bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        return faiss.SearchParametersHNSW(efSearch=100, sel=selector), selector, bits

    def close(self) -> None:
        self._index = None
