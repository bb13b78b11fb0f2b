"""Type `api`: records that a service lists as JSON, page by page.

Where the service can be asked for what changed since, a refresh begins a while before the newest
record of the last one; what it tells again is recognised by its checksum. Where not, each refresh
reads everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, cast

import httpx
import msgspec

from ragdb.sources.driver import (
    Broken,
    Delete,
    File,
    ItemError,
    Mark,
    Restart,
    Setup,
    SourceError,
    Start,
    Text,
    Told,
    Tools,
    Upsert,
)
from ragdb.sources.pages import Pager, Pagination, picked
from ragdb.sources.web import ClientCredentials, Sign, Web, basic

_MIMES = {"text": "text/plain", "markdown": "text/markdown", "html": "text/html"}
_OVERLAP = 60.0


class Fields(msgspec.Struct):
    """Where a record has what: paths like author.name."""

    external_id: str
    title: str | None = None
    content: str | None = None
    file: str | None = None
    url: str | None = None
    modified: str | None = None
    deleted: str | None = None
    metadata: dict[str, str] = {}


class Auth(msgspec.Struct):
    """How to sign in."""

    type: str = "none"
    user: str = ""
    header: str = "X-API-Key"
    token_url: str = ""
    client_id: str = ""
    scope: str | None = None


class Since(msgspec.Struct):
    """How to ask for what changed."""

    param: str
    overlap: float = _OVERLAP


class Config(msgspec.Struct):
    """As ragdb.source_types has it."""

    url: str
    fields: Fields
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    items: str = ""
    format: str = "text"
    auth: Auth = msgspec.field(default_factory=Auth)
    pagination: Pagination = msgspec.field(default_factory=Pagination)
    since: Since | None = None


def make(setup: Setup) -> Api:
    """The driver of a service; raises SourceError where a secret is missing."""
    config = msgspec.convert(setup.config, Config)
    if config.fields.content is None and config.fields.file is None:
        raise SourceError("invalid_source_config", "fields needs content or file.")
    sign = _sign(config.auth, setup.secrets, setup.tools)
    return Api(config, setup.tools, sign)


def _sign(auth: Auth, secrets: Mapping[str, str], tools: Tools) -> Sign | None:
    needed = {
        "bearer": "token", "basic": "password", "header": "value", "oauth2": "client_secret",
    }.get(auth.type)  # fmt: skip
    if needed is None:
        return None
    secret = secrets.get(needed)
    if secret is None:
        raise SourceError("secret_missing", f"The secret {needed} is missing.")
    if auth.type == "oauth2":
        return ClientCredentials(tools, auth.token_url, auth.client_id, secret, auth.scope)
    headers = {
        "bearer": {"Authorization": f"Bearer {secret}"},
        "basic": basic(auth.user, secret),
        "header": {auth.header: secret},
    }[auth.type]
    return lambda anew: headers


class Api:
    """Reads the records of a service."""

    def __init__(self, config: Config, tools: Tools, sign: Sign | None) -> None:
        self._config, self._web = config, Web(tools, config.url, sign)

    def close(self) -> None:
        self._web.close()

    def read(self, start: Start) -> Iterator[Told]:
        """Tell the records that changed, or all where nobody can tell which."""
        config, known = self._config, dict(start.cursor or {})
        if config.since is None and not start.full:
            yield Restart()
        since = cast("str | float | None", known.get("since")) if config.since else None
        newest = cast("str | float | None", known.get("newest", since))
        pager = Pager(config.pagination, config.url, self._params(since))
        page = cast("str | int | None", known.get("page", pager.first))
        before: list[object] = []
        while page is not None:
            got = self._web.get(pager.url(page), {"Accept": "application/json", **config.headers})
            answer = got.json()
            records = picked(answer, config.items)
            if not isinstance(records, list):
                where = config.items or "the answer"
                raise SourceError("invalid_answer", f"{where} is no list of records.")
            records = cast("list[object]", records)
            ids = [picked(record, config.fields.external_id) for record in records]
            if ids and ids == before:
                raise SourceError("endless_pages", "The next page is the same page again.")
            for record in records:
                yield self._told(record)
                newest = _newer(newest, picked(record, config.fields.modified))
            page, before = pager.next(page, answer, got.headers, len(records)), ids
            if page is not None:
                yield Mark({"since": since, "newest": newest, "page": page})
        yield Mark({"since": newest})

    def _params(self, since: str | float | None) -> dict[str, str]:
        if self._config.since is None or since is None:
            return self._config.params
        asked = _earlier(since, self._config.since.overlap)
        return self._config.params | {self._config.since.param: asked}

    def _told(self, record: object) -> Told:
        fields = self._config.fields
        external_id = _text(picked(record, fields.external_id))
        if not external_id:
            return Broken(None, "no_external_id", f"A record has no {fields.external_id}.")
        if fields.deleted and picked(record, fields.deleted):
            return Delete(external_id)
        metadata = {name: picked(record, path) for name, path in fields.metadata.items()}
        return Upsert(
            external_id,
            partial(self._load, record),
            fingerprint=sha256(msgspec.json.encode(record, order="sorted")).hexdigest(),
            title=_text(picked(record, fields.title)),
            url=_text(picked(record, fields.url)),
            metadata={name: value for name, value in metadata.items() if value is not None},
            modified=_iso(picked(record, fields.modified)),
        )

    def _load(self, record: object) -> Text | File:
        fields = self._config.fields
        content = picked(record, fields.content)
        if content is not None:
            written = content if isinstance(content, str) else msgspec.json.encode(content).decode()
            return Text(written, _MIMES[self._config.format])
        address = picked(record, fields.file)
        if not isinstance(address, str) or not address:
            raise ItemError("empty_content", "The record has neither content nor file.")
        try:
            got = self._web.get(str(httpx.URL(self._config.url).join(address)))
        except SourceError as error:
            raise ItemError(error.code, error.message, may_retry=error.may_retry) from error
        return File(got.file, got.name)


def _text(value: object) -> str | None:
    return None if value is None or isinstance(value, dict | list) else str(cast(Any, value))


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(value: object) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value if value < 1e11 else value / 1000, UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return None
    moment = _moment(value)
    return moment.isoformat() if moment else None


def _newer(newest: str | float | None, value: object) -> str | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        return newest
    return value if newest is None or _order(value) > _order(newest) else newest


def _order(value: str | float) -> tuple[int, float, str]:
    """Numbers by size, dates by time, anything else by its letters."""
    if isinstance(value, str):
        moment = _moment(value)
        return (1, moment.timestamp(), "") if moment else (0, 0.0, value)
    return 1, value, ""


def _earlier(since: str | float, seconds: float) -> str:
    if not isinstance(since, str):
        return str(since - seconds * (1 if since < 1e11 else 1000))
    moment = _moment(since)
    if moment is None:
        return since
    return (moment - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
