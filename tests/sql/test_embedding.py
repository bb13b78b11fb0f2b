"""Embeddings computed by the database: words, vectors, batches, and the table behind them."""

from __future__ import annotations

import math
import random
import struct
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.resources import files
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ragdb import embedding

Tokens = dict[str, list[float]]

TEXTS = [
    "How do I rotate the API keys?",
    "PostgreSQL's planner memoizes nested-loop look-ups.",
    "Die Größe der Straßenbahn überrascht.",
    "東京は日本の首都です。",
    "Zażółć gęślą jaźń; naïve façade, “quoted” — déjà vu…",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "مُحَمَّد يقرأ الكتاب",
    "Привет, мир! İstanbul ISPARTA",
    "हिन्दी में एक वाक्य",
    "👩🏽‍🚀 launches 🚀 to 10² km",
]


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    """The vectors of the shipped file."""
    table = embedding.read_table()
    width = table.dimensions
    return {
        token.decode(): [value * scale for value in table.rows[i * width : (i + 1) * width]]
        for i, (token, scale) in enumerate(zip(table.tokens, table.scales, strict=True))
    }


def words(db: psycopg.Connection, text: str) -> list[str]:
    return db.execute("select ragdb.words(%s)", (text,)).fetchone()[0]


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


def add(a: Sequence[float], b: Sequence[float], weight: float = 1.0) -> list[float]:
    return [x + weight * y for x, y in zip(a, b, strict=True)]


def length(vector: Sequence[float]) -> float:
    return math.sqrt(sum(x * x for x in vector))


def same(a: Sequence[float] | None, b: Sequence[float] | None) -> bool:
    """Same direction, up to the rounding of half floats."""
    if a is None or b is None:
        return a is b
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (length(a) * length(b)) > 0.99999


def pieces(word: str, tokens: Tokens) -> Iterator[str]:
    """WordPiece spelled out: the longest token first, unknown characters skipped."""
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


def test_words(db: psycopg.Connection) -> None:
    for text, expected in {
        "Crème BRÛLÉE, 24/7": "creme brulee 24 7",
        "don't e-mail max_tokens": "don t e mail max tokens",
        "it\u2019s “quoted” — here…": "it s quoted here",
        "a\tb\nc\rd\x7fe\u00a0f\u2028g\u3000h": "a b c d e f g h",
        "\ufb01nance \uff46\uff55\uff4c\uff4c": "finance full",
        "10² word¹ 3½ H₂O ①First": "10 2 word 1 3 1 2 h2o 1 first",
        "東京タワー": "東 京 タワー",
        "soft\u00adhyphen zero\u200bwidth join\u200der": "softhyphen zero width joiner",
        "icon\uf0b7bullet": "icon bullet",
        "שָׁלוֹם مُحَمَّد": "שלום محمد",
        "İstanbul ISPARTA Łódź": "istanbul isparta łodz",
        "👩🏽‍🚀❤️1️⃣": "1",
        "\u0301\u0308 \u200d": "",
        "": "",
    }.items():
        assert words(db, text) == expected.split(), repr(text)


