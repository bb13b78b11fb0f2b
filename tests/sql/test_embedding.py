"""Embeddings computed by the database: words, vectors, batches, and the table behind them."""

from __future__ import annotations

import math
import random
import struct
import sys
import unicodedata
from collections.abc import Iterator, Sequence

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from ragdb import embedding

TEXTS = [
    "How do I rotate the API keys?",
    "PostgreSQL's planner memoizes nested-loop look-ups.",
    "Die Größe der Straßenbahn überrascht.",
    "東京は日本の首都です。",
    "Zażółć gęślą jaźń; naïve façade, ﬁnance “quoted” — déjà vu…",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "مُحَمَّد يقرأ الكتاب",
    "Привет, мир!",
    "हिन्दी में एक वाक्य",
    "👩🏽‍🚀 launches 🚀 to 10² km",
]


def unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(unit(a), unit(b), strict=True))


def embed(db: psycopg.Connection, text: str | None) -> list[float] | None:
    return db.execute("select ragdb.embed(%s)::real[]", (text,)).fetchone()[0]


def embed_batch(
    db: psycopg.Connection,
    texts: list[str | None] | None,
    titles: list[str | None] | None = None,
    weight: float = 0.3,
) -> list[list[float] | None]:
    rows = db.execute(
        "select ordinal, embedding::real[] from ragdb.embed_batch(%s, %s, %s)",
        (texts, titles, weight),
    ).fetchall()
    assert [ordinal for ordinal, _ in rows] == list(range(1, len(rows) + 1))
    return [vector for _, vector in rows]


def words(db: psycopg.Connection, text: str) -> list[str]:
    return db.execute("select ragdb.words(%s)", (text,)).fetchone()[0]


@pytest.fixture(scope="module")
def tokens() -> dict[str, list[float]]:
    """The shipped table, read without the code under test that writes it."""
    table = embedding.read_table()
    width = table.dimensions
    return {
        token.decode(): [value * scale for value in table.rows[i * width : (i + 1) * width]]
        for i, (token, scale) in enumerate(zip(table.tokens, table.scales, strict=True))
    }


def pieces(word: str, tokens: dict[str, list[float]]) -> Iterator[str]:
    """WordPiece, spelled out: the longest token first, unknown characters skipped."""
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in tokens:
                yield prefix + word[start:end]
                start = end
                break
        else:
            start += 1


# Words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Crème BRÛLÉE, 24/7", ["creme", "brulee", "24", "7"]),
        ("don't e-mail max_tokens", ["don", "t", "e", "mail", "max", "tokens"]),
        ("it’s “quoted” — here…", ["it", "s", "quoted", "here"]),
        ("tab\tnew\nline\r\x7fdelete\x00a0".replace("\x00", "\u00a0"), None),
        ("ﬁnance ｆｕｌｌ Ⅻ", ["finance", "full", "xii"]),
        ("10² km½ word¹ H₂O ①First", ["10", "2", "km", "1", "2", "word", "1", "h2o", "1", "first"]),
        ("東京タワー", ["東", "京", "タワー"]),
        ("soft\u00adhyphen zero\u200bwidth join\u200der", ["softhyphen", "zero", "width", "joiner"]),
        ("icon\uf0b7bullet", ["icon", "bullet"]),
        ("שָׁלוֹם مُحَمَّد", ["שלום", "محمد"]),
        ("İstanbul ISPARTA ΣΊΣΥΦΟΣ Łódź", ["istanbul", "isparta", "σισυφοσ", "łodz"]),
        ("👩🏽‍🚀❤️1️⃣", ["1"]),
        ("\u0301\u0308 \u200d", []),
        ("", []),
    ],
)
def test_words(db: psycopg.Connection, text: str, expected: list[str] | None) -> None:
    if expected is None:
        expected = ["tab", "new", "line", "delete", "a0"]
    assert words(db, text) == expected


def any_text() -> list[str]:
    """Every seventh code point between letters, then noise from all planes."""
    valid = [c for c in range(1, sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    noise = random.Random(20)
    return [f"aI{chr(c)}bİ" for c in valid[::7]] + [
        "".join(chr(noise.choice(valid[: noise.choice((256, 0x3000, 0x20000, None))])) for _ in range(60))
        for _ in range(300)
    ]


def test_any_text_has_words_and_they_are_stable(db: psycopg.Connection) -> None:
    unstable, malformed = db.execute(
        """
        select count(*) filter (where ragdb.words(array_to_string(w.words, ' ')) <> w.words),
               count(*) filter (where '' = any (w.words) or array_to_string(w.words, '') ~ '\\s')
          from unnest(%s::text[]) as t (text)
         cross join lateral (select ragdb.words(t.text) as words offset 0) w
        """,
        (any_text(),),
    ).fetchone()
    assert (unstable, malformed) == (0, 0)


def test_words_do_not_depend_on_the_company_they_keep(db: psycopg.Connection) -> None:
    """ASCII takes a short cut; an accent elsewhere in the text must not change its words."""
    for code in range(1, 128):
        text = f"Ab{chr(code)}cD"
        assert words(db, text + " é") == [*words(db, text), "e"], repr(text)


def test_composed_and_decomposed_text_have_the_same_words(db: psycopg.Connection) -> None:
    for text in TEXTS:
        assert words(db, unicodedata.normalize("NFD", text)) == words(db, text)


@pytest.mark.parametrize("collation", ["C", "POSIX", "pg_c_utf8", "unicode", "en_US", "tr_TR"])
def test_words_ignore_the_collation_of_their_argument(
    db: psycopg.Connection, collation: str
) -> None:
    known = db.execute(
        "select 1 from pg_collation where collname = %s and (collprovider <> 'i' or %s)",
        (collation, has_icu(db)),
    ).fetchone()
    if not known:
        pytest.skip("this server does not have the collation")
    query = sql.SQL("select ragdb.words(%s::text collate {})").format(sql.Identifier(collation))
    for text in TEXTS:
        assert db.execute(query, (text,)).fetchone()[0] == words(db, text)


def has_icu(db: psycopg.Connection) -> bool:
    return db.execute("select pg_collation_actual_version(oid) is not null from pg_collation"
                      " where collname = 'unicode'").fetchone()[0]
