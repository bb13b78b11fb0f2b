"""Times, watermarks and flags, in whatever they are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ragdb.databases.values import is_deleted, moment_of
from ragdb.databases.watermark import before, reached


@pytest.mark.parametrize(
    ("written", "kind", "moment"),
    [
        ("2026-07-01 12:00:00", "local", "2026-07-01T10:00:00+00:00"),
        ("2026-01-01T12:00:00.5", "local", "2026-01-01T11:00:00.500000+00:00"),
        ("2026-01-01", "local", "2025-12-31T23:00:00+00:00"),
        # The hour that comes twice, and the one that is left out.
        ("2026-10-25 02:30:00", "local", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29 02:30:00", "local", "2026-03-29T01:30:00+00:00"),
        ("2026-07-01 12:00:00", "moment", "2026-07-01T12:00:00+00:00"),
        ("2026-07-01 12:00:00.123456789+05:30", "moment", "2026-07-01T06:30:00.123456+00:00"),
        ("2026-07-01T12:00:00Z", "text", "2026-07-01T12:00:00+00:00"),
        ("2026-07-01 12:00:00-03", "local", "2026-07-01T15:00:00+00:00"),
        (1_782_907_200, "number", "2026-07-01T12:00:00+00:00"),
        (1_782_907_200_500, "number", "2026-07-01T12:00:00.500000+00:00"),
        ("0000-00-00 00:00:00", "local", None), ("infinity", "moment", None),
        ("yesterday", "text", None), (None, "local", None), (10**30, "number", None),
        ("0001-01-01 00:00:00", "local", None),
    ],
)  # fmt: skip
def test_times(written: object, kind: Any, moment: str | None) -> None:
    found = moment_of(written, kind, ZoneInfo("Europe/Berlin"))
    assert (found.isoformat() if found else None) == moment


@pytest.mark.parametrize(
    ("watermark", "kind", "begun"),
    [
        ("2026-07-01 12:00:00.5", "moment", "2026-07-01 11:55:00"),
        # An hour more: at the end of October local times come twice.
        ("2026-07-01 12:00:00.5", "local", "2026-07-01 10:55:00"),
        ("2026-07-01", "local", "2026-06-30"),
        ("2026-07-01T12:00:00", "text", "2026-07-01T10:55:00"),
        (1_782_907_200, "number", 1_782_906_900), (1_782_907_200_500, "number", 1_782_906_900_000),
        (17, "number", 17), ("v17", "text", "v17"),
    ],
)  # fmt: skip
def test_runs_begin_a_little_before(watermark: object, kind: Any, begun: object) -> None:
    overlap = timedelta(minutes=5)
    assert before(watermark, kind, ZoneInfo("Europe/Berlin"), overlap) == begun
    assert reached(watermark, kind, ZoneInfo("Europe/Berlin")) == watermark


def test_watermarks_do_not_run_ahead() -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:")
    for odd in ("2199-01-01 00:00:00", "infinity"):
        assert str(reached(odd, "moment", ZoneInfo("UTC"))).startswith(now)


@pytest.mark.parametrize("value", [1, True, "Y", "true", b"\x01", "2026-01-31 12:00:00", -1])
def test_flags_that_are_set(value: object) -> None:
    assert is_deleted(value)


@pytest.mark.parametrize(
    "value", [None, 0, False, "", " ", "N", "No", "false", "0", b"\x00", b"0", b"",
              "0000-00-00 00:00:00"]
)  # fmt: skip
def test_flags_that_are_not(value: object) -> None:
    assert not is_deleted(value)