def any_text() -> list[str]:
    """Every seventh code point between letters, then noise from all planes."""
    valid = [c for c in range(1, sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    noise = random.Random(20)
    ranges = (valid[:0x100], valid[:0x3000], valid[:0x20000], valid)
    return [f"aI{chr(code)}bİ" for code in valid[::7]] + [
        "".join(chr(code) for code in noise.choices(noise.choice(ranges), k=60)) for _ in range(300)
    ]


def test_any_text_has_words_and_they_are_stable(db: psycopg.Connection) -> None:
    unstable, malformed = db.execute(
        r"""
        select count(*) filter (where ragdb.words(array_to_string(w.words, ' ')) <> w.words),
               count(*) filter (where '' = any (w.words) or array_to_string(w.words, '') ~ '\s')
          from unnest(%s::text[]) as t (text)
         cross join lateral (select ragdb.words(t.text) as words offset 0) w
        """,
        (any_text(),),
    ).fetchone()
    assert (unstable, malformed) == (0, 0)


def test_ascii_words_do_not_depend_on_other_words(db: psycopg.Connection) -> None:
    for code in range(1, 128):
        text = f"Ab{chr(code)}cD"
        assert words(db, f"{text} é") == [*words(db, text), "e"], repr(text)


def test_composed_and_decomposed_text_have_the_same_words(db: psycopg.Connection) -> None:
    for text in TEXTS:
        assert words(db, unicodedata.normalize("NFD", text)) == words(db, text)


def test_collations_of_arguments_do_not_matter(db: psycopg.Connection) -> None:
    query = """
      select ragdb.words(t.c || t.utf8),
             ragdb.embed(t.c || t.utf8)::real[],
             (select b.embedding::real[] from ragdb.embed_batch(array[t.c], array[t.utf8]) b)
        from (select %(text)s::text collate "C" as c,
                     %(text)s::text collate "pg_c_utf8" as utf8) t
    """
    for text in TEXTS:
        row = db.execute(query, {"text": text}).fetchone()
        assert row[0] == words(db, text + text)
        assert same(row[1], embed(db, text + text))
        assert same(row[2], embed(db, text))


@pytest.mark.parametrize(
    "locale",
    [
        "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'",
        "locale_provider libc locale 'C.UTF-8'",
        "locale_provider libc locale 'C'",
        "locale_provider libc locale 'en_US.UTF-8'",
        "locale_provider libc locale 'tr_TR.UTF-8'",
    ],
)
def test_words_do_not_depend_on_the_database_locale(db: psycopg.Connection, locale: str) -> None:
    may_create = "select rolcreatedb or rolsuper from pg_roles where rolname = current_user"
    if not db.execute(may_create).fetchone()[0]:
        pytest.skip("the role may not create databases")
    name = f"ragdb_locale_{uuid4().hex[:12]}"
    create = sql.SQL("create database {} template template0 encoding 'UTF8' {}").format(
        sql.Identifier(name), sql.SQL(locale)
    )
    try:
        db.execute(create)
    except psycopg.errors.WrongObjectType:
        pytest.skip("this server does not have the locale")
    try:
        dsn = make_conninfo(db.info.dsn, password=db.info.password, dbname=name)
        with psycopg.connect(dsn) as other:
            other.execute("create schema ragdb")
            other.execute(
                db.execute("select pg_get_functiondef('ragdb.words'::regproc)").fetchone()[0]
            )
            texts = TEXTS + any_text()[::50]
            query = (
                "select array_agg(array_to_string(ragdb.words(t), ' ')) from unnest(%s::text[]) t"
            )
            assert (
                other.execute(query, (texts,)).fetchone() == db.execute(query, (texts,)).fetchone()
            )
    finally:
        db.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


# Vectors


def test_embedding_is_the_unit_sum_of_the_pieces(db: psycopg.Connection, tokens: Tokens) -> None:
    for text in TEXTS:
        total = [0.0] * 256
        for word in words(db, text):
            for token in pieces(word, tokens):
                total = add(total, tokens[token])
        vector = embed(db, text)
        assert same(vector, total), text
        assert length(vector) == pytest.approx(1, abs=1e-3)


def test_unknown_characters_are_skipped(db: psycopg.Connection) -> None:
    assert same(embed(db, "key\ua000s"), embed(db, "key\ua001s"))
    assert embed(db, "\ua000\ua001") is None


def test_nothing_known_is_null(db: psycopg.Connection) -> None:
    for text in (None, "", "  \n", "?!… 🚀", "\u0301"):
        assert embed(db, text) is None
        assert embed_batch(db, [text]) == [None]


def test_long_words_are_not_spelled(db: psycopg.Connection) -> None:
    assert embed(db, "ab" * 50) is not None
    assert embed(db, "ab" * 50 + "c") is None
    assert same(embed(db, "keys " + "x" * 5000), embed(db, "keys"))


def test_embedding_does_not_depend_on_the_search_path(db: psycopg.Connection) -> None:
    expected = embed(db, TEXTS[0])
    with db.transaction():
        db.execute("set local search_path = ''")
        assert embed(db, TEXTS[0]) == expected
        assert same(embed_batch(db, [TEXTS[0]])[0], expected)


# Batches


def test_batch_equals_single(db: psycopg.Connection) -> None:
    texts = [*TEXTS, "", *any_text()[-100:], TEXTS[0]]
    for text, vector in zip(texts, embed_batch(db, texts), strict=True):
        assert same(vector, embed(db, text)), repr(text)


def test_batch_has_a_row_for_every_text(db: psycopg.Connection) -> None:
    texts = [None, "keys", "", "keys", "…"]
    assert [vector is None for vector in embed_batch(db, texts)] == [True, False, True, False, True]
    assert embed_batch(db, []) == []
    assert embed_batch(db, None) == []


def test_title_is_added_to_the_text(db: psycopg.Connection) -> None:
    texts, titles = TEXTS[:5], ["Security", "Planner", "Security", None, "…"]
    for weight in (0.0, 0.3, 2.0):
        vectors = embed_batch(db, texts, titles, weight)
        for text, title, vector in zip(texts, titles, vectors, strict=True):
            expected = embed(db, text)
            if direction := embed(db, title):
                expected = add(expected, direction, weight)
            assert same(vector, expected)
            assert length(vector) == pytest.approx(1, abs=1e-3)


def test_title_stands_in_for_a_text_without_words(db: psycopg.Connection) -> None:
    vectors = embed_batch(db, ["", None, "…", "keys"], ["Security", "Security", None, None])
    assert same(vectors[0], embed(db, "Security"))
    assert same(vectors[1], embed(db, "Security"))
    assert vectors[2] is None
    assert same(vectors[3], embed(db, "keys"))


def test_titles_must_match_the_texts(db: psycopg.Connection) -> None:
    for texts in (["one", "two"], [], None):
        with pytest.raises(psycopg.Error) as caught:
            embed_batch(db, texts, ["title"])
        assert caught.value.sqlstate == "PT400"
        assert caught.value.diag.constraint_name == "titles_mismatch"


# The table


def test_shipped_file_is_small_and_every_row_can_be_reached(
    db: psycopg.Connection, tokens: Tokens
) -> None:
    assert len((files("ragdb") / "data" / "minilm_256.int8").read_bytes()) <= 8_000_000
    assert max(map(len, tokens)) <= 18
    unreachable = db.execute(
        """
        select array_agg(t.token)
          from (select token, regexp_replace(token, '^##(.)', 'a\\1') as word
                  from unnest(%s::text[]) as token) t
         where ragdb.words(t.word) <> array[t.word]
        """,
        (list(tokens),),
    ).fetchone()[0]
    assert unreachable is None


def test_the_basis_that_comes_with_the_table_is_orthonormal() -> None:
    content = (files("ragdb") / "data" / "minilm_256.basis").read_bytes()
    basis = np.frombuffer(content, "<f4").reshape(384, embedding.read_table().dimensions)
    assert np.allclose(basis.T @ basis, np.eye(256), atol=1e-5)


def test_loaded_rows_are_the_shipped_rows(db: psycopg.Connection, tokens: Tokens) -> None:
    assert db.execute("select count(*) from ragdb_data.embedding_token").fetchone()[0] == len(
        tokens
    )
    sample = random.Random(5).sample(sorted(tokens), 200)
    rows = db.execute(
        "select token, embedding::real[] from ragdb_data.embedding_token where token = any (%s)",
        (sample,),
    ).fetchall()
    assert len(rows) == len(sample)
    for token, vector in rows:
        halves = struct.unpack("<256e", struct.pack("<256e", *tokens[token]))
        assert struct.pack("<256f", *vector) == struct.pack("<256f", *halves)


def test_load_is_recorded_and_not_repeated(db: psycopg.Connection) -> None:
    table = embedding.read_table()
    version = "select model, checksum, loaded_at from ragdb_data.embedding_table_version"
    before = db.execute(version).fetchall()
    assert [row[:2] for row in before] == [(table.model, table.checksum)]
    with db.transaction():
        assert embedding.load(db) is False
    assert db.execute(version).fetchall() == before


def test_another_checksum_reloads_in_the_callers_transaction(
    db: psycopg.Connection, tokens: Tokens
) -> None:
    expected = embed(db, "zebra crossing")
    with db.transaction():
        db.execute("update ragdb_data.embedding_table_version set checksum = 'of another table'")
        db.execute("delete from ragdb_data.embedding_token where token like 'z%'")

    with db.transaction(force_rollback=True):
        assert embedding.load(db) is True
    assert not same(embed(db, "zebra crossing"), expected)

    with db.transaction():
        assert embedding.load(db) is True
    assert embed(db, "zebra crossing") == expected
    test_loaded_rows_are_the_shipped_rows(db, tokens)
    test_load_is_recorded_and_not_repeated(db)
