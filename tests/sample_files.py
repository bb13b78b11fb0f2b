"""Small files of each format, written by hand: what is in them is known to the last byte."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from email.message import EmailMessage
from xml.sax.saxutils import escape

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_S = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_OFFICE = "application/vnd.openxmlformats-officedocument"
# Letters as lines on a grid of 4 by 6.
_STROKES = {
    " ": "", "A": "00-26-40 12-32", "E": "40-00-06-46 03-33", "H": "00-06 40-46 03-43",
    "I": "20-26", "L": "06-00-40", "T": "06-46 26-20", "W": "06-10-24-30-46",
}  # fmt: skip
_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def pdf(*pages: str, password: str | None = None, drawn: str = "") -> bytes:
    """A PDF with a line of text on each page, none where it is empty.

    With a password nobody opens it without; with an empty one it opens, and copying is forbidden.
    drawn: letters that every page shows as lines, not as text; there are those of _STROKES.
    """
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>"
        % (b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(pages))), len(pages)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    key = None
    protection = b""
    if password is not None:
        key, protection = _protection(password)
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET " if text else ""
        content += _lines(drawn)
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (5 + 2 * number)
        )
        objects.append(b"<<" + _stream(content.encode(), key, 5 + 2 * number))
    out = bytearray(b"%PDF-1.4\n")
    offsets: list[int] = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1, protection, start,
    )  # fmt: skip
    return bytes(out)


def _lines(letters: str) -> str:
    lines = "8 w 1 J 1 j "
    for column, letter in enumerate(letters):
        for stroke in _STROKES[letter].split():
            points = [(int(point[0]), int(point[1])) for point in stroke.split("-")]
            for number, (x, y) in enumerate(points):
                lines += f"{40 + 36 * column + 6 * x} {600 + 8 * y} {'l' if number else 'm'} "
            lines += "S "
    return lines


def _stream(data: bytes, key: bytes | None, number: int) -> bytes:
    if key is not None:
        own = hashlib.md5(key + struct.pack("<I", number)[:3] + b"\0\0").digest()
        data = _rc4(own[: len(key) + 5], data)
    return b"/Length %d>>stream\n%s\nendstream" % (len(data), data)


def _protection(password: str) -> tuple[bytes, bytes]:
    """The key of a file's streams, and what its trailer says (PDF 1.4, 40 bits)."""
    identity = b"0123456789abcdef"
    padded = (password.encode() + _PAD)[:32]
    owner = _rc4(hashlib.md5((b"owner" + _PAD)[:32]).digest()[:5], padded)
    permissions = -4 & ~0b11110000
    key = hashlib.md5(padded + owner + struct.pack("<i", permissions) + identity).digest()[:5]
    user = _rc4(key, _PAD)
    said = b"/ID[<%s><%s>]/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P %d>>" % (
        identity.hex().encode(), identity.hex().encode(), owner.hex().encode(),
        user.hex().encode(), permissions,
    )  # fmt: skip
    return key, said


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out = bytearray()
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def zipped(parts: dict[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of these parts."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as file:
        for name, body in parts.items():
            file.writestr(name, body)
    return held.getvalue()


def _package(main: str, kind: str, parts: dict[str, str], targets: dict[str, str]) -> bytes:
    """An Office file: its main part, and the parts that refers to."""
    overrides = {main: f"{_OFFICE}.{kind}.main+xml", **targets}
    types = "".join(
        f'<Override PartName="/{part}" ContentType="{type_}"/>' for part, type_ in overrides.items()
    )
    folder, _, name = main.rpartition("/")
    relations = "".join(
        f'<Relationship Id="r{number}" Type="{_R}/{part.split("/")[1].rstrip("s")}"'
        f' Target="{part.removeprefix(folder + "/")}"/>'
        for number, part in enumerate(targets, 1)
    )
    schema = "http://schemas.openxmlformats.org/package/2006"
    relations_type = "application/vnd.openxmlformats-package.relationships+xml"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{schema}/content-types">'
            f'<Default Extension="rels" ContentType="{relations_type}"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{schema}/relationships"><Relationship Id="r1"'
            f' Type="{_R}/officeDocument" Target="{main}"/></Relationships>',
            f"{folder}/_rels/{name}.rels": f'<Relationships xmlns="{schema}/relationships">'
            f"{relations}</Relationships>",
            **parts,
        }
    )


