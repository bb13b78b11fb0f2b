"""Types of arguments that click does not bring."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click

# The longest text worth sending where a question is expected; the database says what it takes.
_LONGEST_INPUT = 16_000_000


class _JsonObject(click.ParamType[dict[str, Any]]):
    name = "JSON"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        try:
            parsed: Any = json.loads(value)
        except (ValueError, RecursionError) as error:
            self.fail(f"not JSON: {error}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail('a JSON object is needed, like {"year": 2025}', param, ctx)
        return cast("dict[str, Any]", parsed)


class _Moment(click.ParamType[datetime]):
    """2027-01-31, 2027-01-31T12:00:00+01:00, or a time from now: 90d, 12h, 30m."""

    name = "WHEN"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if span := re.fullmatch(r"(\d+)([dhm])", value):
                unit = {"d": "days", "h": "hours", "m": "minutes"}[span[2]]
                return datetime.now(UTC) + timedelta(**{unit: int(span[1])})
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time like 90d or 2027-01-31", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Question(click.ParamType[str]):
    """A text; - stands for standard input, as a long one does not fit into an argument."""

    name = "TEXT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value != "-":
            return value
        with click.open_file("-", "rb") as stream:
            given = stream.read(_LONGEST_INPUT)
        return given.decode("utf-8", "surrogateescape").strip()


JSON_OBJECT = _JsonObject()
MOMENT = _Moment()
QUESTION = _Question()
