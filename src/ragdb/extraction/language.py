"""The language of a text, as PostgreSQL's text search configurations are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdb.extraction.pool import Extractors, extractors
from ragdb.extraction.result import ExtractError

SHORTEST = 120
"""Characters below which a text is too short to tell."""

_SAMPLE = 2000
_CONFIGURATIONS: Mapping[str, str] = {
    "ara": "arabic", "cat": "catalan", "dan": "danish", "deu": "german", "ell": "greek",
    "eng": "english", "est": "estonian", "eus": "basque", "fin": "finnish", "fra": "french",
    "gle": "irish", "hin": "hindi", "hun": "hungarian", "hye": "armenian", "ind": "indonesian",
    "ita": "italian", "lit": "lithuanian", "nep": "nepali", "nld": "dutch", "nob": "norwegian",
    "por": "portuguese", "ron": "romanian", "rus": "russian", "spa": "spanish", "srp": "serbian",
    "swe": "swedish", "tam": "tamil", "tur": "turkish", "ydd": "yiddish",
}  # fmt: skip


def languages(texts: Sequence[str], pool: Extractors | None = None) -> list[str | None]:
    """The configuration for each text; None where it is short, unsure or has no configuration."""
    asked = [number for number, text in enumerate(texts) if len(text) >= SHORTEST]
    found: list[str | None] = [None] * len(texts)
    if not asked:
        return found
    try:
        codes = (pool or extractors()).languages([_sample(texts[number]) for number in asked])
    except ExtractError:  # it is stored all the same
        return found
    for number, code in zip(asked, codes, strict=True):
        found[number] = _CONFIGURATIONS.get(code) if code else None
    return found


def _sample(text: str) -> str:
    """The beginning, and of a long text its middle, which is less often a table of contents."""
    middle = text[max(len(text) // 2, _SAMPLE) :][:_SAMPLE]
    return " ".join(f"{text[:_SAMPLE]} {middle}".split())
