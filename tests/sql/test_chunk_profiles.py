"""How documents of a media type are divided: presets, what a workspace says, and one document."""

from __future__ import annotations

import pytest
from psycopg.types.json import Jsonb

from ragdb.errors import RagdbError

CSV = 'name,price,note\nbolt,2,"long, with\na break"\nnut,1,plain\n' + "".join(
    f"part {n},{n},spare number {n} of the great machine\n" for n in range(200)
)


def chunks(db, text, profile):
    rows = db.execute(
        "select ordinal, char_start, char_end, content, heading_path, page"
        " from ragdb.chunk_text(%s, %s)",
        (text, Jsonb(profile)),
    ).fetchall()
    for number, (ordinal, start, end, content, _, _) in enumerate(rows):
        assert ordinal == number
        assert text[start:end] == content
    return rows


def test_a_table_is_divided_between_rows_under_its_columns(db):
    rows = chunks(db, CSV, {"chunker": "table", "size": 60})
    assert len(rows) > 10
    assert {tuple(row[4]) for row in rows} == {("name | price | note",)}
    assert rows[0][3].startswith('bolt,2,"long, with\na break"\nnut,1,plain')
    assert "".join(row[3] + "\n" for row in rows) == CSV.split("\n", 1)[1]


@pytest.mark.parametrize(
    "text", ["only,a,header", "a\n", '"', '"a\nb"', 'a,"b\nc', "x\n" * 3, "a\f b,c\n1,2"]
)
def test_any_text_is_a_table(db, text):
    assert "".join(c for row in chunks(db, text, {"chunker": "table", "size": 3}) for c in row[3])


def test_a_markdown_table_has_its_columns_in_the_first_line(db):
    lines = ["| name | price |", "| --- | ---: |", *(f"| part {n} | {n} |" for n in range(50))]
    text = "\n".join(lines)
    rows = chunks(db, text, {"chunker": "table", "size": 40})
    assert {tuple(row[4]) for row in rows} == {("name | price",)}
    assert rows[0][3].startswith("| part 0 | 0 |\n| part 1 | 1 |")


def test_windows_of_sentences_overlap(db):
    text = " ".join(f"Sentence {n} speaks of things." for n in range(12))
    rows = chunks(db, text, {"chunker": "sentences", "size": 5, "overlap": 1})
    assert [row[3].count("speaks") for row in rows] == [5, 5, 4]
    assert rows[1][3].startswith("Sentence 4 ")


@pytest.mark.parametrize(
    "text",
    [
        "no end", "```\ncode = 1\n```", "a. B. C.\n\n```\nx\n```\n\nD e. F", "x" * 20_000,
        "Intro\fPage two. It ends.", "  \n lead. Then.\n\n",
    ],
)  # fmt: skip
def test_windows_leave_nothing_out(db, text):
    rows = chunks(db, text, {"chunker": "sentences", "size": 2, "overlap": 0})
    seen = {n for row in rows for n in range(row[1], row[2])}
    assert all(n in seen or text[n].isspace() for n in range(len(text)))


def profile_of(db, document):
    return db.execute(
        "select b.chunking from ragdb_data.document d"
        " join ragdb_data.body b using (org_no, body_no) where d.id = %s",
        (document["document_id"],),
    ).fetchone()[0]


def test_the_media_type_chooses(acme, db):
    plain = profile_of(db, acme.put("One. Two. Three.", p_external_id="plain"))
    assert plain == {"chunker": "markdown", "size": 320, "overlap": 0, "unit": "tokens"}
    table = profile_of(db, acme.put(CSV, p_external_id="csv", p_mime="text/csv"))
    assert table["chunker"] == "table"
    source = "class A:\n    def b(self):\n        pass\n"
    python = profile_of(db, acme.put(source, p_external_id="py", p_mime="text/x-python"))
    assert "\nclass " in python["separators"]


def test_a_workspace_says_otherwise(acme, db):
    acme.call("put_chunk_profile", p_mime="text/*", p_profile=Jsonb("sentences"))
    acme.call(
        "put_chunk_profile", p_mime="text/csv", p_profile=Jsonb({"chunker": "table", "size": 50})
    )
    first = acme.put("One. Two. Three.", p_external_id="plain")
    assert profile_of(db, first) == {"chunker": "sentences", "size": 5, "overlap": 1}
    table = profile_of(db, acme.put(CSV, p_external_id="csv", p_mime="text/csv"))
    assert table == {"chunker": "table", "size": 50}
    assert [(row["workspace"], row["mime"]) for row in acme.read("chunk_profiles")] == [
        ("default", "text/*"), ("default", "text/csv")
    ]  # fmt: skip

    acme.call("delete_chunk_profile", p_mime="text/*")
    assert profile_of(db, acme.put("Four.", p_external_id="plain"))["chunker"] == "markdown"


def test_a_document_names_its_preset(acme, db):
    stored = acme.put("One. Two.", p_chunking=Jsonb("tokens-512"))
    assert profile_of(db, stored)["overlap"] == 50
    stored = acme.put("One. Two. Three.", p_chunking=Jsonb({"chunker": "recursive", "size": 9}))
    assert profile_of(db, stored) == {"chunker": "recursive", "size": 9}


@pytest.mark.parametrize("preset", ["no such", "text/*", "*", "text/csv"])
def test_an_unknown_preset_is_refused(acme, preset):
    with pytest.raises(RagdbError) as caught:
        acme.put("One.", p_chunking=Jsonb(preset))
    assert caught.value.problem.code == "unknown_chunk_preset"


@pytest.mark.parametrize(
    ("mime", "profile", "code"),
    [
        ("text", "sentences", "invalid_media_type"),
        ("text/csv", "no such", "unknown_chunk_preset"),
        ("text/csv", {"chunker": "none"}, "invalid_chunk_profile"),
        ("text/csv", {"chunker": "table", "overlap": 3}, "invalid_chunk_profile"),
        ("text/csv", {"chunker": "sentences", "unit": "tokens"}, "invalid_chunk_profile"),
        ("text/csv", 7, "invalid_chunk_profile"),
        ("text/csv", {"size": 0}, "invalid_chunk_size"),
    ],
)
def test_a_faulty_profile_is_refused(acme, mime, profile, code):
    with pytest.raises(RagdbError) as caught:
        acme.call("put_chunk_profile", p_mime=mime, p_profile=Jsonb(profile))
    assert caught.value.problem.code == code


def test_profiles_are_their_organization_s(acme, globex):
    acme.call("put_chunk_profile", p_mime="*", p_profile=Jsonb("sentences"))
    assert globex.read("chunk_profiles") == []
    viewer = acme.member("vera@acme.test")
    with pytest.raises(RagdbError) as caught:
        acme.as_key(viewer, "delete_chunk_profile", p_mime="*")
    assert caught.value.problem.code == "permission_denied"
