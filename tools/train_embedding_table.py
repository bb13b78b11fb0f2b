"""Train the embedding table that ships with the package (development only).

    uv run --group train python tools/train_embedding_table.py SOURCES VOCABULARY OUTPUT \
        --cache DIR --exclude DIR --model NAME

SOURCES holds what training_sources.toml names: the Debian packages as files, the repositories as
clones. VOCABULARY is vocab.txt of bert-base-uncased (Apache-2.0); the manifest has its checksum.
--exclude takes folders of evaluation sets (*.jsonl with `text` and `title`), of which nothing is
trained on. Encoding takes about half an hour of one core and is cached, training five minutes.

A table is fitted so that the sum of a text's rows points where the teacher's vector of the text
points, in 256 of its 384 dimensions: the principal ones of the training texts, whose basis is
written beside OUTPUT as .basis. Two runs over one cache give the same files; minilm.py says how far
the cache of another run may be off. After training, measure, and fit CONFIDENCE anew.
"""

from __future__ import annotations

import argparse
import json
import unicodedata
from hashlib import sha256
from pathlib import Path

import numpy as np
from minilm import Floats, Teacher
from numpy.typing import NDArray
from scipy import sparse
from training_samples import Sample, collect, word_samples
from training_texts import Exclusion, vocabulary_sum

from ragdb.embedding import FORMAT, HEADER, MAGIC

DIMENSIONS = 256
BATCH = 512
EPOCHS = 5
RATE, LAST_RATE = 0.015, 0.0015
CONTRAST, SHARPNESS = 0.1, 20.0
# How much a text counts: words alone are there to be known at all, passages are what is searched.
WEIGHTS = {"word": 0.25, "term": 0.5, "asked": 0.5, "question": 1.5, "sentence": 2, "passage": 3}
# Of the confidence that a search's answer is in the corpus: lexical match, best cosine, offset.
CONFIDENCE = (5.70, 13.74, -10.17)

IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in IDEOGRAPHS)


def is_reachable(token: str) -> bool:
    """Whether a word, or a piece inside a word, can be spelled like this token."""
    inside = len(token) > 2 and token.startswith("##")
    piece = token[2:] if inside else token
    if any(unicodedata.category(character)[0] not in "LMN" for character in piece):
        return False
    if unicodedata.normalize("NFKD", piece).lower() != piece:
        return False
    # An ideograph is a word of its own, so it never continues one.
    return not (inside and any(map(is_ideograph, piece)))


def count_tokens(teacher: Teacher, texts: list[str], kept: NDArray[np.bool_]) -> sparse.csr_matrix:
    """A row per text: how often it has each token that the database could ask for."""
    rows, columns = list[int](), list[int]()
    for number, ids in enumerate(teacher.tokens(texts)):
        known = [token for token in ids if kept[token]]
        rows.extend([number] * len(known))
        columns.extend(known)
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(texts), len(kept)))


def unit(vectors: Floats) -> Floats:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)


def principal(vectors: Floats) -> Floats:
    """The basis of the dimensions in which the vectors differ most, signs fixed."""
    _, basis = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    chosen = basis[:, ::-1][:, :DIMENSIONS].astype(np.float32)
    return chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(DIMENSIONS)])


def start(counts: sparse.csr_matrix, targets: Floats) -> Floats:
    """For every token the mean of the texts it is in, less what all texts have in common."""
    share = sparse.diags(1 / np.maximum(np.asarray(counts.sum(1)).ravel(), 1)) @ counts
    weight = np.asarray(share.sum(0)).ravel()[:, None]
    table = np.asarray(share.T @ targets) / np.maximum(weight, 1e-6)
    return (table - 0.7 * targets.mean(0) * (weight > 0)).astype(np.float32)


