"""Queries as people type them, drawn from a tenant's own text by a fixed seed.

A quarter each: titles, phrases of three to six words, three to six words of one chunk that are
neither rare nor frequent, and questions about a phrase.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from bench.export import Export

_WORD = re.compile(r"[A-Za-z][a-z]{2,}")
_COMMON = frozenset(
    """
    the and for with that this from are was not can will has have but you your its into then than
    when which one all any may use used using also only other such these those each more
    """.split()  # noqa: SIM905
)
_QUESTIONS = ("how do I {}", "what is {}", "where is {} explained", "why does {} matter")
_SAMPLE = 20_000
_SEED = 7


@dataclass(frozen=True)
class Query:
    """A text and its vector; peers get both, ragdb embeds the text itself."""

    text: str
    vector: NDArray[np.float32]
    org: int
    """Whose text it was drawn from, and who asks."""
    key: str


def of_tenants(export: Export, orgs: Sequence[int], many: int) -> list[tuple[int, str]]:
    """So many queries over the chunks of these organizations, which take turns."""
    chance = random.Random(_SEED)
    samples: dict[int, list[tuple[str, str]]] = {org: [] for org in orgs}
    chosen: set[int] = set()
    for org in orgs:
        rows: list[int] = np.flatnonzero(export.orgs == org).tolist()
        chosen.update(chance.sample(rows, min(len(rows), _SAMPLE // len(orgs))))
    for row, text in enumerate(export.texts()):
        if row in chosen:
            samples[int(export.orgs[row])].append(text)
    each = {org: texts(sample, -(-many // len(orgs))) for org, sample in samples.items()}
    turns = range(-(-many // len(orgs)))
    return [(org, each[org][turn]) for turn in turns for org in orgs][:many]


def texts(sample: Sequence[tuple[str, str]], many: int) -> list[str]:
    """So many queries over texts with their titles."""
    chance = random.Random(_SEED)
    counts = Counter(word for _, content in sample for word in set(_words(content)))
    middling = {
        word for word, count in counts.items()
        if word not in _COMMON and 0.0005 * len(sample) <= count <= 0.05 * len(sample)
    }  # fmt: skip
    found: list[str] = []
    for kind in islice(cycle(("title", "phrase", "words", "question")), 1000 * many):
        if len(found) == many:
            return found
        title, content = chance.choice(sample)
        text = _query(kind, title, content, middling, chance)
        if text is not None:
            found.append(text)
    raise ValueError("There is too little prose in the corpus to draw queries from.")


def _query(
    kind: str, title: str, content: str, middling: set[str], chance: random.Random
) -> str | None:
    if kind == "title":
        # Quotation marks would be syntax to some: only what has the phrase is a result then.
        return title.replace('"', " ") if 2 <= len(_words(title)) <= 10 else None
    if kind == "words":
        words = sorted(set(_words(content)) & middling)
        return " ".join(chance.sample(words, min(len(words), chance.randint(3, 6)))) or None
    words = _WORD.findall(content)
    length = chance.randint(3, 6)
    if len(words) < length:
        return None
    start = chance.randrange(len(words) - length + 1)
    phrase = words[start : start + length]
    if sum(word.lower() not in _COMMON for word in phrase) < 2:
        return None
    text = " ".join(phrase)
    return chance.choice(_QUESTIONS).format(text) if kind == "question" else text


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
