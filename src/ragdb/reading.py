"""From files to documents, as put_documents() takes them.

Whatever is wrong with a file becomes a Failure with a machine name, and the next one is read. A
text that is too long for one document becomes several: the parts of `notes.txt` go by
`notes.txt#part-1` and so on. No file is held in memory whole but those that need a parser, whose
size is limited.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePath
from shutil import copyfileobj
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from ragdb.extract import MAX_BYTES, ExtractError, extract_parts
from ragdb.extract import SUFFIXES as FORMATS
from ragdb.extraction.pool import extractors
from ragdb.files import STDIN, Entry, Found, Missed, Skipped, readable

LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = FORMATS | LINES
"""What is taken for a document in a folder."""

if TYPE_CHECKING:
    from ragdb.outbound import Guard

_PIECE = 1 << 20
# Files up to this size are read ahead, several at a time.
_SMALL = 8_000_000


@dataclass(frozen=True)
class Document:
    """A document on its way in; `size` is how many bytes of the file it accounts for."""

    path: str
    fields: dict[str, object]
    size: int
    whole: str | None = None
    """The external id of the file it is made of, where that file is one document or its parts."""
    parts: int | None = None
    """With the last part of a file, how many there are; 0 for a file in one document."""
    name: str = ""
    original: Callable[[], bytes] | None = None
    """The file's name and bytes, where it is one document."""


@dataclass(frozen=True)
class Failure:
    """A document that there is none of."""

    path: str
    code: str
    message: str
    size: int = 0
    hint: str | None = None


@dataclass(frozen=True)
class Common:
    """What all documents of a run are given."""

    title: str | None = None
    language: str | None = None
    labels: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    url: str | None = None

    def joined(self, fields: Mapping[str, object], metadata: object) -> dict[str, object]:
        """A document's own fields and these; what the run says of metadata wins."""
        own = cast(dict[str, object], metadata) if isinstance(metadata, dict) else {}
        labels = fields.get("labels")
        mine = cast(list[object], labels) if isinstance(labels, list) else []
        return {
            **fields,
            "url": fields.get("url") or self.url,
            "language": self.language or fields.get("language"),
            "labels": [*mine, *self.labels],
            "metadata": {**own, **self.metadata},
        }


Item = Document | Failure | Skipped


def read(entries: Iterable[Entry], common: Common) -> Generator[Item]:
    """Read the files in order; of two with the same external id the second fails."""
    seen: set[object] = set()
    for document in _ahead(entries, common):
        if isinstance(document, Document):
            external_id = document.fields["external_id"]
            if external_id in seen:
                yield Failure(
                    document.path, "duplicate_external_id",
                    f"Another file of this run goes by {external_id} already;"
                    " put them into sources of their own, or name a root above both.",
                    document.size,
                )  # fmt: skip
                continue
            if external_id is not None:
                seen.add(external_id)
        yield document


def read_stream(stream: BinaryIO, name: str | None, common: Common) -> Generator[Item]:
    """What standard input holds; without a name it is text that goes by its checksum."""
    with tempfile.TemporaryFile() as held:
        copyfileobj(stream, held, _PIECE)
        for item in read_file(held, name or STDIN, STDIN, name or STDIN, common):
            yield _named_by_content(item, common) if not name else item


def read_url(url: str, guard: Guard, common: Common) -> Generator[Document | Failure]:
    """The documents at an address of the web, which is their external id and url."""
    from ragdb.outbound import fetch

    try:
        with fetch(url, guard) as found:
            at_url = replace(common, url=common.url or url)
            yield from read_file(found.file, found.name, url, url, at_url)
    except ExtractError as error:
        yield Failure(url, error.code, error.message, hint=error.hint)


