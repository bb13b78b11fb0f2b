"""The process that parses: `python -I -m ragdb.extraction.worker SOCKET MEMORY [TESSDATA]`.

A request is a length and JSON, and with it comes the handle of the file; the answer likewise. It
ends when the other side does, and it is killed by the kernel when a request takes too long.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from functools import partial
from pathlib import Path, PurePath

import msgspec

from ragdb.extraction import kinds, pages, parsers, sandbox
from ragdb.extraction.charset import declared, decode
from ragdb.extraction.result import Extracted, ExtractError
from ragdb.extraction.titles import first_heading, html_title

_LENGTH = struct.Struct("!Q")
# Those that texts are found in; a superset stands where the narrower one does as well.
_CHARSETS = (
    "cp1252", "cp932", "shift_jis_2004", "euc_jp", "gb18030", "big5", "cp949", "koi8_r", "cp1251",
    "iso8859_2", "cp1250", "cp1253", "iso8859_7", "cp1254", "cp1255", "iso8859_8", "cp1256",
    "iso8859_5", "cp866", "cp1257", "cp1258", "tis_620", "iso2022_jp", "koi8_u", "iso8859_15",
)  # fmt: skip


class Request(msgspec.Struct):
    """What is wanted: the text of a file, its character set, or the languages of texts."""

    seconds: int
    ocr_seconds: int
    kind: str = ""
    name: str = ""
    texts: list[str] | None = None


def main() -> None:
    """Serve requests until there are no more."""
    link = socket.socket(fileno=int(sys.argv[1]))
    tessdata = sys.argv[3:]
    ocr_languages = sorted(
        path.stem
        for place in tessdata
        for path in Path(place).glob("*.traineddata")
        if path.stem != "osd"
    )
    for name in _CHARSETS:
        b"".decode(name)  # their modules, which cannot be loaded later
    parsers.languages([""])
    sandbox.limit(int(sys.argv[2]))
    sandbox.lock(tessdata)
    link.sendall(b"\1")
    while True:
        received = _receive(link)
        if received is None:
            os._exit(0)  # not by way of destructors: xberg's may crash
        request, file = received
        sandbox.limit_time(request.seconds)
        _answer(link, msgspec.json.encode(_serve(request, file, ocr_languages)))


def _receive(link: socket.socket) -> tuple[Request, int] | None:
    head, handles, _, _ = socket.recv_fds(link, _LENGTH.size, 1, socket.MSG_WAITALL)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    body = bytearray()
    while len(body) < size:
        body += link.recv(min(size - len(body), 1 << 20))
    return msgspec.json.decode(body, type=Request), handles[0]


def _answer(link: socket.socket, body: bytes) -> None:
    link.sendall(_LENGTH.pack(len(body)))
    link.sendall(body)


def _serve(request: Request, file: int, ocr_languages: list[str]) -> object:
    try:
        with open(file, "rb") as stream:
            data = stream.read()
        if request.texts is not None:
            return {"languages": parsers.languages(request.texts)}
        if not request.kind:
            return {"charset": _charset(data)}
        if request.kind in (kinds.HTML, kinds.XHTML):
            return {"extracted": _page(data, request.kind, request.name)}
        if not ocr_languages:
            return {"extracted": parsers.parse(data, request.kind, request.name)}
        ocr = parsers.Ocr(ocr_languages, partial(sandbox.limit_time, request.ocr_seconds))
        return {"extracted": parsers.parse(data, request.kind, request.name, ocr)}
    except ExtractError as error:
        return {"error": [error.code, error.message, error.hint]}


def _page(data: bytes, kind: str, name: str) -> Extracted:
    html = decode(data, name, _charset, declared(data[: kinds.HEAD]))
    text = pages.from_html(html, name)
    if not text.strip():
        raise ExtractError("empty_file", f"{name} contains no text.")
    title = html_title(html) or first_heading(text) or PurePath(name).stem
    return Extracted(text, title, kind)


def _charset(sample: bytes) -> str | None:
    """The character set in which a text reads as xberg reads it, which guesses well."""
    # What it cuts off may be half a character.
    whole = sample[: sample.rfind(b"\n") + 1] or sample
    words = parsers.plain(whole).split()
    for name in _CHARSETS:
        try:
            if whole.decode(name).split() == words:
                return name
        except (UnicodeDecodeError, ValueError):
            continue
    return None


if __name__ == "__main__":
    main()
