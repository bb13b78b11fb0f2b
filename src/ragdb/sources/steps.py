"""From what a driver tells to what is stored in one transaction.

Items are loaded here, read like files that somebody added, and put together until a step is full.
One that cannot be read becomes an error, and what is stored of it stays as it is.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import IO

import msgspec
from psycopg.types.json import Jsonb

from ragdb.extraction.language import languages
from ragdb.ingest import Limits
from ragdb.reading import Common, Document, Failure, read_file
from ragdb.sources.driver import (
    Broken,
    Delete,
    File,
    Gap,
    ItemError,
    Mark,
    Restart,
    Text,
    Told,
    Upsert,
)

_ITEMS = 100
_SECONDS = 5.0
_SUFFIXES = {"text/plain": ".txt", "text/markdown": ".md"}
_SHORT = 500_000


@dataclass(frozen=True)
class Page:
    """What a driver told in a while, each item once."""

    told: tuple[Told, ...]

    @property
    def upserts(self) -> list[Upsert]:
        return [told for told in self.told if isinstance(told, Upsert)]

    @property
    def cursor(self) -> Mapping[str, object] | None:
        cursor = None
        for told in self.told:
            if isinstance(told, Mark | Restart):
                cursor = told.cursor if isinstance(told, Mark) else None
        return cursor


def next_page(told: Iterator[Told]) -> Page | None:
    """What comes next, until there is enough to look at or time to store it; None at the end."""
    held: dict[object, Told] = {}
    until = time.monotonic() + _SECONDS
    for number, one in enumerate(told):
        key = one.external_id if isinstance(one, Upsert | Delete | Broken) else None
        # Told again, an item is what was told last, and comes there.
        held.pop(key, None)
        held[key or number] = one
        if len(held) >= _ITEMS or time.monotonic() > until:
            break
    return Page(tuple(held.values())) if held else None


@dataclass
class Step:
    """The arguments of ragdb.store_sync()."""

    items: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    documents: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    deleted: list[str] = field(default_factory=list[str])
    errors: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    cursor: Mapping[str, object] | None = None
    gap: bool = False
    must_return: bool = False
    restart: bool = False
    characters: int = 0

    @property
    def is_full(self) -> bool:
        limits = Limits()
        return len(self.documents) >= limits.documents or self.characters >= limits.characters

    @property
    def is_more(self) -> bool:
        """Whether there is more to it than items and their documents."""
        rest = (self.deleted, self.errors, self.gap, self.must_return, self.restart)
        return any(rest) or self.cursor is not None

    def add(self, fields: dict[str, object]) -> None:
        """Take a document in."""
        self.documents.append(fields)
        self.characters += len(str(fields["content"]))

    def fail(self, external_id: str | None, code: str, message: str) -> None:
        """Note what could not be read."""
        self.errors.append({"external_id": external_id, "error": code, "message": message})

    def arguments(self) -> dict[str, object]:
        """By the names of the stored function."""
        found = languages([str(fields["content"]) for fields in self.documents])
        for fields, language in zip(self.documents, found, strict=True):
            fields["language"] = fields.get("language") or language
        return {
            "p_items": Jsonb(self.items), "p_documents": Jsonb(self.documents),
            "p_deleted": self.deleted, "p_errors": Jsonb(self.errors),
            "p_cursor": None if self.cursor is None else Jsonb(self.cursor),
            "p_gap": self.gap, "p_must_return": self.must_return, "p_restart": self.restart,
        }  # fmt: skip

    def divided(self) -> list[Step]:
        """The same in steps of one item each, and the rest in the last."""
        parts: list[Step] = []
        for item in self.items:
            first, last = item.get("first"), item.get("last")
            if isinstance(first, int) and isinstance(last, int):
                documents = self.documents[first - 1 : last]
                parts.append(Step([{**item, "first": 1, "last": len(documents)}], documents))
            else:
                parts.append(Step([item]))
        return [*parts, replace(self, items=[], documents=[], characters=0)]

    def broken(self, code: str, message: str) -> Step:
        """Instead of one item that is refused: that it was."""
        step = Step([_broken(str(item["external_id"])) for item in self.items])
        for item in self.items:
            step.fail(str(item["external_id"]), code, message)
        return step


class Steps:
    """The steps of a page; known: of the items to load, whether there are documents already.

    The last one has the page's mark: until that is stored, nothing of the page counts as told.
    """

    def __init__(self, page: Page, known: Mapping[str, bool], labels: Iterable[str]) -> None:
        self._page, self._known, self._common = page, known, Common(labels=tuple(labels))
        self._step = Step()

    def __iter__(self) -> Iterator[Step]:
        for told in self._page.told:
            match told:
                case Upsert():
                    if told.external_id in self._known:
                        yield from self._load(told)
                case Delete():
                    self._step.deleted.append(told.external_id)
                case Broken():
                    self._step.must_return |= told.may_retry
                    self._step.fail(told.external_id, told.code, told.message)
                    if told.external_id is not None:
                        self._step.items.append(_broken(told.external_id))
                case Gap():
                    self._step.gap = True
                    self._step.fail(None, told.code, told.message)
                case Restart():
                    self._step.restart = True
                case Mark():
                    pass
        self._step.cursor = self._page.cursor
        yield self._step

    def _load(self, upsert: Upsert) -> Generator[Step]:
        first, keep = len(self._step.documents) + 1, list[object]()
        item: dict[str, object] = {
            "external_id": upsert.external_id, "fingerprint": upsert.fingerprint,
            "is_known": self._known[upsert.external_id],
        }  # fmt: skip
        try:
            for found in _documents(upsert, self._common):
                step = self._step
                if isinstance(found, Failure):
                    item["is_broken"] = True
                    step.fail(found.path, found.code, found.message)
                    continue
                step.add(found.fields)
                keep.append(found.fields["external_id"])
                more_may_follow = found.whole is None or found.parts is None
                if step.is_full and more_may_follow:
                    part = {"first": first, "last": len(step.documents), "is_whole": False}
                    step.items.append(item | part)
                    yield self._taken()
                    first, item["is_touched"] = 1, True
        except ItemError as error:
            item["is_broken"] = True
            self._step.must_return |= error.may_retry
            self._step.fail(upsert.external_id, error.code, error.message)
        if len(self._step.documents) >= first:
            item |= {"first": first, "last": len(self._step.documents)}
        self._step.items.append({**item, "keep": keep})
        if self._step.is_full:
            yield self._taken()

    def _taken(self) -> Step:
        taken, self._step = self._step, Step()
        return taken


def _broken(external_id: str) -> dict[str, object]:
    return {"external_id": external_id, "is_broken": True}


def _documents(upsert: Upsert, common: Common) -> Generator[Document | Failure]:
    """The documents of an item, with what its source says about it."""
    loaded = upsert.load()
    for found in _read(loaded, upsert.external_id, common):
        if isinstance(found, Failure):
            yield found
            continue
        fields = dict(found.fields)
        title = upsert.title
        if title and found.parts != 0 and found.whole is not None:
            title = f"{title}, part {str(fields['external_id']).rpartition('-')[2]}"
        own = fields.get("metadata")
        fields |= {
            "title": title or fields.get("title"),
            "url": upsert.url or fields.get("url"),
            "date": upsert.modified or fields.get("date"),
            "metadata": {**(own if isinstance(own, dict) else {}), **upsert.metadata},
            "labels": [*common.labels, *upsert.labels],
        }
        problem = _problem_of(fields)
        yield Failure(found.path, *problem) if problem else replace(found, fields=fields)


def _read(loaded: Text | File, external_id: str, common: Common) -> Generator[Document | Failure]:
    if isinstance(loaded, File):
        with closing(loaded.file):
            yield from read_file(loaded.file, loaded.name, external_id, external_id, common)
        return
    suffix = _SUFFIXES.get(loaded.mime)
    if suffix and len(loaded.content) <= _SHORT:
        fields: dict[str, object] = {
            "external_id": external_id, "title": None, "content": loaded.content,
            "mime": loaded.mime,
        }  # fmt: skip
        yield Document(external_id, fields, len(loaded.content), external_id, 0)
        return
    with _held(loaded.content) as file:
        yield from read_file(file, f"item{suffix or '.html'}", external_id, external_id, common)


def _held(content: str) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content.encode("utf-8", "replace"))
    return file


def _problem_of(fields: Mapping[str, object]) -> tuple[str, str] | None:
    """What keeps a document out of a database: machine name and sentence."""
    if not str(fields["content"]).strip():
        return "empty_content", "The document has no text."
    try:
        written = msgspec.json.encode(fields)
    except UnicodeEncodeError:
        return "not_utf8", "A text contains half a surrogate pair."
    if b"\\u0000" in written:
        return "nul_character", "A text contains a NUL character."
    return None