def read_file(
    file: IO[bytes], name: str, path: str, external_id: str, common: Common,
    original: Callable[[], bytes] | None = None,
) -> Generator[Document | Failure]:  # fmt: skip
    """The documents of one file, open for reading; `path` is what it is called in reports.

    original: how to read its bytes again, by default from the same file.
    """
    if PurePath(name).suffix.lower() in LINES:
        from ragdb.lines import read_lines

        file.seek(0)
        yield from read_lines(file, path, external_id, common, MAX_BYTES)
        return
    size, done = file.seek(0, os.SEEK_END), 0

    def again() -> bytes:
        file.seek(0)
        return file.read()

    try:
        for document in _documents(file, size, name, path, external_id, common):
            done += document.size
            if document.parts == 0:
                document = replace(document, original=original or again)
            yield document
    except ExtractError as error:
        yield Failure(path, error.code, error.message, size - done, error.hint)


def _documents(
    file: IO[bytes], size: int, name: str, path: str, external_id: str, common: Common
) -> Generator[Document]:
    found, texts = extract_parts(file, name)
    fields: dict[str, object] = {
        "external_id": external_id, "title": common.title or found.title, "content": found.text,
        "mime": found.mime, "date": found.date,
    }  # fmt: skip
    fields = common.joined(fields, found.metadata)
    second = next(texts, None)
    if second is None:
        yield Document(path, fields, size, external_id, 0, PurePath(name).name)
        return
    number, text, left = 1, found.text, size
    while text is not None:
        following = second if number == 1 else next(texts, None)
        part = {
            **fields, "content": text, "external_id": f"{external_id}#part-{number}",
            "title": f"{fields['title']}, part {number}",
        }  # fmt: skip
        taken = left if following is None else min(len(text), left)
        yield Document(
            f"{path}#part-{number}", part, taken, external_id,
            parts=number if following is None else None,
        )  # fmt: skip
        left -= taken
        number, text = number + 1, following


def _named_by_content(item: Item, common: Common) -> Item:
    """Without a name: the first line is the title, and put_documents() makes an external id."""
    if not isinstance(item, Document):
        return item
    fields = dict(item.fields)
    if not common.title and fields["title"] == STDIN:
        fields["title"] = str(fields["content"]).strip().partition("\n")[0][:80]
    return replace(item, fields=fields | {"external_id": None}, whole=None)


def _ahead(entries: Iterable[Entry], common: Common) -> Generator[Item]:
    """The documents of the files in order, small files read while earlier ones are used."""
    workers = extractors().size
    waiting: deque[Future[list[Item]] | Entry] = deque()
    with ThreadPoolExecutor(workers, "ragdb-read") as threads:
        try:
            for entry in entries:
                if _is_small(entry):
                    waiting.append(threads.submit(_read_whole, entry, common))
                else:
                    waiting.append(entry)
                while len(waiting) > 2 * workers:
                    yield from _taken(waiting.popleft(), common)
            while waiting:
                yield from _taken(waiting.popleft(), common)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _is_small(entry: Entry) -> bool:
    return (
        isinstance(entry, Found) and entry.size <= _SMALL and entry.file.suffix.lower() not in LINES
    )


def _read_whole(entry: Entry, common: Common) -> list[Item]:
    return list(_read_entry(entry, common))


def _taken(waiting: Future[list[Item]] | Entry, common: Common) -> Iterable[Item]:
    return waiting.result() if isinstance(waiting, Future) else _read_entry(waiting, common)


def _read_entry(entry: Entry, common: Common) -> Generator[Item]:
    if isinstance(entry, Skipped):
        yield entry
    elif isinstance(entry, Missed):
        yield Failure(entry.path, entry.code, entry.message)
    else:
        try:
            with open(_open(entry), "rb") as file:
                name = readable(entry.file.name)
                again = partial(_read_again, entry)
                yield from read_file(file, name, entry.path, entry.external_id, common, again)
        except OSError as error:
            message = f"It cannot be read: {error.strerror}."
            yield Failure(entry.path, "unreadable_file", message, entry.size)


def _read_again(entry: Found) -> bytes:
    with open(_open(entry), "rb") as file:
        return file.read()


def _open(entry: Found) -> int:
    """A handle that reading cannot block on, even if the file was replaced by a pipe meanwhile."""
    handle = os.open(entry.file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file")
    return handle
