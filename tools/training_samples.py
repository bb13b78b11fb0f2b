"""What a table is trained on: samples of every kind of text it will meet, drawn from the sources.

A query is to find a document, so passages stand next to what may ask for them: their heading, a
sentence, its keywords, a question made of a term and the passage that defines it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from training_texts import HOLE, SENTENCE_END, Block, Exclusion, documents, order, sources, words

# At most so many of a kind from one source: a long manual shall not outweigh the rest.
LIMITS = {
    "passage": 900,
    "sentence": 3600,
    "heading": 1200,
    "question": 1500,
    "asked": 1200,
    "keywords": 800,
    "definition": 2500,
    "term": 2500,
}
WORDNET_LIMITS = {"definition": 45_000, "sentence": 15_000, "term": 35_000, "asked": 12_000}
# And of all sources together: what half an hour encodes.
CAPS = {"sentence": 20_000, "passage": 4_000, "definition": 15_000, "term": 10_000}

TEMPLATES = (
    "what is {}",
    "what is {}?",
    "what does {} mean?",
    "what are {}",
    "how does {} work?",
    "how do I use {}?",
    "how is {} used",
    "why is {} important?",
    "definition of {}",
    "tell me about {}",
    "what causes {}?",
    "what is the purpose of {}?",
    "explain {}",
    "which {} is there?",
    "where is {} found?",
    "who {}",
    "when {}",
    "effects of {}",
    "examples of {}",
    "how to {}",
)
WORD_TEMPLATES = ("the {}", "{} and more", "about {}", "what is {}?", "a kind of {}", "{} in use")

STOP_WORDS = """
    a about after all also an and any are as at be because been but by can could did do does for
    from had has have he her his how i if in into is it its may more most no not of on only or
    other our out over she should so some such than that the their them then there these they
    this those to under up use used using was we were what when where which who will with would
    you your
"""
STOP = frozenset(STOP_WORDS.split())


class Sample(NamedTuple):
    """A text to learn, and the passage it asks for, if any."""

    kind: str
    text: str
    passage: str = ""


def sentences(text: str) -> list[str]:
    return [s for s in SENTENCE_END.split(text) if HOLE not in s]


def is_prose(text: str) -> bool:
    """Whether this is mostly words, and of them some that only English has."""
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters > 0.85 * len(text) and not STOP.isdisjoint(words(text)) and "http" not in text


def keywords(sentence: str) -> str:
    """A few words that a searcher might keep of a sentence, in its order."""
    kept = [word for word in words(sentence) if word not in STOP and len(word) > 2]
    chosen = sorted(range(len(kept)), key=lambda n: order(f"{sentence} {n}"))
    return " ".join(kept[n] for n in sorted(chosen[: 2 + order(sentence)[0] % 4]))


def asked(term: str) -> str:
    return TEMPLATES[order(term)[1] % len(TEMPLATES)].format(term)


def document_samples(blocks: Iterable[Block]) -> list[Sample]:
    """Everything one document offers."""
    found: list[Sample] = []
    heading, term, body = "", "", list[str]()

    def end_passage() -> None:
        text = " ".join(body)
        body.clear()
        if len(text.split()) < 30:
            return
        passage = f"{heading}. {text}" if heading else text
        inside = [s for s in sentences(text) if 5 <= len(s.split()) <= 40 and is_prose(s)]
        found.append(Sample("passage", passage))
        if heading:
            found.append(Sample("heading", heading, passage))
            found.append(Sample("asked", asked(heading.lower()), passage))
        for sentence in inside:
            kind = "question" if sentence.endswith("?") else "sentence"
            found.append(Sample(kind, sentence, passage))
            found.append(Sample("keywords", keywords(sentence), passage))

    for kind, text in blocks:
        if kind == "heading":
            end_passage()
            heading = re.sub(r"^[\dA-Z.]*\d[\d.]* |#$", "", text)
            heading = heading if 1 <= len(heading.split()) <= 12 else ""
        elif kind == "term":
            term = text
            found.append(Sample("term", term))
        elif kind == "meaning" and term and HOLE not in text:
            definition = f"{term}: {text}"
            found.append(Sample("definition", definition))
            found.append(Sample("asked", asked(term.split(",")[0]), definition))
        elif kind == "example":
            found.append(Sample("sentence", text))
        elif kind in {"problem", "li"} and text.endswith("?") and HOLE not in text:
            found.append(Sample("question", sentences(text)[-1]))
        elif kind in {"p", "para", "li", "dd"} and len(text.split()) >= 5:
            prose = " ".join(s for s in sentences(text) if is_prose(s))
            if prose:
                body.append(prose)
            if sum(len(part.split()) for part in body) > 70:
                end_passage()
    end_passage()
    return found


def word_samples(vocabulary: list[str], spell: Callable[[str], list[str]]) -> list[Sample]:
    """Every token alone, in a template and in a random pair; a piece inside a word behind stems."""
    chance = random.Random(1)  # noqa: S311
    whole = [token for token in vocabulary if not token.startswith("##")]
    stems = [token for token in whole if token.isascii() and token.isalpha() and len(token) > 3]
    found: list[Sample] = []
    for token in whole:
        found.append(Sample("word", token))
        found.append(Sample("word", WORD_TEMPLATES[order(token)[0] % 6].format(token)))
        found.append(Sample("word", f"{token} {chance.choice(stems)}"))
    for token in vocabulary:
        if token.startswith("##"):
            built = (chance.choice(stems) + token[2:] for _ in range(60))
            fitting = [word for word in built if token in spell(word)]
            found.extend(Sample("word", word) for word in fitting[:2])
    return found


def collect(folder: Path, exclusion: Exclusion) -> tuple[list[Sample], dict[str, int]]:
    """The chosen samples of all sources without repetition, and what was left out per kind."""
    chosen: list[Sample] = []
    seen: set[str] = set()
    dropped: dict[str, int] = {}
    for source in sources():
        pool: dict[str, dict[str, Sample]] = {}
        for blocks in documents(source, folder):
            for sample in document_samples(blocks):
                if 2 < len(sample.text) < 1200:
                    pool.setdefault(sample.kind, {}).setdefault(sample.text, sample)
        limits = WORDNET_LIMITS if source.name == "wordnet-base" else LIMITS
        for kind, limit in limits.items():
            ranked = sorted(pool.get(kind, {}).values(), key=lambda sample: order(sample.text))
            kept = 0
            for sample in ranked:
                if kept == limit or sample.text in seen:
                    continue
                if exclusion.covers(sample.text) or exclusion.covers(sample.passage):
                    dropped[kind] = dropped.get(kind, 0) + 1
                    continue
                seen.add(sample.text)
                chosen.append(sample)
                kept += 1
    return capped(chosen), dropped


def capped(samples: list[Sample]) -> list[Sample]:
    """The first of the shuffle of each kind, in their own order."""
    allowed: set[str] = set()
    for kind in {sample.kind for sample in samples}:
        texts = sorted((s.text for s in samples if s.kind == kind), key=order)
        allowed.update(texts[: CAPS.get(kind)])
    return [sample for sample in samples if sample.text in allowed]
