"""Text from files: encodings, refusals, titles, and what becomes of HTML."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdb.extract import Extracted, ExtractError, extract

DATA = Path(__file__).parents[1] / "data"


def text_of(html: str) -> str:
    return extract(html.encode(), "page.html").text.strip()


def refusal(data: bytes, name: str) -> ExtractError:
    with pytest.raises(ExtractError) as caught:
        extract(data, name)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        "Grüße\r\n測試 🍵\rלא\n".encode(),
        "\ufeffGrüße\n測試 🍵\nלא\n".encode(),
        "\ufeffGrüße\r\n測試 🍵\nלא\n".encode("utf-16-le"),
        "\ufeffGrüße\n測試 🍵\rלא\n".encode("utf-16-be"),
        "\ufeffGrüße\n測試 🍵\nלא\n".encode("utf-32-le"),
        "Grüße\n測\ufeff試 🍵\nלא\n".encode(),
    ],
)
def test_text_is_decoded_and_its_line_ends_are_newlines(data: bytes) -> None:
    assert extract(data, "notes.txt").text == "Grüße\n測試 🍵\nלא\n"


def test_text_is_otherwise_kept_as_it_is() -> None:
    text = "  cafe\u0301 \u00a0\t\n\n\n# x\f\x1b[1mpage 2\n\u2028 end \u00ad\u200d"
    assert extract(text.encode(), "notes.log").text == text


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.txt", "empty_file"),
        (b"\xef\xbb\xbf \r\n\t", "a.md", "empty_file"),
        (b"<html><script>x()</script></html>", "a.html", "empty_file"),
        (b"a\0b", "a.txt", "binary_file"),
        ("\ufeffa\0b".encode("utf-16-le"), "a.txt", "binary_file"),
        ("no mark".encode("utf-16-le"), "a.txt", "binary_file"),
        (b"%PDF-1.7 all of it ASCII", "a.txt", "corrupt_file"),
        (b"\x01\x02\x03 controls \x04\x05", "a.md", "binary_file"),
        (b"MZ\x90\0\3\0\0\0", "setup.exe", "unsupported_format"),
        (b"\x89PNG\r\n\x1a\n\0\0", "photo.png", "unsupported_format"),
        (b"<div>" * 5000 + b"x", "a.html", "html_too_deep"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, name: str, code: str) -> None:
    error = refusal(data, name)
    assert error.code == code
    assert str(error) == error.message


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Zwei Stück Käse\n  für “dich”"),
        ("cp1252", "El niño comió una manzana en el jardín."),
        ("shift_jis", "これは日本語のテキストです。\n  東京"),
        ("euc_jp", "これは日本語のテキストです。東京は日本の首都です。"),
        ("gb18030", "这是一个中文文本。北京是中国的首都。"),
        ("koi8_r", "Это русский текст о кошках. Они живут в доме и ловят мышей."),  # noqa: RUF001
        ("cp1251", "Это русский текст о кошках. Они живут в доме и ловят мышей."),  # noqa: RUF001
        ("iso8859_2", "Zażółć gęślą jaźń, proszę pana. Łódź jest dużym miastem w Polsce."),
        ("cp1253", "Η γάτα κοιμάται στο σπίτι και ο σκύλος στον κήπο."),  # noqa: RUF001
    ],
)
def test_the_character_set_is_found(encoding: str, text: str) -> None:
    assert extract(text.encode(encoding), "a.txt").text == text


def test_a_page_is_read_in_the_character_set_it_declares() -> None:
    page = '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2"><p>Łódź'
    assert extract(page.encode("iso-8859-2"), "page.htm").text.strip() == "Łódź"


def test_damaged_utf8_is_refused_with_the_place() -> None:
    error = refusal("Grüße, ".encode() * 20 + b"\xff", "my notes.txt")
    assert error.code == "not_utf8"
    assert error.message == "my notes.txt is not UTF-8: byte 0xFF at offset 180."


def test_damaged_utf16_is_refused() -> None:
    error = refusal("\ufeffab".encode("utf-16-le") + b"\x00\xd8", "a.txt")
    assert error.code == "not_utf8"
    assert "offset 6" in error.message


@pytest.mark.parametrize(
    ("name", "text", "title"),
    [
        ("a.md", "intro\n\n# The *big* `x_y` [link](u) #\n", "The big x_y link"),
        ("a.md", "```sh\n# no\n```\n\nThe title\n=========\n", "The title"),
        ("a.md", "~~~~\n~~~\n# no\n~~~~~\n# yes\n", "yes"),
        ("a.md", "---\ntitle: 'From matter'\n---\n\n## Two\n", "From matter"),
        ("a.md", "---\ntitle: No\n# comment\n---\n\n# Yes\n", "Yes"),
        ("dir/a file.md", "## Only two\n", "a file"),
        ("guide.rst", "=====\nGuide\n=====\n\ntext\n", "Guide"),
        ("a.txt", "# a comment\n", "a"),
        ("README", "# a comment\n", "README"),
        ("p.html", "<title> A &amp;\n B </title><h1>C</h1>", "A & B"),
        ("p.html", "<title></title><h1>C <b>d</b></h1>", "C d"),
        ("p.html", "<p>x", "p"),
    ],
)
def test_title(name: str, text: str, title: str) -> None:
    assert extract(text.encode(), name).title == title


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.md", "text/markdown"),
        ("a.HTM", "text/html"),
        ("a", "text/plain"),
    ],
)
def test_mime(name: str, mime: str) -> None:
    assert extract(b"<p>x</p>", name).mime == mime


def test_a_page_becomes_markdown() -> None:
    guide = extract((DATA / "guide.html").read_bytes(), "guide.html")
    assert guide == Extracted(guide.text, "Kettle guide — Acme", "text/html")
    assert guide.text.strip() == (DATA / "guide.html.md").read_text().strip()


@pytest.mark.parametrize(
    "dropped",
    ["navigation", "footer", "script", "style", "comment", "template", "noscript", "button"],
)
def test_a_page_loses_its_boilerplate(dropped: str) -> None:
    html = (DATA / "guide.html").read_text()
    assert f"{dropped}-text" in html or f"{dropped}-link" in html
    assert dropped not in extract(html.encode(), "guide.html").text


def test_a_page_inside_a_form_is_kept() -> None:
    assert text_of("<form><h1>T</h1><p>x</p><button>Go</button></form>") == "# T\n\nx"


def test_links_keep_their_text_and_pictures_their_description() -> None:
    html = '<a href="u">see <b>it</b></a> <a href="/f"><img src="i.png"></a><img src=i alt="A cup">'
    assert text_of(html) == "see **it** A cup"
    assert text_of('<p><a href="https://x.org">https://x.org</a>') == "<https://x.org>"
