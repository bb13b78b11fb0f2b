"""The keyword leg against BM25 as it is defined, reckoned in Python over what a caller can see.

Whatever was put, deleted, made private, filtered, sealed, merged or left half sealed before.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from dataclasses import dataclass

import pytest
from psycopg.types.json import Jsonb

WORDS = [f"word{n}" for n in range(150)]
WEIGHTS = [1 / (n + 2) for n in range(len(WORDS))]
QUERIES = [
    "word0 word9",
    "word60 word60 word60 word2 word1 word3",
    "word3 word40 word120",
    "word7 word7 word90",
    "word149",
    "word1",
]
FILTERS = {None: range(20), "l3": [3], "half": range(10)}


@dataclass(frozen=True)
class Document:
    external_id: str
    owner: str
    title: tuple[str, ...]
    body: tuple[str, ...]
    label: int

    @property
    def frequencies(self) -> Counter[str]:
        return Counter(self.body) + Counter(self.title * 3)


def bm25(documents: list[Document], query: str, labels: range | list[int]) -> dict[str, float]:
    """Scores by content; statistics of all documents, results of those with one of the labels."""
    frequencies = [d.frequencies for d in documents]
    df = Counter(term for f in frequencies for term in f)
    n = len(documents)
    average = sum(f.total() for f in frequencies) / n
    scores = {}
    for document, tf in zip(documents, frequencies, strict=True):
        score = sum(
            count
            * math.log(1 + (n - df[term] + 0.5) / (df[term] + 0.5))
            * 2.2 * tf[term] / (tf[term] + 0.3 + 0.9 * tf.total() / average)
            for term, count in Counter(query.split()).items()
        )  # fmt: skip
        if score > 0 and document.label in labels:
            scores[" ".join(document.body)] = score
    return scores


def check(found: list[dict[str, object]], expected: dict[str, float]) -> None:
    """The best scores in order, and of every score all chunks that have it, but for the last."""
    best = sorted(expected.values(), reverse=True)[:20]
    scores = [row["score"] for row in found]
    assert scores == pytest.approx(best, rel=1e-6)
    for row in found:
        assert expected[str(row["content"])] == pytest.approx(row["score"], rel=1e-6)
    assert len({row["content"] for row in found}) == len(found)


@pytest.mark.parametrize("seed", range(2))
def test_keyword_search_is_bm25(acme, seed):
    rng = random.Random(seed)
    keys = {"admin": acme.key, "bob": acme.member("bob@acme.test", "editor")}
    documents: list[Document] = []
    ids: dict[str, object] = {}
    numbers = itertools.count()

    def put(owner: str, count: int) -> None:
        new = [
            Document(
                f"{owner}{number}",
                owner,
                tuple(rng.choices(WORDS, k=rng.randint(0, 2))),
                (
                    f"no{owner}{number}",
                    *rng.choices(WORDS, WEIGHTS, k=rng.randint(3, 30)),
                ),
                rng.randrange(20),
            )
            for number in itertools.islice(numbers, count)
        ]
        rows = acme.as_key(
            keys[owner],
            "put_documents",
            p_documents=Jsonb(
                [
                    {
                        "external_id": d.external_id,
                        "title": " ".join(d.title) or "!",
                        "content": " ".join(d.body),
                        "labels": [f"l{d.label}", *(["half"] if d.label < 10 else [])],
                    }
                    for d in new
                ]
            ),
            p_visibility="private" if owner == "bob" else "workspace",
        )
        ids.update({str(row["external_id"]): row["document_id"] for row in rows})
        documents.extend(new)

    def delete(owner: str, share: float) -> None:
        gone = [d for d in documents if d.owner == owner and rng.random() < share]
        acme.as_key(
            keys[owner], "delete_documents", p_document_ids=[ids[d.external_id] for d in gone]
        )
        for document in gone:
            documents.remove(document)

    def maintain(owner: str, limit: int | None) -> None:
        acme.as_key(keys[owner], "maintain", p_limit=limit)

    steps = [
        lambda: put("admin", 650),
        lambda: put("bob", 30),
        lambda: maintain("admin", 400),
        lambda: put("admin", rng.randint(100, 600)),
        lambda: delete("admin", 0.05),
        lambda: maintain("bob", None),
        lambda: delete("admin", 0.3),
        lambda: (put("admin", 120), delete("bob", 0.5)),
        lambda: maintain("admin", None),
    ]
    for step in steps:
        step()
        for name, key in keys.items():
            visible = [d for d in documents if d.owner in ("admin", name)]
            for query in QUERIES:
                for label, labels in FILTERS.items():
                    found = acme.as_key(
                        key, "search", p_query=query, p_mode="keyword", p_limit=20,
                        p_filters=None if label is None else {"label": label}, read_only=True,
                    )  # fmt: skip
                    check(found, bm25(visible, query, labels))
