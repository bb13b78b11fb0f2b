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
        self._queries = queries
        self._wanted = np.zeros(len(queries), dtype=np.int64)
        self._least = np.zeros(len(queries), dtype=np.float32)
        for org in dict.fromkeys(query.org for query in queries):
            rows = np.flatnonzero(export.matching([("org", org), *where.conditions()]))
            asking = [place for place, query in enumerate(queries) if query.org == org]
            self._wanted[asking] = wanted = min(K, len(rows))
            vectors = export.vectors[rows]
            for start in range(0, len(asking) if wanted else 0, _TOGETHER):
                places = asking[start : start + _TOGETHER]
                scores = np.stack([queries[place].vector for place in places]) @ vectors.T
                self._least[places] = np.partition(scores, -wanted, axis=1)[:, -wanted]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self._export.ids, kind="stable")

    def recall(self, found: Sequence[Sequence[int]]) -> float:
        """The share of what should have been found that was, averaged over the queries asked."""
        shares: list[float] = []
        for number in np.flatnonzero(self._wanted[: len(found)]).tolist():
            places = np.searchsorted(
                self._export.ids, np.array(found[number], dtype=np.int64), sorter=self._order
            )
            vectors = self._export.vectors[self._order[places]]
            right = vectors @ self._queries[number].vector >= self._least[number] - _TIE
            shares.append(min(int(right.sum()) / int(self._wanted[number]), 1.0))
        return float(np.mean(shares)) if shares else 1.0