def docx(heading: str, *paragraphs: str, table: list[list[str]] | None = None) -> bytes:
    """A heading, paragraphs with a page break before each but the first, and a table."""

    def text(words: str, style: str = "", before: str = "") -> str:
        return f"<w:p>{style}<w:r>{before}<w:t>{escape(words)}</w:t></w:r></w:p>"

    body = text(heading, '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>')
    for number, words in enumerate(paragraphs):
        body += text(words, before='<w:br w:type="page"/>' if number else "")
    if table:
        rows = (
            "<w:tr>" + "".join(f"<w:tc>{text(cell)}</w:tc>" for cell in row) + "</w:tr>"
            for row in table
        )
        body += f"<w:tbl>{''.join(rows)}</w:tbl>"
    styles = (
        f'<w:styles xmlns:w="{_W}"><w:style w:type="paragraph" w:styleId="Heading1">'
        '<w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style></w:styles>'
    )
    return _package(
        "word/document.xml", "wordprocessingml.document",
        {
            "word/document.xml": f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": styles,
        },
        {"word/styles.xml": f"{_OFFICE}.wordprocessingml.styles+xml"},
    )  # fmt: skip


def pptx(*slides: tuple[str, str]) -> bytes:
    """Slides, each of a title and a text."""

    def shape(number: int, kind: str, words: str) -> str:
        return (
            f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="{kind}"/><p:cNvSpPr/><p:nvPr>'
            f'<p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r>'
            f"<a:t>{escape(words)}</a:t></a:r></a:p></p:txBody></p:sp>"
        )

    parts: dict[str, str] = {}
    for number, (title, words) in enumerate(slides, 1):
        parts[f"ppt/slides/slide{number}.xml"] = (
            f'<p:sld xmlns:p="{_P}" xmlns:a="{_A}"><p:cSld><p:spTree><p:nvGrpSpPr>'
            '<p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
            f"{shape(2, 'title', title) if title else ''}{shape(3, 'body', words)}"
            "</p:spTree></p:cSld></p:sld>"
        )
    ids = "".join(
        f'<p:sldId id="{255 + number}" r:id="r{number}"/>' for number in range(1, len(slides) + 1)
    )
    targets = {part: f"{_OFFICE}.presentationml.slide+xml" for part in parts}
    parts["ppt/presentation.xml"] = (
        f'<p:presentation xmlns:p="{_P}" xmlns:r="{_R}"><p:sldIdLst>{ids}</p:sldIdLst>'
        "</p:presentation>"
    )
    return _package("ppt/presentation.xml", "presentationml.presentation", parts, targets)


def xlsx(**sheets: list[list[str | int]]) -> bytes:
    """Sheets by name."""
    parts: dict[str, str] = {}
    for number, rows in enumerate(sheets.values(), 1):
        lines = ""
        for at, row in enumerate(rows, 1):
            cells = "".join(
                f'<c r="{chr(65 + column)}{at}"><v>{value}</v></c>'
                if isinstance(value, int)
                else f'<c r="{chr(65 + column)}{at}" t="inlineStr"><is><t>{escape(value)}</t></is>'
                "</c>"
                for column, value in enumerate(row)
            )
            lines += f'<row r="{at}">{cells}</row>'
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_S}"><sheetData>{lines}</sheetData></worksheet>'
        )
    targets = {part: f"{_OFFICE}.spreadsheetml.worksheet+xml" for part in parts}
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>'
        for number, name in enumerate(sheets, 1)
    )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{_S}" xmlns:r="{_R}"><sheets>{names}</sheets></workbook>'
    )
    return _package("xl/workbook.xml", "spreadsheetml.sheet", parts, targets)


