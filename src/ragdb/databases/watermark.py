"""How far changes have been read, as a value of the column by which they are found.

The next run begins a little before: rows are not always committed in the order of their times, and
clocks are set back. A time in the future counts as now, or nothing would be found until then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ragdb.databases.dialect import Moment
from ragdb.databases.values import moment_of

# In zones that set their clocks, times without a zone come twice.
_CLOCK_CHANGE = timedelta(hours=1)
_DAY = len("2026-01-31")
_SMALLEST_TIME, _LARGEST_TIME, _MILLISECONDS = 10**8, 10**14, 10**11


def reached(value: object, kind: Moment, zone: ZoneInfo) -> object:
    """The watermark after a row with this value."""
    if not _is_time(value, kind):
        return value
    now = datetime.now(UTC)
    found = moment_of(value, kind, zone)
    if (found is not None and found <= now) or (found is None and kind == "text"):
        return value
    return _written(now, value, kind, zone)


def before(value: object, kind: Moment, zone: ZoneInfo, overlap: timedelta) -> object:
    """Where to begin after this watermark."""
    found = moment_of(value, kind, zone) if _is_time(value, kind) else None
    if found is None:
        return value
    if kind in ("local", "text") and zone.key != "UTC":
        overlap += _CLOCK_CHANGE
    try:
        return _written(found - overlap, value, kind, zone)
    except OverflowError:
        return value


def _is_time(value: object, kind: Moment) -> bool:
    """Whether it is a time at all: numbers may as well count versions."""
    if isinstance(value, (int, float, Decimal)):
        return _SMALLEST_TIME < value < _LARGEST_TIME
    return kind != "number"


def _written(moment: datetime, like: object, kind: Moment, zone: ZoneInfo) -> object:
    """A moment as the column would have it; without fractions, which some columns have not."""
    if isinstance(like, (int, float, Decimal)):
        return int(moment.timestamp()) * (1000 if like > _MILLISECONDS else 1)
    at = (moment if kind == "moment" else moment.astimezone(zone)).replace(microsecond=0)
    if len(str(like)) == _DAY:
        return at.date().isoformat()
    between = "T" if kind == "text" and "T" in str(like) else " "
    return at.replace(tzinfo=None).isoformat(between)