def fit(counts: sparse.csr_matrix, targets: Floats, weights: Floats, table: Floats) -> Floats:
    """Adam over the rows that a batch touches.

    The loss: 1 - cosine, and the cross entropy of telling a text's own target from the batch's.
    """
    random = np.random.default_rng(0)
    first, second = np.zeros_like(table), np.zeros_like(table)
    steps = np.zeros((len(table), 1), np.int32)
    batches = counts.shape[0] // BATCH
    diagonal = np.arange(BATCH)
    for epoch in range(EPOCHS):
        order = random.permutation(counts.shape[0])
        cosine = 0.0
        for number in range(batches):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            part = counts[chosen]
            touched, inverse = np.unique(part.indices, return_inverse=True)
            part = sparse.csr_matrix((part.data, inverse, part.indptr), shape=(BATCH, len(touched)))
            sums = part @ table[touched]
            norms = np.linalg.norm(sums, axis=1, keepdims=True) + 1e-6
            points, aims = sums / norms, targets[chosen]

            logits = SHARPNESS * points @ aims.T
            chance = np.exp(logits - logits.max(1, keepdims=True))
            chance /= chance.sum(1, keepdims=True)
            chance[diagonal, diagonal] -= 1
            share = weights[chosen] / weights[chosen].sum()
            slope = CONTRAST * SHARPNESS / BATCH * (chance @ aims) - share[:, None] * aims
            slope = (slope - (slope * points).sum(1, keepdims=True) * points) / norms
            slope = part.T @ slope

            steps[touched] += 1
            step = steps[touched]
            first[touched] = 0.9 * first[touched] + 0.1 * slope
            second[touched] = 0.999 * second[touched] + 0.001 * slope**2
            done = (epoch * batches + number) / (EPOCHS * batches)
            rate = max(RATE * (1 - done), LAST_RATE)
            table[touched] -= (
                rate * (first[touched] / (1 - 0.9**step))
                / (np.sqrt(second[touched] / (1 - 0.999**step)) + 1e-8)
            )  # fmt: skip
            cosine += float((points * aims).sum(1).mean())
        print(f"epoch {epoch + 1}: mean cosine {cosine / batches:.4f}", flush=True)
    return table


def pack(table: Floats, vocabulary: list[str], model: str) -> bytes:
    """The file that ragdb.embedding reads: rows that a search can ask for, as 8-bit integers."""
    scales = np.abs(table).max(1) / 127
    rows = np.round(table / np.where(scales == 0, 1, scales)[:, None]).astype(np.int8)
    # In index order, so that loading appends to the end of the primary key.
    kept = sorted(
        (n for n, token in enumerate(vocabulary) if is_reachable(token) and rows[n].any()),
        key=lambda n: vocabulary[n].encode(),
    )
    text = "\n".join(vocabulary[n] for n in kept).encode()
    header = HEADER.pack(
        MAGIC, FORMAT, DIMENSIONS, len(kept), len(text), model.encode(), *CONFIDENCE
    )
    return header + text + scales[kept].astype("<f4").tobytes() + rows[kept].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the shipped embedding table.")
    parser.add_argument("sources", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="of the teacher's vectors")
    parser.add_argument("--exclude", type=Path, action="append", default=[])
    parser.add_argument("--model", default="minilm-256-2", help="version name stored in the file")
    arguments = parser.parse_args()

    content = arguments.vocabulary.read_bytes()
    if sha256(content).hexdigest() != vocabulary_sum():
        raise SystemExit(f"{arguments.vocabulary} is not the vocabulary the manifest names.")
    vocabulary = content.decode().removesuffix("\n").split("\n")
    teacher = Teacher(arguments.vocabulary, arguments.cache)

    samples, dropped = collect(arguments.sources, Exclusion(arguments.exclude))
    reachable = [token for token in vocabulary if is_reachable(token)]
    samples += word_samples(reachable, teacher.spell)
    print(json.dumps({"samples": _per_kind(samples), "excluded": dropped}))

    texts = [sample.text for sample in samples]
    kept = np.array([is_reachable(token) for token in vocabulary])
    counts = count_tokens(teacher, texts, kept)
    vectors = teacher.encode(texts)
    filled = np.asarray(counts.sum(1)).ravel() > 0
    counts, vectors = counts[filled], vectors[filled]
    weights = np.array([WEIGHTS.get(sample.kind, 1) for sample in samples], np.float32)[filled]
    seen = counts.getnnz(axis=0) > 0
    missing = [token for n, token in enumerate(vocabulary) if kept[n] and not seen[n]]
    if missing:
        raise SystemExit(f"No text has the tokens {missing[:10]}.")

    basis = principal(vectors)
    targets = unit(vectors @ basis)
    table = fit(counts, targets, weights, start(counts, targets))
    arguments.output.write_bytes(pack(table, vocabulary, arguments.model))
    arguments.output.with_suffix(".basis").write_bytes(basis.astype("<f4").tobytes())


def _per_kind(samples: list[Sample]) -> dict[str, int]:
    kinds = [sample.kind for sample in samples]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


if __name__ == "__main__":
    main()
