"""What a search by vector should have found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.export import Export
from bench.peers import Where
from bench.queries import Query

K = 10
_TIE = 1e-5
_TOGETHER = 16


class Truth:
    """The cosine that the tenth best of the matching chunks has, for each query.

    A result counts as right when its own is no worse: texts that say the same have the same vector,
    and which of them is returned makes no difference.
    """

    def __init__(self, export: Export, where: Where, queries: Sequence[Query]) -> None:
        self._export = export
        self._queries = np.stack([query.vector for query in queries])
        rows = np.flatnonzero(export.matching(where.conditions()))
        self._wanted = min(K, len(rows))
        vectors = export.vectors[rows]
        self._least: list[float] = []
        for start in range(0, len(queries) if self._wanted else 0, _TOGETHER):
            scores = self._queries[start : start + _TOGETHER] @ vectors.T
            best = np.partition(scores, -self._wanted, axis=1)[:, -self._wanted]
            self._least += best.tolist()

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._export.ids, kind="stable")

    def recall(self, found: Sequence[Sequence[int]]) -> float:
        """The share of what should have been found that was, averaged over the queries."""
        if not self._wanted:
            return 1.0
        shares: list[float] = []
        for number, ids in enumerate(found):
            places = np.searchsorted(self._export.ids, np.array(ids, dtype=np.int64),
                                     sorter=self._order)  # fmt: skip
            vectors = self._export.vectors[self._order[places]]
            right = vectors @ self._queries[number] >= self._least[number] - _TIE
            shares.append(min(int(right.sum()), self._wanted) / self._wanted)
        return float(np.mean(shares))
