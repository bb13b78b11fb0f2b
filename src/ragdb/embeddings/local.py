"""The transformer of this process: loaded when it is first asked, by one text or by a thousand.

Everybody in the process shares one, and each has a few texts embedded in turn, so that a query need
not wait for somebody's whole batch. The network runs in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from anyio import CapacityLimiter, to_thread

from ragdb.embeddings.minilm import DIMENSIONS, MODEL, PROJECTED, MiniLM, table_model
from ragdb.errors import Problem, RagdbError

MOST_WAITING = 64
_TURN = 8

Vectors = list[list[float]]


def sizes() -> dict[str, tuple[int, ...]]:
    """The models by their names, and the dimensions that each has, the usual first."""
    return {table_model(): (PROJECTED,), MODEL: (DIMENSIONS, PROJECTED)}


class Transformer:
    """The model of a process, and who waits for it."""

    def __init__(self) -> None:
        self.threads: int | None = None
        """Set before it is first asked; None for half of the processors."""
        self._model: MiniLM | None = None
        self._one: CapacityLimiter | None = None
        self._waiting = 0

    async def embed(
        self, texts: Sequence[str], model: str, dimensions: int | None = None
    ) -> tuple[Vectors, int]:
        """Vectors and the number of tokens read.

        Raises RagdbError for a model or dimensions it does not have, when too many wait, and where
        the extra is not installed.
        """
        dimensions = self._dimensions(model, dimensions)
        if self._waiting >= MOST_WAITING:
            raise RagdbError(
                Problem(
                    429, "too_many_requests", "Too many requests wait for the model.",
                    "Try again in a moment.", retry_after=1,
                )
            )  # fmt: skip
        vectors: Vectors = []
        read = 0
        self._one = self._one or CapacityLimiter(1)
        self._waiting += 1
        try:
            for first in range(0, len(texts), _TURN):
                rows, tokens = await to_thread.run_sync(
                    self._run, texts[first : first + _TURN], dimensions, limiter=self._one
                )
                vectors += rows
                read += tokens
        finally:
            self._waiting -= 1
        return vectors, read

    def load(self) -> MiniLM:
        """The model; raises RagdbError where the extra is not installed."""
        if self._model is None:
            self._model = MiniLM(self.threads)
        return self._model

    def _dimensions(self, model: str, wanted: int | None) -> int:
        known = sizes()
        if model not in known:
            raise RagdbError(
                Problem(
                    404, "unknown_model", f"There is no model {model} here.",
                    f"One of: {', '.join(known)}",
                )
            )  # fmt: skip
        found = wanted or known[model][0]
        if found not in known[model]:
            raise RagdbError(
                Problem(
                    422, "unknown_dimensions", f"{model} has no vectors of {found} dimensions.",
                    f"One of: {', '.join(map(str, known[model]))}",
                )
            )  # fmt: skip
        return found

    def _run(self, texts: Sequence[str], dimensions: int) -> tuple[Vectors, int]:
        model = self.load()
        encoded = model.encode(texts)
        vectors = model.project(encoded.vectors) if dimensions == PROJECTED else encoded.vectors
        return vectors.tolist(), encoded.tokens


SHARED = Transformer()
"""The one of this process."""
