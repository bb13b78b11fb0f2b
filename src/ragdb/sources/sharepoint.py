"""Type `sharepoint`: document libraries, by the delta queries of Microsoft Graph.

Each library hands out a link that tells what changed since. A link that it does not know any more
(410) means reading all libraries anew, with everything told once, so that what went meanwhile is
found to be gone.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote

import msgspec

from ragdb.reading import SUFFIXES
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
    Told,
    Tools,
    Upsert,
)
from ragdb.sources.globs import Globs
from ragdb.sources.web import ClientCredentials, Refused, Web

T = TypeVar("T")

_GONE = 410


class Config(msgspec.Struct):
    """As ragdb.source_types has it."""

    tenant_id: str
    client_id: str
    site: str | None = None
    drives: list[str] = []
    include: list[str] | None = None
    exclude: list[str] | None = None
    graph_url: str = "https://graph.microsoft.com/v1.0"
    login_url: str = "https://login.microsoftonline.com"


class Identified(msgspec.Struct):
    """What has an id."""

    id: str


class Parent(msgspec.Struct):
    """Where an item is."""

    path: str = ""


class Item(msgspec.Struct, rename={"etag": "eTag"}):
    """A driveItem: a file, a folder, or what is left of one."""

    id: str
    name: str = ""
    etag: str | None = None
    size: int = 0
    webUrl: str | None = None
    lastModifiedDateTime: str | None = None
    parentReference: Parent | None = None
    file: dict[str, Any] | None = None
    malware: dict[str, Any] | None = None
    deleted: dict[str, Any] | None = None


class Answer(msgspec.Struct):
    """A page of a list."""

    value: list[dict[str, Any]]
    next: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta: str | None = msgspec.field(default=None, name="@odata.deltaLink")


def make(setup: Setup) -> SharePoint:
    """The driver of document libraries; raises SourceError where something is missing."""
    config = msgspec.convert(setup.config, Config)
    if not config.site and not config.drives:
        raise SourceError("invalid_source_config", "Either site or drives is needed.")
    secret = setup.secrets.get("client_secret")
    if secret is None:
        raise SourceError("secret_missing", "The secret client_secret is missing.")
    return SharePoint(config, secret, setup.tools)


class SharePoint:
    """Reads the files of one or more libraries."""

    def __init__(self, config: Config, secret: str, tools: Tools) -> None:
        self._graph = config.graph_url.rstrip("/")
        host = "/".join(self._graph.split("/")[:3])
        sign = ClientCredentials(
            tools, f"{config.login_url.rstrip('/')}/{config.tenant_id}/oauth2/v2.0/token",
            config.client_id, secret, f"{host}/.default", in_form=True,
        )  # fmt: skip
        self._config, self._web = config, Web(tools, self._graph, sign)
        self._globs = Globs(config.include, config.exclude)

    def close(self) -> None:
        self._web.close()

    def read(self, start: Start) -> Iterator[Told]:
        """Tell what changed in each library, or everything."""
        drives = self._config.drives or self._drives()
        links = _links(start, "links")
        done = _links(start, "done") if start.resumed else {}
        try:
            yield from self._libraries(drives, links, done)
        except Refused as error:
            if error.status != _GONE:
                raise
            yield Restart()
            yield from self._libraries(drives, {}, {})

    def _drives(self) -> list[str]:
        url: str | None = f"{self._graph}/sites/{quote(self._config.site or '', safe=':/,')}/drives"
        found: list[str] = []
        while url:
            page = _converted(self._web.get(url).json(), Answer)
            found += [_converted(drive, Identified).id for drive in page.value]
            url = page.next
        return found

    def _libraries(
        self, drives: list[str], links: dict[str, str], done: dict[str, str]
    ) -> Generator[Told]:
        for drive in drives:
            if drive in done:
                continue
            first = "/".join((self._graph, "drives", quote(drive), "root", "delta"))
            link: str | None = links.get(drive, first)
            while link:
                page = _converted(self._web.get(link).json(), Answer)
                for value in page.value:
                    yield from self._told(drive, _converted(value, Item))
                link = page.next
                if link:
                    links = {**links, drive: link}
                elif page.delta:
                    links, done = {**links, drive: page.delta}, {**done, drive: page.delta}
                else:
                    raise SourceError("invalid_answer", "A delta query ends without a link.")
                yield Mark({"links": links, "done": done})
        yield Mark({"links": done})

    def _told(self, drive: str, item: Item) -> Generator[Told]:
        external_id = f"{drive}/{item.id}"
        # A path ends its prefix, /drives/ID/root:, with a colon.
        folder = unquote((item.parentReference or Parent()).path).partition(":")[2].strip("/")
        path = f"{folder}/{item.name}" if folder else item.name
        if item.deleted is not None:
            yield Delete(external_id)
        elif item.file is None:
            return
        elif not self._globs.fits(path) or PurePosixPath(path).suffix.lower() not in SUFFIXES:
            # It may have been another before it was moved.
            yield Delete(external_id)
        elif item.malware is not None:
            yield Broken(external_id, "malware", f"{path} is said to be malware.")
        else:
            yield Upsert(
                external_id,
                partial(self._load, drive, item),
                fingerprint=item.etag or f"{item.size}:{item.lastModifiedDateTime}:{path}",
                title=item.name,
                url=item.webUrl,
                metadata={"path": path, "drive": drive},
                modified=item.lastModifiedDateTime,
            )

    def _load(self, drive: str, item: Item) -> File:
        url = f"{self._graph}/drives/{quote(drive)}/items/{quote(item.id)}/content"
        try:
            return File(self._web.get(url).file, item.name)
        except SourceError as error:
            raise ItemError(error.code, error.message, may_retry=error.may_retry) from error


def _links(start: Start, name: str) -> dict[str, str]:
    kept = (start.cursor or {}).get(name)
    return dict(cast("dict[str, str]", kept)) if isinstance(kept, dict) else {}


def _converted(value: object, wanted: type[T]) -> T:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise SourceError("invalid_answer", "An answer is not as Graph's are.") from error
