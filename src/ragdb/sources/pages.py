"""Where the next page is: the ways in which services divide a list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import httpx
import msgspec

_NEXT = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;]+)*)")
_DEFAULT_PARAMS = {"page": "page", "offset": "offset", "cursor": "cursor"}


class Pagination(msgspec.Struct):
    """As ragdb.source_types has it; path: where an answer has the next cursor or address."""

    type: str = "none"
    param: str | None = None
    first: int | None = None
    size: int | None = None
    size_param: str | None = None
    path: str = "next"


class Pager:
    """Makes the address of each page of a list; a page is a number, a cursor or an address."""

    def __init__(self, pagination: Pagination, url: str, params: Mapping[str, str]) -> None:
        self._how, self._params = pagination, dict(params)
        if pagination.size_param and pagination.size:
            self._params[pagination.size_param] = str(pagination.size)
        self._url = httpx.URL(url)

    @property
    def first(self) -> str | int:
        """Which page is the first."""
        match self._how.type:
            case "page":
                return 1 if self._how.first is None else self._how.first
            case "offset":
                return self._how.first or 0
            case _:
                return ""

    def url(self, page: str | int) -> str:
        """The address of a page."""
        if self._how.type in ("link", "next") and page:
            return str(self._url.join(str(page)))
        params = dict(self._params)
        default = _DEFAULT_PARAMS.get(self._how.type)
        if default and page != "":
            params[self._how.param or default] = str(page)
        return str(self._url.copy_merge_params(params))

    def next(
        self, page: str | int, answer: object, headers: Mapping[str, str], records: int
    ) -> str | int | None:
        """Which page comes after this one; None for none."""
        is_last = records == 0 or (self._how.size is not None and records < self._how.size)
        match self._how.type:
            case "page":
                return None if is_last else int(page) + 1
            case "offset":
                return None if is_last else int(page) + records
            case "cursor" | "next":
                following = picked(answer, self._how.path)
                return str(cast(Any, following)) if following not in (None, "", False) else None
            case "link":
                return _linked(headers.get("Link", ""))
            case _:
                return None


def picked(value: object, path: str | None) -> object:
    """What is at a path like data.items.0; None where there is no such thing."""
    if path is None:
        return None
    for name in path.split(".") if path else ():
        if isinstance(value, dict):
            value = cast("dict[str, object]", value).get(name)
        elif isinstance(value, list) and name.isdecimal():
            held = cast("list[object]", value)
            value = held[int(name)] if int(name) < len(held) else None
        else:
            return None
    return value


def _linked(header: str) -> str | None:
    """The address of the relation `next` in a Link header."""
    for found in _NEXT.finditer(header):
        if re.search(r'\brel\s*=\s*"?[^";]*\bnext\b', found[2]):
            return found[1]
    return None
