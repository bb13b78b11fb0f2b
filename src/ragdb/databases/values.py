"""What databases return, as what documents and cursors are made of.

Times without a zone are in the zone that the mapping names. In the hour that a clock is set back
for, a time stands for two moments; the earlier one is taken.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from ragdb.databases.dialect import Moment
from ragdb.sources.driver import ItemError

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?)?"
    r"\s*(?:(Z)|([+-]\d\d)(?::?(\d\d))?)?"
)
_MILLISECONDS = 100_000_000_000
_ALIVE = frozenset({"", "0", "f", "false", "n", "no"})


def text_of(value: object, encoding: str) -> str:
    """A value as text; raises ItemError for bytes that are none."""
    match value:
        case None:
            return ""
        case str():
            return value.replace("\0", "")
        case bytes():
            return _decoded(value, encoding)
        case datetime() | date() | time():
            return value.isoformat()
        case dict():
            return msgspec.json.encode(value).decode()
        case list():
            parts = cast("list[object]", value)
            return ", ".join(text_of(part, encoding) for part in parts)
        case _:
            return str(value)


def _decoded(value: bytes, encoding: str) -> str:
    for known in ("utf-8", encoding):
        try:
            text = value.decode(known)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.removeprefix("\ufeff")
    raise ItemError("not_text", f"{len(value)} bytes are no text in UTF-8, nor in {encoding}.")


def datum(value: object, moment: Moment | None, zone: ZoneInfo, encoding: str) -> object:
    """A value as metadata: a number stays one, a time becomes ISO 8601 in UTC."""
    if moment in ("moment", "local"):
        found = moment_of(value, moment, zone)
        return found.isoformat() if found else text_of(value, encoding) or None
    match value:
        case None | bool() | int() | float():
            return value
        case Decimal():
            if not value.is_finite():
                return str(value)
            return int(value) if value == value.to_integral_value() else float(value)
        case dict() | list():
            return cast(object, value)
        case _:
            return text_of(value, encoding)


def moment_of(value: object, moment: Moment | None, zone: ZoneInfo) -> datetime | None:
    """The moment that a value is, in UTC; None where it is none, such as 0000-00-00."""
    if isinstance(value, datetime):
        return _in_utc(value, zone)
    if isinstance(value, date):
        return _in_utc(datetime(value.year, value.month, value.day), zone)
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        seconds = float(value) / (1000 if abs(value) > _MILLISECONDS else 1)
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, ValueError, OSError):
            return None
    found = _TIME.fullmatch(str(value).strip()) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, zulu, hours, minutes = found.groups()
    try:
        read = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}")
        read = read.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]))
        if zulu or (moment == "moment" and hours is None):
            return read.replace(tzinfo=UTC)
        if hours is not None:
            offset = timedelta(hours=int(hours), minutes=int(hours[0] + (minutes or "0")))
            return (read - offset).replace(tzinfo=UTC)
        return _in_utc(read, zone)
    except (ValueError, OverflowError):
        return None


def _in_utc(read: datetime, zone: ZoneInfo) -> datetime | None:
    try:
        return (read if read.tzinfo else read.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_deleted(value: object) -> bool:
    """Whether a value says that its row is deleted: a flag that is set, a time of deletion."""
    match value:
        case None | False:
            return False
        case bytes():
            return any(value) and value not in (b"0", b"N", b"n", b"f", b"F")
        case str():
            return value.strip().lower() not in _ALIVE and not value.startswith("0000-00-00")
        case int() | float() | Decimal():
            return value != 0
        case _:
            return True


def kept(value: object) -> object:
    """A key as JSON keeps it; raises ItemError for what cannot be one."""
    match value:
        case bool() | None:
            pass
        case int() | str():
            return value
        case UUID():
            return str(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else {"decimal": str(value)}
        case bytes():
            return {"hex": value.hex()}
        case _:
            pass
    raise ItemError("unusable_id", f"A {type(value).__name__} is no id that rows can be read by.")


def taken(key: object) -> object:
    """A key that JSON kept, to be bound again."""
    if isinstance(key, dict):
        known = cast("dict[str, str]", key)
        return bytes.fromhex(known["hex"]) if "hex" in known else Decimal(known["decimal"])
    return key


def named(key: object) -> str:
    """A key that JSON keeps as the id of a document."""
    return (
        str(next(iter(cast("dict[str, str]", key).values()))) if isinstance(key, dict) else str(key)
    )
