"""Chunking: equal to LangChain where it promises that, exact offsets, sections, and stable cuts."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from langchain_text_splitters import RecursiveCharacterTextSplitter
from markdown_it import MarkdownIt
from psycopg.types.json import Jsonb

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
SEPARATORS = ["\n\n", "\n", " ", ""]
PIECES = [
    "a", "bb", "word", "longer_than_most_words", ".", ", ", "x.y", "Ende! ", "?", " ", "  ", "\n",
    "\n\n", "\n\n\n", "\r\n", "\r", "\t", "\f", "\v", "\x1c", "\u00a0", "\u2003", "\u2028", "é",
    "e\u0301", "日本語。", "ไทย", "שלום", "😀", "👩\u200d🔬", "Ω", "\ufeff",
]  # fmt: skip
MARKDOWN = [
    "# A\n", "## B\n", "### `c` d\n", "Title\n===\n", "two\n---\n", "\n", "\n\n", "A sentence. ",
    "Words here\n", "```\n", "~~~~\n", "    # code\n", "- item\n", "2. item\n", "| a | b |\n",
    "|---|---|\n", "> quote\n", "<!--", "-->\n", "<pre>\n", "\f", "\r\n", "\r", "#", "日本語。",
    "😀", "\u00a0\n", "abcdefghij" * 4, "---\n",
]  # fmt: skip


class Case(NamedTuple):
    """A call of a chunker."""

    text: str
    size: int
    overlap: int
    unit: str
    separators: Sequence[str] = SEPARATORS


class Chunk(NamedTuple):
    """A row of its result."""

    ordinal: int
    start: int
    end: int
    content: str
    path: list[str]


def run(db: psycopg.Connection, function: str, cases: Sequence[Case]) -> list[list[Chunk]]:
    """The chunks of every case, all from one statement."""
    arguments = "c.body, c.size, c.overlap, p_unit => c.unit"
    if function == "chunk_recursive":
        arguments += ", p_separators => c.separators"
    db.execute(
        "create temp table if not exists chunk_case"
        " (number int, body text, size int, overlap int, unit text, separators text[])"
    )
    db.execute("truncate chunk_case")
    with db.cursor().copy("copy chunk_case from stdin") as copy:
        for number, case in enumerate(cases):
            copy.write_row((number, *case[:4], list(case.separators)))
    results: list[list[Chunk]] = [[] for _ in cases]
    for number, *row in db.execute(
        f"select c.number, k.* from chunk_case c cross join lateral ragdb.{function}({arguments}) k"
        " order by c.number, k.ordinal"
    ):
        chunk = Chunk(*row)
        assert chunk.ordinal == len(results[number])
        assert chunk.content == cases[number].text[chunk.start : chunk.end]
        results[number].append(chunk)
    return results


@cache
def token_class(character: str) -> str:
    """What ragdb.count_tokens() takes a character for: space, a token of its own, or a letter."""
    code = ord(character)
    if character.isspace():
        return " "
    east_asian = (
        0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3
        or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF
    )  # fmt: skip
    return "." if east_asian or unicodedata.category(character)[0] in "PS" else "a"


def count_tokens(text: str) -> int:
    """The twin of ragdb.count_tokens()."""
    return len(re.findall("a{1,8}|[.]", "".join(map(token_class, text))))


def measure(text: str, unit: str) -> int:
    return len(text) if unit == "characters" else count_tokens(text)


def langchain(case: Case) -> list[str]:
    """What LangChain makes of a case, without the chunks of nothing but whitespace."""
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=case.size,
        chunk_overlap=case.overlap,
        separators=list(case.separators),
        length_function=lambda text: measure(text, case.unit),
    )
    return [chunk for chunk in splitter.split_text(case.text) if chunk.strip()]


def corpus() -> list[str]:
    """Texts of the project, and some that are harder."""
    patterns = ("*.md", "docs/**/*.md", "sql/**/*.sql", "src/**/*.py", "tests/data/guide*")
    files = sorted({file for pattern in patterns for file in ROOT.glob(pattern) if file.is_file()})
    texts = [file.read_text() for file in files]
    chooser = random.Random(1)
    return [
        *texts,
        "\n\n".join(texts),
        " ".join("".join(texts).split()),
        "\r\n".join("".join(texts).split("\n")),
        "".join(texts[0].split()) * 20,
        "今日は天気がいいですね。明日は雨が降るかもしれません。" * 200,
        " ".join(chooser.choices(PIECES, k=5000)),
        "".join(chooser.choices(PIECES, k=5000)),
        "",
        " \n\t\u3000\n\n",
        "x",
        "y" * 3000,
    ]


def random_texts(pieces: Sequence[str], count: int, length: int, seed: int) -> Iterable[str]:
    chooser = random.Random(seed)
    for _ in range(count):
        yield "".join(chooser.choices(pieces, k=chooser.randint(0, length)))


def test_count_tokens(db: psycopg.Connection) -> None:
    for text, tokens in [
        (None, None),
        ("", 0),
        (" \n\u3000", 0),
        ("Hello, world!", 4),
        ("snake_case 3.14", 6),
        ("internationalization", 3),
        ("café cafe\u0301", 2),
        ("今日は、雨", 5),
        ("한국어", 3),
        ("👍🏽", 2),
    ]:
        assert db.execute("select ragdb.count_tokens(%s)", (text,)).fetchone() == (tokens,)
    texts = [*corpus(), *random_texts(PIECES, 1000, 30, seed=2)]
    counts = db.execute(
        "select ragdb.count_tokens(t) from unnest(%s::text[]) with ordinality u (t, n) order by n",
        (texts,),
    )
    assert [row[0] for row in counts] == [count_tokens(text) for text in texts]


@pytest.mark.parametrize(("size", "overlap", "unit"), [(256, 0, "characters"), (512, 50, "tokens")])
def test_recursive_presets_equal_langchain(
    db: psycopg.Connection, size: int, overlap: int, unit: str
) -> None:
    cases = [Case(text, size, overlap, unit) for text in corpus()]
    for case, chunks in zip(cases, run(db, "chunk_recursive", cases), strict=True):
        assert [chunk.content for chunk in chunks] == langchain(case)
        assert all(chunk.path == [] for chunk in chunks)


def test_recursive_defaults_are_a_preset(db: psycopg.Connection) -> None:
    text = (ROOT / "README.md").read_text()
    rows = db.execute("select content from ragdb.chunk_recursive(%s)", (text,))
    assert [row[0] for row in rows] == langchain(Case(text, 512, 50, "tokens"))


def test_recursive_equals_langchain_on_random_texts(db: psycopg.Connection) -> None:
    chooser = random.Random(3)
    cases: list[Case] = []
    for text in random_texts(PIECES, 4000, 40, seed=4):
        size = chooser.randint(1, 25)
        cases.append(
            Case(
                text,
                size,
                chooser.choice([0, chooser.randrange(size)]),
                chooser.choice(["characters", "tokens"]),
                chooser.choice(
                    [SEPARATORS, SEPARATORS, ["\n\n", " "], [". ", "? ", " "], [""],
                     [" ", "\n", ""], ["\n", "", " "], ["a", "bb", "word"], ["absent"]]
                ),
            )
        )  # fmt: skip
    for case, chunks in zip(cases, run(db, "chunk_recursive", cases), strict=True):
        assert [chunk.content for chunk in chunks] == langchain(case), case


def sections(db: psycopg.Connection, text: str, size: int = 60) -> list[tuple[str, list[str]]]:
    [chunks] = run(db, "chunk_markdown", [Case(text, size, 0, "tokens")])
    return [(chunk.content, chunk.path) for chunk in chunks]


def test_markdown_guide(db: psycopg.Connection) -> None:
    text = (DATA / "guide.md").read_text()
    root = ["Kettle guide"]
    cleaning = [*root, "Cleaning and descaling"]
    paths: list[list[str]] = []
    for content, path in sections(db, text):
        if path not in paths:
            paths.append(path)
            assert not path or path[-1] in re.sub(r"[`*\\]|\]\(.*?\)|\[", "", content)
    assert paths == [
        [],
        root,
        [*root, "Safety"],
        [*root, "Safety", "Steam"],
        cleaning,
        [*cleaning, "snake_case #4"],
        ["Ende gut 👍"],
    ]


def test_markdown_headings_are_those_of_commonmark(db: psycopg.Connection) -> None:
    # Apart from front matter, and setext headings of several lines.
    commonmark = MarkdownIt("commonmark").enable("table")
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), DATA / "guide.md"]:
        text = re.sub(r"\A---\n.*?\n---\n", "", file.read_text(), flags=re.DOTALL)
        text = re.sub(r"\n(?=in a line with|---\n\n#hashtag)", "\n\n", text)
        expected = [
            (token.map[0], int(token.tag[1:]))
            for token in commonmark.parse(text)
            if token.type == "heading_open" and token.level == 0 and token.map
        ]
        found = db.execute(
            "select char_start, heading_level from ragdb_data._markdown_blocks(%s)"
            " where heading_level is not null",
            (text,),
        ).fetchall()
        assert [(text.count("\n", 0, start), level) for start, level in found] == expected, file


HEADINGS = [
    ("# Plain", "Plain"),
    ("#\tTab ##  ", "Tab"),
    ("### C# ###", "C#"),
    ("# `__init__` and __bold__ or *it*", "__init__ and bold or it"),
    ("# a_b_c 2 * 3 * 4", "a_b_c 2 * 3 * 4"),
    ("# ***All*** ~~gone~~ {#anchor}", "All gone"),
    ("# [Link `f()`](http://x_y_z) ![icon](i.png)", "Link f() icon"),
    ("# [Ref][1] [plain] <a id='x'></a>tag", "Ref [plain] tag"),
    (r"# \*not\* bold", "*not* bold"),
]


def test_markdown_path_is_plain_text(db: psycopg.Connection) -> None:
    for heading, plain in HEADINGS:
        assert sections(db, f"{heading}\n\nText.\n")[0][1] == [plain]


WORDS = " ".join(f"word{n}" for n in range(25))
SECTIONS = [
    # A heading without text joins its child, whose path is the more exact one.
    (f"# A\n\n## B\n\n{WORDS}", [["A", "B"]]),
    # A short text joins its sibling: the path is what both have in common.
    (f"# A\n\n## B\n\nshort\n\n## C\n\n{WORDS}", [["A"]]),
    # With no sibling or child it joins its parent.
    (f"# A\n\n{WORDS}\n\n## B\n\nshort\n\n# C\n\n{WORDS}", [["A"], ["C"]]),
    # Nothing is lost for it: not the path of a sibling before, nor of a heading above.
    (f"# A\n\n## B\n\n{WORDS}\n\n## C\n\nshort", [["A", "B"], ["A", "C"]]),
    (f"# A\n\n{WORDS}\n\n# B\n\nshort", [["A"], ["B"]]),
    # A last heading without text is no chunk.
    (f"# A\n\n{WORDS}\n\n# B", [["A"]]),
    # What precedes the first heading has no path to lose.
    (f"badge\n\n# A\n\n{WORDS}", [["A"]]),
    (f"{WORDS}\n\n# A\n\n{WORDS}", [[], ["A"]]),
    # Levels may be left out.
    (f"### A\n\n{WORDS}\n\n## B\n\n{WORDS}\n\n#### C\n\n{WORDS}", [["A"], ["B"], ["B", "C"]]),
    (f"# A\n\n{WORDS}\n\n#\n\n{WORDS}", [["A"], []]),
]


def test_markdown_sections(db: psycopg.Connection) -> None:
    for text, expected in SECTIONS:
        assert [path for _, path in sections(db, text, size=80)] == expected, text


def test_markdown_keeps_what_fits_whole(db: psycopg.Connection) -> None:
    code = "```\n" + "\n\n".join(f"line {n} of it" for n in range(12)) + "\n```"
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | x |" for n in range(10))
    text = f"# A\n\n{WORDS}\n\n{code}\n\n{WORDS}\n\n{table}\n\n{WORDS}"
    contents = [content for content, _ in sections(db, text, size=64)]
    assert any(code in content for content in contents)
    assert any(table in content for content in contents)
    assert all(count_tokens(content) <= 64 for content in contents)


def test_markdown_divides_where_it_hurts_least(db: psycopg.Connection) -> None:
    sentences = [f"Sentence {n} has a few words, no more." for n in range(40)]
    for content, _ in sections(db, "# A\n\n" + " ".join(sentences)):
        assert content.endswith(".")
    items = [f"- Item {n} has words. And a second sentence" for n in range(40)]
    for content, _ in sections(db, "\n".join(items)):
        assert content.startswith("- Item")
    lines = [f"row_{n} = {n}" for n in range(40)]
    for content, _ in sections(db, "```\n" + "\n".join(lines) + "\n```"):
        assert content.startswith(("```", "row_"))


SIZES = [
    (512, 0, "tokens"), (256, 0, "characters"), (60, 15, "tokens"), (9, 0, "tokens"),
    (40, 15, "characters"), (1, 0, "characters"),
]  # fmt: skip


def test_markdown_covers_the_text_in_chunks_that_fit(db: psycopg.Connection) -> None:
    for size, overlap, unit in SIZES:
        texts = [
            *random_texts(MARKDOWN, 600, 60, seed=size),
            *random_texts(PIECES, 200, 60, seed=size),
            *(corpus() if size > 60 else []),
        ]
        cases = [Case(text, size, overlap, unit) for text in texts]
        for case, chunks in zip(cases, run(db, "chunk_markdown", cases), strict=True):
            covered = 0
            for chunk in chunks:
                assert measure(chunk.content, unit) <= size
                assert chunk.content == chunk.content.rstrip() != ""
                assert not re.match(r"\s*\n", chunk.content)
                assert "\f" not in chunk.content
                assert chunk.start >= covered or overlap
                assert chunk.end > covered
                assert not case.text[covered : chunk.start].replace("\ufeff", "").strip()
                covered = chunk.end
            assert not case.text[covered:].replace("\ufeff", "").strip()


def test_markdown_overlap_repeats_whole_paragraphs_of_the_section(db: psycopg.Connection) -> None:
    paragraphs = [f"Paragraph {n} of ten words, all of them about kettles." for n in range(60)]
    text = "# A\n\n" + "\n\n".join(paragraphs[:30]) + "\n\n# B\n\n" + "\n\n".join(paragraphs[30:])
    [chunks] = run(db, "chunk_markdown", [Case(text, 100, 30, "tokens")])
    overlaps = 0
    for before, chunk in pairwise(chunks):
        shared = text[chunk.start : before.end]
        overlaps += bool(shared)
        assert not shared or (before.path == chunk.path and shared.startswith("Paragraph"))
        assert before.start < chunk.start
        assert count_tokens(shared) <= 30
    assert overlaps > 5


@pytest.mark.parametrize("section", [0, 15])
def test_markdown_edits_change_few_chunks(db: psycopg.Connection, section: int) -> None:
    """One sentence edited in 500 chunks: in the ordinary case no more than two are others."""
    chooser = random.Random(section)
    words = ["".join(chooser.choices("aeioulnrst", k=chooser.randint(2, 9))) for _ in range(3000)]

    def sentence() -> str:
        return " ".join(chooser.choices(words, k=chooser.randint(4, 12))).capitalize() + "."

    document = [[sentence() for _ in range(chooser.randint(2, 6))] for _ in range(1150)]
    for n in range(0, len(document), section or len(document)):
        document[n].insert(0, f"## Section {n}\n\n")

    versions = [document]
    for kind in range(60):
        edited = [list(paragraph) for paragraph in document]
        paragraph = edited[chooser.randrange(len(edited))]
        place = chooser.randrange(1, len(paragraph))
        match kind % 4:
            case 0:
                paragraph[place] = paragraph[place].replace(" ", " edited ", 1)
            case 1:
                paragraph[place] = sentence()
            case 2:
                paragraph.insert(place, sentence())
            case _:
                del paragraph[place]
        versions.append(edited)

    texts = ["\n\n".join(" ".join(paragraph) for paragraph in version) for version in versions]
    results = [
        Counter(chunk.content for chunk in chunks)
        for chunks in run(db, "chunk_markdown", [Case(text, 128, 0, "tokens") for text in texts])
    ]
    assert results[0].total() >= 500
    changed = [(result - results[0]).total() for result in results[1:]]
    assert sum(count <= 2 for count in changed) >= 0.95 * len(changed)
    assert max(changed) <= 5


def chunk_text(db: psycopg.Connection, text: str | None, profile: object) -> list[tuple[Any, ...]]:
    rows = db.execute("select * from ragdb.chunk_text(%s, %s)", (text, Jsonb(profile))).fetchall()
    for _, start, end, content, _, _ in rows:
        assert text is not None
        assert text[start:end] == content
    return rows


def test_chunk_text_dispatches(db: psycopg.Connection) -> None:
    text = (DATA / "guide.md").read_text()
    for profile, case, function in [
        ({}, Case(text, 512, 0, "tokens"), "chunk_markdown"),
        ({"size": 40, "overlap": 8}, Case(text, 40, 8, "tokens"), "chunk_markdown"),
        ({"chunker": "recursive"}, Case(text, 512, 50, "tokens"), "chunk_recursive"),
        ({"chunker": "recursive", "size": 100}, Case(text, 100, 10, "tokens"), "chunk_recursive"),
        (
            {"chunker": "recursive", "size": 256, "overlap": 0, "unit": "characters",
             "separators": ["\n", ""]},
            Case(text, 256, 0, "characters", ["\n", ""]),
            "chunk_recursive",
        ),
    ]:  # fmt: skip
        expected = run(db, function, [case])[0]
        assert chunk_text(db, text, profile) == [(*chunk, None) for chunk in expected]
    default = db.execute("select * from ragdb.chunk_text(%s)", (text,)).fetchall()
    assert default == chunk_text(db, text, {})


@pytest.mark.parametrize("chunker", ["markdown", "recursive"])
def test_chunk_text_counts_pages(db: psycopg.Connection, chunker: str) -> None:
    text = "# Title\n\nFirst page é\fSecond page\n\f\f# Fourth\n\n😀 page\n"
    rows = chunk_text(db, text, {"chunker": chunker})
    assert [(content, page) for *_, content, _, page in rows] == [
        ("# Title\n\nFirst page é", 1),
        ("Second page", 2),
        ("# Fourth\n\n😀 page", 4),
    ]
    assert [row[0] for row in rows] == [0, 1, 2]
    if chunker == "markdown":
        assert [path for *_, path, _ in rows] == [["Title"], ["Title"], ["Fourth"]]


def test_nothing_has_no_chunks(db: psycopg.Connection) -> None:
    for text in (None, "", " \r\n\t\u3000\f\n"):
        assert chunk_text(db, text, {}) == []
        assert chunk_text(db, text, {"chunker": "recursive"}) == []


SCRIPTS = [
    (
        "# A\r\n\r\nOne\r\ntwo\r\n\r\n# B\r\n\r\nThree",
        ["# A\r\n\r\nOne\r\ntwo", "# B\r\n\r\nThree"],
    ),
    ("# A\r\rOne\rtwo\r\r# B\r\rThree", ["# A\r\rOne\rtwo", "# B\r\rThree"]),
    ("\ufeff# A\n\nOne\n\n# B\n\nTwo", ["\ufeff# A\n\nOne", "# B\n\nTwo"]),
    ("\n \n    indented\n\n\u3000\n", ["    indented"]),
    ("# ברק\n\nרעם e\u0301 👩\u200d🔬", ["# ברק\n\nרעם e\u0301 👩\u200d🔬"]),
]


def test_markdown_reads_any_line_end_and_script(db: psycopg.Connection) -> None:
    for text, contents in SCRIPTS:
        assert [content for content, _ in sections(db, text, size=8)] == contents


def test_a_large_text_without_a_line_end_works(db: psycopg.Connection) -> None:
    text = "Der Kessel pfeift über dem Feuer. " * 30_000
    cases = [Case(text, 512, 50, "tokens")]
    for function in ("chunk_recursive", "chunk_markdown"):
        [chunks] = run(db, function, cases)
        assert chunks[-1].end == len(text) - 1
        assert all(count_tokens(chunk.content) <= 512 for chunk in chunks)


REFUSALS = [
    ("chunk_recursive('x', 0, 0)", "invalid_chunk_size"),
    ("chunk_recursive('x', 5, 5)", "invalid_chunk_size"),
    ("chunk_recursive('x', 5, -1)", "invalid_chunk_size"),
    ("chunk_recursive('x', null)", "invalid_chunk_size"),
    ("chunk_recursive('x', p_unit => 'bytes')", "invalid_chunk_unit"),
    ("chunk_recursive('x', p_separators => '{}')", "invalid_chunk_separators"),
    ("chunk_recursive('x', p_separators => array[' ', null])", "invalid_chunk_separators"),
    ("chunk_markdown('x', -2147483648, 1)", "invalid_chunk_size"),
    ("chunk_markdown('x', 10, null)", "invalid_chunk_size"),
    ("chunk_markdown('x', p_unit => null)", "invalid_chunk_unit"),
    ("""chunk_text('', '{"size": 0}')""", "invalid_chunk_size"),
    ("""chunk_text('', '{"chunker": "recursive", "size": 0}')""", "invalid_chunk_size"),
    ("""chunk_text('x', '{"size": 10, "overlap": 10}')""", "invalid_chunk_size"),
    ("""chunk_text('x', '{"size": "10"}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"size": 1.5}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"size": 99999999999}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"overlap": null}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"chunker": "semantic"}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"unit": "bytes"}')""", "invalid_chunk_profile"),
    ("""chunk_text('x', '{"separators": ["."]}')""", "invalid_chunk_profile"),
    (
        """chunk_text('x', '{"chunker": "recursive", "separators": [1]}')""",
        "invalid_chunk_profile",
    ),
    (
        """chunk_text('x', '{"chunker": "recursive", "separators": []}')""",
        "invalid_chunk_profile",
    ),
    ("""chunk_text('x', '{"length": 10}')""", "invalid_chunk_profile"),
    ("chunk_text('x', '[]')", "invalid_chunk_profile"),
]


def test_what_cannot_work_is_refused(db: psycopg.Connection) -> None:
    for call, code in REFUSALS:
        with pytest.raises(psycopg.Error) as caught:
            db.execute(f"select * from ragdb.{call}")
        assert caught.value.sqlstate == "PT422", call
        assert caught.value.diag.constraint_name == code, call
        assert caught.value.diag.message_hint, call
