"""Every format becomes text with its pages, headings and tables, and a bad file a clear refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from given_files import FILES, GIVEN, KNOWN
from ragdb.extract import Extracted, ExtractError, extract, extract_parts
from ragdb.extraction.language import languages
from ragdb.extraction.parts import split
from ragdb.extraction.pool import extractors
from sample_files import bomb, docx, eml, epub, lying_bomb, odt, pdf, pptx, rtf, xlsx, zipped


def page(found: Extracted, number: int) -> str:
    return found.text.split("\f")[number - 1]


def refusal(data: bytes, name: str) -> ExtractError:
    with pytest.raises(ExtractError) as caught:
        extract(data, name)
    return caught.value


@pytest.mark.skipif(not GIVEN, reason="the collection of files is not here")
def test_every_given_file_has_its_known_text_on_its_page() -> None:
    assert {path.name for path in GIVEN} == set(KNOWN)
    for path in GIVEN:
        with path.open("rb") as file:
            found = extract(file, path.name)
        assert found.title, path.name
        for number, words in KNOWN[path.name]:
            text = found.text if number is None else page(found, number)
            assert words in text, (path.name, number, words)


@pytest.mark.skipif(not GIVEN, reason="the collection of files is not here")
def test_what_another_project_expects_of_its_files() -> None:
    expected = json.loads((FILES / "markitdown_must_include.json").read_text())
    # Runs of text with a space between them, and pictures as data, which are no text.
    other = ("AutoGen: Enabling", "data:image", "![This phrase")
    for name, wanted in expected.items():
        if (FILES / name).exists():
            with (FILES / name).open("rb") as file:
                text = extract(file, name).text
            missing = [words for words in wanted["must_include"] if words not in text]
            assert [words for words in missing if not words.startswith(other)] == [], name


def test_pdf() -> None:
    found = extract(pdf("Lemons on page one", "", "Limes on page three"), "fruit.pdf")
    assert [text.strip() for text in found.text.split("\f")] == [
        "Lemons on page one", "", "Limes on page three",
    ]  # fmt: skip
    assert (found.mime, found.title, found.metadata) == ("application/pdf", "fruit", {"pages": 3})


def test_word_processing() -> None:
    table = [["fruit", "colour"], ["lime", "green"]]
    found = extract(docx("Citrus fruits", "Lemons.", "Limes.", table=table), "a.docx")
    assert page(found, 1).strip() == "# Citrus fruits\n\nLemons."
    assert page(found, 2).strip() == (
        "Limes.\n\n| fruit | colour |\n| --- | --- |\n| lime | green |"
    )
    assert found.title == "Citrus fruits"
    found = extract(odt("Citrus fruits", "Lemons.", "Limes."), "a.odt")
    assert found.text.strip() == "# Citrus fruits\n\nLemons.\n\nLimes."
    assert extract(rtf("Käse für 5 €"), "a.rtf").text.strip() == "Käse für 5 €"


def test_slides_and_sheets_are_pages_with_names() -> None:
    found = extract(pptx(("Citrus", "Lemons."), ("Roots", "Carrots.")), "a.pptx")
    assert page(found, 1).strip() == "## Citrus\n\nLemons."
    assert page(found, 2).strip() == "## Roots\n\nCarrots."
    assert found.title == "Citrus"
    found = extract(xlsx(Prices=[["fruit", "cents"], ["lime", 77]], Stock=[["x", "y"]]), "a.xlsx")
    assert page(found, 1).strip() == (
        "## Prices\n\n| fruit | cents |\n| --- | --- |\n| lime | 77 |"
    )
    assert page(found, 2).startswith("## Stock\n")


def test_books_letters_tables_and_data() -> None:
    found = extract(epub("Fruits", ("Citrus", "Lemons."), ("Roots", "Carrots.")), "a.epub")
    assert found.text.strip() == "# Citrus\n\nLemons.\n\n# Roots\n\nCarrots."
    assert found.title == "Fruits"
    for name in ("a.eml", "letter"):
        found = extract(eml("Grüße", "Lemons are sour.", "Limes are green."), name)
        assert "Lemons are sour." in found.text and "Limes are green." in found.text
        assert (found.title, found.metadata["authors"]) == ("Grüße", ["Anna Ferrari"])
        assert str(found.date).startswith("2023-01-04T11:36:14")
    for data, name in ((b"a;b\n1;\"x;y\"\n", "a.csv"), (b"a\tb\n1\tx;y\n", "a.tsv")):
        assert extract(data, name).text.strip() == "| a | b |\n| --- | --- |\n| 1 | x;y |"
    found = extract(b'{"fruit": {"name": "kumquat", "colours": ["orange"]}}', "a.json")
    assert "kumquat" in found.text and found.title == "a"


def test_a_file_is_what_its_content_says() -> None:
    assert extract(docx("Citrus", "Lemons."), "report.pdf").text.startswith("# Citrus")
    assert extract(pdf("Lemons"), "report.docx").text.strip() == "Lemons"
    assert extract(b"Lemons are sour.", "report.pdf").mime == "text/plain"
    assert extract(b"<!DOCTYPE html><title>T</title><p>x", "report").mime == "text/html"
    assert extract(pdf("Lemons"), "no-suffix").text.strip() == "Lemons"


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (pdf("Secret", password="tiger"), "a.pdf", "encrypted_file"),
        (odt("Secret", "x", encrypted=True), "a.odt", "encrypted_file"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504
            + "EncryptedPackage".encode("utf-16-le") + b"\0" * 480,
            "a.docx", "encrypted_file",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1000, "a.doc", "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "a.pdf", "mislabelled_file"),
        (b"\0\1\2\3" * 99, "a.pdf", "corrupt_file"),
        (pdf("Lemons")[:200], "a.pdf", "corrupt_file"),
        (docx("H", "p")[:400], "a.docx", "corrupt_file"),
        (zipped({"a.txt": "x"}), "a.docx", "unsupported_format"),
        (zipped({f"{n}": "" for n in range(20_001)}), "a.docx", "archive_bomb"),
        (b'{"a": ', "a.json", "invalid_json"),
        (b"", "a.csv", "empty_file"),
        (b"", "a.pdf", "empty_file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(data: bytes, name: str, code: str) -> None:
    error = refusal(data, name)
    assert error.code == code
    assert name in error.message
    assert error.hint or code == "empty_file"


def test_a_copy_protected_pdf_is_read() -> None:
    assert extract(pdf("Not to be copied", password=""), "a.pdf").text.strip() == "Not to be copied"


def test_bombs_do_not_go_off() -> None:
    assert refusal(bomb(), "a.docx").code == "archive_bomb"
    assert refusal(lying_bomb(), "a.docx").code in ("archive_bomb", "corrupt_file", "out_of_memory")
    # And whoever is next is served.
    assert extract(docx("Citrus", "Lemons."), "a.docx").text.startswith("# Citrus")


def test_pictures_of_text() -> None:
    scan = pdf("", "", drawn="THE WHITE WHALE")
    if extractors().reads_pictures:
        found = extract(scan, "scan.pdf")
        assert "WHITE WHALE" in page(found, 2)
    else:
        error = refusal(scan, "scan.pdf")
        assert error.code == "no_text_layer"
        assert "tesseract" in str(error.hint)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (
            "Der Vertrag kann mit einer Frist von drei Monaten zum Jahresende gekündigt werden."
            " Die Kündigung bedarf der Schriftform und muss rechtzeitig zugehen.", "german",
        ),
        (
            "El contrato puede rescindirse con un preaviso de tres meses antes del final del año."
            " La rescisión debe hacerse por escrito y comunicarse a tiempo.", "spanish",
        ),
        (
            "Le contrat peut être résilié avec un préavis de trois mois avant la fin de l'année."
            " La résiliation doit être faite par écrit et parvenir à temps.", "french",
        ),
        (
            "The contract may be terminated with three months' notice before the end of the year."
            " Notice must be given in writing and reach the other party in time.", "english",
        ),
        ("Der Vertrag kann gekündigt werden.", None),  # too short
        ("4711 0815 " * 40, None),
        ("これは日本語のテキストです。東京は日本の首都です。" * 10, None),  # PostgreSQL has none
    ],
)  # fmt: skip
def test_language(text: str, language: str | None) -> None:
    assert languages([text]) == [language]


def test_a_table_larger_than_what_is_parsed_comes_in_parts_under_its_header(
    tmp_path: Path,
) -> None:
    row = '{},"Anchor, galvanised\nwith ""shackle""",' + "x" * 900 + "\n"
    path = tmp_path / "stock.csv"
    with path.open("w") as file:
        file.write("number,name,note\n")
        for number in range(70_000):
            file.write(row.format(number))
    with path.open("rb") as file:
        found, following = extract_parts(file, path.name)
        texts = [found.text, *following]
    assert (found.mime, found.title, len(texts) > 64) == ("text/csv", "stock", True)
    assert all(text.startswith("number,name,note\n") for text in texts)
    lines = [line for text in texts for line in text.splitlines()[1:]]
    assert [int(line.partition(",")[0]) for line in lines] == list(range(70_000))
    assert lines[7].startswith('7,"Anchor, galvanised with ""shackle""",xxx')


def test_parts_are_cut_before_headings_and_keep_pages() -> None:
    section = "## Section {0}\n\n" + "Words of section {0}. " * 20 + "\n\n"
    text = "".join(section.format(number) for number in range(40))
    cut = list(split([text[:5000], text[5000:]], 3000))
    assert "".join(cut) == text and len(cut) > 4
    assert all(part.startswith("## Section") for part in cut)
    # An edit near the beginning moves no cut far away.
    again = list(split([text.replace("section 3.", "the third section.", 1)], 3000))
    assert len(set(cut) & set(again)) >= len(cut) - 2

    paged = "\f".join("x" * 900 for _ in range(10))
    cut = list(split([paged], 2000))
    assert [len(part) - len(part.lstrip("\f")) + 1 for part in cut] == [1, 3, 5, 7, 9]
