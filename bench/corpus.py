"""The documents everything is measured with: the same ones, in the same order, on every run.

Duplicates are left out, pages cut into parts of at most 24,000 characters, so that a tenant of 200
chunks has several documents, and shuffled by a hash of their names, so that every stretch of the
corpus is a sample of all of it. Each is given two metadata keys to filter by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable
from hashlib import sha256
from itertools import count
from pathlib import Path

from bench import debian
from ragdb.extract import Extracted, ExtractError, extract

Document = dict[str, object]

_PART = 24_000
_SHORTEST = 400
_CHARACTERS_PER_CHUNK = 1050


def prepare(
    cache: Path, folder: Path | None, chunks: int, say: Callable[[str], None]
) -> Generator[Document]:
    """Yield documents enough for `chunks` chunks, and then variations of them for ever."""
    path = _written(cache, folder, chunks, say)
    for copy in count():
        with open(path, encoding="utf-8") as file:
            for line in file:
                document = json.loads(line)
                yield _varied(document, copy) if copy else document


def fingerprint(cache: Path, folder: Path | None, chunks: int) -> str:
    """Which text it was: equal on two machines when their documents are."""
    return sha256(_path(cache, folder, chunks).read_bytes()).hexdigest()[:16]


def _path(cache: Path, folder: Path | None, chunks: int) -> Path:
    where = sha256(str(folder.resolve()).encode()).hexdigest()[:8] if folder else "debian"
    return cache / f"corpus-{where}-{chunks}.jsonl"


def _written(cache: Path, folder: Path | None, chunks: int, say: Callable[[str], None]) -> Path:
    path = _path(cache, folder, chunks)
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    pages = _files(folder) if folder else debian.pages(cache / "packages", say)
    documents: dict[str, Document] = {}
    room = int(chunks * _CHARACTERS_PER_CHUNK * 1.1)
    for name, page in pages:
        for document in _parts(name, page):
            digest = sha256(" ".join(str(document["content"]).split()).encode()).hexdigest()
            if digest not in documents:
                documents[digest] = document
                room -= len(str(document["content"]))
        if room < 0:
            break
    say(f"{len(documents):,} documents prepared")
    staged = path.with_suffix(".part")
    with open(staged, "w", encoding="utf-8") as file:
        for document in sorted(documents.values(), key=_shuffled):
            file.write(json.dumps(document, ensure_ascii=False) + "\n")
    staged.rename(path)
    return path


def _shuffled(document: Document) -> bytes:
    return sha256(str(document["external_id"]).encode()).digest()


def _files(folder: Path) -> Generator[tuple[str, Extracted]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in debian.SUFFIXES:
            name = str(path.relative_to(folder))
            try:
                yield name, extract(path.read_bytes(), name)
            except ExtractError:
                continue


def _parts(name: str, page: Extracted) -> Generator[Document]:
    """A page in parts that end at a blank line where there is one."""
    text = page.text.replace("\0", "").strip()
    for number in count():
        end = len(text)
        if end > _PART:
            blank = text.rfind("\n\n", _PART // 2, _PART)
            end = blank if blank > 0 else _PART
        if end < _SHORTEST:
            return
        yield _document(f"{name}#{number}", page.title, text[:end], page.mime)
        text = text[end:].lstrip()


def _document(name: str, title: str, content: str, mime: str) -> Document:
    spread = int.from_bytes(sha256(name.encode()).digest()[:4], "big")
    metadata = {"shelf": spread % 50, "half": spread // 50 % 2}
    return {
        "external_id": name, "title": title, "content": content, "mime": mime,
        "metadata": metadata,
    }  # fmt: skip


def _varied(document: Document, copy: int) -> Document:
    """Another document of the same words: its paragraphs in another order, under a first line."""
    paragraphs = str(document["content"]).split("\n\n")
    paragraphs.sort(key=lambda text: sha256(f"{copy}{text}".encode()).digest())
    name = f"{document['external_id']}~{copy}"
    content = "\n\n".join([f"Edition {copy + 1}.", *paragraphs])
    return _document(name, str(document["title"]), content, str(document["mime"]))


def batches(documents: Iterable[Document], size: int, characters: int) -> Generator[list[Document]]:
    """Put together what is stored at once."""
    batch: list[Document] = []
    length = 0
    for document in documents:
        batch.append(document)
        length += len(str(document["content"]))
        if len(batch) >= size or length >= characters:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
