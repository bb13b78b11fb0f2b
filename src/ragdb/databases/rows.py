"""From a row, and the comments on it, to what the sync stores."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import cast
from urllib.parse import quote
from zoneinfo import ZoneInfo

import msgspec

from ragdb.databases.dialect import Moment
from ragdb.databases.mapping import MIMES, Format, Options, Table
from ragdb.databases.plan import Plan
from ragdb.databases.values import datum, is_deleted, moment_of, named, text_of
from ragdb.sources.driver import Broken, Delete, ItemError, Text, Told, Upsert


@dataclass(frozen=True)
class Comment:
    """A text on a row."""

    text: object
    author: object
    created: object


class Reader:
    """Makes documents of the rows of one table."""

    def __init__(
        self, table: Table, plan: Plan, options: Options, zone: ZoneInfo, created: Moment | None
    ) -> None:
        self._table, self._encoding, self._zone = table, options.encoding, zone
        self._at = {name: number for number, name in enumerate(plan.names, 1)}
        self._moments: dict[str, Moment | None] = {name: plan.moment(name) for name in plan.names}
        self._changed: Moment | None = plan.kind
        self._created: Moment | None = created

    def id(self, row: Sequence[object]) -> object:
        """What the row goes by."""
        return row[self._at[self._table.id]]

    def size(self, row: Sequence[object]) -> int:
        """About how long its texts are."""
        return sum(len(value) for value in row if isinstance(value, (str, bytes)))

    def told(self, row: Sequence[object], key: object, comments: Sequence[Comment]) -> Told:
        """The row as an item, or why it is none."""
        table = self._table
        external_id = table.prefix + named(key)
        if table.deleted is not None and is_deleted(row[self._at[table.deleted]]):
            return Delete(external_id)
        try:
            return self._upsert(row, external_id, named(key), comments)
        except ItemError as error:
            return Broken(external_id, error.code, error.message, error.may_retry)

    def _upsert(
        self, row: Sequence[object], external_id: str, key: str, comments: Sequence[Comment]
    ) -> Upsert:
        table = self._table
        title = self._text(row, table.title).strip() if table.title else ""
        texts = [self._text(row, name) for name in table.content]
        content = _joined([text for text in texts if text.strip()], table.format)
        content += "".join(self._comment(comment) for comment in comments)
        if not content.strip():
            content = escape(title) if table.format == "html" else title
        metadata = {key: self._datum(row, column) for key, column in table.metadata.items()}
        metadata = {key: value for key, value in metadata.items() if value is not None}
        labels = [label for name in table.labels for label in self._labels(row, name)]
        modified = self._modified(row)
        shown = " ".join(title.split())[:2000] or None
        state = msgspec.json.encode(
            [shown, content, metadata, labels, modified, table.format], order="sorted"
        )
        return Upsert(
            external_id, lambda: Text(content, MIMES[table.format]),
            fingerprint=hashlib.sha256(state).hexdigest(), title=shown,
            url=table.url.replace("{id}", quote(key, safe="")) if table.url else None,
            metadata=metadata, modified=modified, labels=tuple(labels),
        )  # fmt: skip

    def _value(self, row: Sequence[object], name: str) -> object:
        return row[self._at[name]]

    def _text(self, row: Sequence[object], name: str) -> str:
        return text_of(self._value(row, name), self._encoding)

    def _datum(self, row: Sequence[object], name: str) -> object:
        return datum(self._value(row, name), self._moments[name], self._zone, self._encoding)

    def _labels(self, row: Sequence[object], name: str) -> list[str]:
        value = self._value(row, name)
        several = cast("list[object]", value) if isinstance(value, list) else [value]
        texts = [text_of(one, self._encoding).strip() for one in several]
        return [text for text in texts if text]

    def _modified(self, row: Sequence[object]) -> str | None:
        table = self._table
        if table.date is not None:
            value, kind = self._value(row, table.date), self._moments[table.date]
        else:
            value, kind = row[0], self._changed
        found = moment_of(value, kind, self._zone)
        return found.isoformat() if found else None

    def _comment(self, comment: Comment) -> str:
        text = text_of(comment.text, self._encoding).strip()
        if not text:
            return ""
        created = moment_of(comment.created, self._created, self._zone)
        when = created.strftime("%Y-%m-%d %H:%M UTC") if created else ""
        author = " ".join(text_of(comment.author, self._encoding).split())
        head = ", ".join(part for part in (author, when) if part)
        match self._table.format:
            case "html":
                return f"\n<hr>\n<p><b>{escape(head)}</b></p>\n<div>{text}</div>"
            case "markdown":
                return f"\n\n---\n\n**{head}**\n\n{text}" if head else f"\n\n---\n\n{text}"
            case "text":
                return f"\n\n{head}:\n{text}" if head else f"\n\n{text}"


def _joined(texts: Sequence[str], kind: Format) -> str:
    if kind == "html":
        return "\n".join(f"<div>{text}</div>" for text in texts)
    return "\n\n".join(texts)


def by_key(comments: Mapping[str, list[Comment]], key: object) -> Sequence[Comment]:
    """The comments on a row; the column that refers to it may be of another type."""
    return comments.get(named(key).strip(), ())