def odt(heading: str, *paragraphs: str, encrypted: bool = False) -> bytes:
    """A heading and paragraphs."""
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    body = f'<text:h text:outline-level="1">{escape(heading)}</text:h>'
    body += "".join(f"<text:p>{escape(words)}</text:p>" for words in paragraphs)
    mime = "application/vnd.oasis.opendocument.text"
    secret = "<manifest:encryption-data/>" if encrypted else ""
    return zipped(
        {
            "mimetype": mime,
            "content.xml": f'<office:document-content xmlns:office="{urn}:office:1.0"'
            f' xmlns:text="{urn}:text:1.0" office:version="1.2"><office:body><office:text>{body}'
            "</office:text></office:body></office:document-content>",
            "META-INF/manifest.xml": f'<manifest:manifest xmlns:manifest="{urn}:manifest:1.0">'
            f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{mime}"/>'
            '<manifest:file-entry manifest:full-path="content.xml"'
            f' manifest:media-type="text/xml">{secret}</manifest:file-entry></manifest:manifest>',
        }
    )


def epub(title: str, *chapters: tuple[str, str]) -> bytes:
    """A book: chapters of a heading and a text."""
    opf, dc = "http://www.idpf.org/2007/opf", "http://purl.org/dc/elements/1.1/"
    numbers = range(1, len(chapters) + 1)
    items = "".join(
        f'<item id="c{n}" href="c{n}.xhtml" media-type="application/xhtml+xml"/>' for n in numbers
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container version="1.0"'
        ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile'
        ' full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        "b.opf": f'<package xmlns="{opf}" version="3.0" unique-identifier="i"><metadata'
        f' xmlns:dc="{dc}"><dc:identifier id="i">x</dc:identifier><dc:title>{escape(title)}'
        f"</dc:title><dc:language>en</dc:language></metadata><manifest>{items}</manifest>"
        f"<spine>{spine}</spine></package>",
    }
    for number, (heading, words) in enumerate(chapters, 1):
        parts[f"c{number}.xhtml"] = (
            '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>c</title></head><body>'
            f"<h1>{escape(heading)}</h1><p>{escape(words)}</p></body></html>"
        )
    return zipped(parts)


def eml(subject: str, text: str, attachment: str | None = None) -> bytes:
    """A letter from Anna to Bob."""
    letter = EmailMessage()
    letter["From"] = "Anna Ferrari <anna@example.com>"
    letter["To"] = "bob@example.com"
    letter["Subject"] = subject
    letter["Date"] = "Wed, 04 Jan 2023 11:36:14 +0000"
    letter["Message-ID"] = "<1@example.com>"
    letter.set_content(text)
    if attachment is not None:
        letter.add_attachment(attachment, subtype="plain", filename="notes.txt")
    return letter.as_bytes()


def rtf(text: str) -> bytes:
    """A paragraph."""
    escaped = "".join(c if c < "\x80" else f"\\u{ord(c)}?" for c in text)
    return b"{\\rtf1\\ansi\\deff0{\\fonttbl{\\f0 Times;}}\\f0\\fs24 " + escaped.encode() + b"\\par}"


def bomb(size: int = 120_000_000) -> bytes:
    """A word-processing file of 120 kB that is 120 MB when unpacked."""
    body = f'<w:document xmlns:w="{_W}"><w:body><w:p><w:r><w:t>'.encode() + b" " * size
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": body + b"</w:t></w:r></w:p></w:body></w:document>",
        }
    )


def lying_bomb(size: int = 200_000_000) -> bytes:
    """The same, and its directory says that it is small."""
    data = bytearray(bomb(size))
    real = struct.pack("<I", size + 200)
    told = struct.pack("<I", 1000)
    for at in range(len(data) - 4):
        if data[at + 2 : at + 4] == real[2:] and abs(
            struct.unpack_from("<I", data, at)[0] - size
        ) < 1000:
            data[at : at + 4] = told
    return bytes(data)
