"""Schedules: when they are due, and that they make one job, whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ragdb.db import Caller, Database
from ragdb.errors import RagdbError

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase

WORKER = Caller(role="ragdb_worker")

Next = Callable[..., list[str]]


@pytest.fixture
def following(db: psycopg.Connection) -> Next:
    """The next times, in UTC, at which an expression is due in a time zone."""

    def following(cron: str, after: str, zone: str = "UTC", times: int = 3) -> list[str]:
        moment: Any = datetime.fromisoformat(after).replace(tzinfo=UTC)
        found: list[str] = []
        for _ in range(times):
            row = db.execute(
                "select ragdb_data._next_run(%s, %s, %s)", (cron, zone, moment)
            ).fetchone()
            assert row
            moment = row[0]
            found.append(moment.astimezone(UTC).strftime("%m-%d %H:%M"))
        return found

    return following


DUE = [
    ("* * * * *", ["01-30 10:08", "01-30 10:09", "01-30 10:10"]),
    ("*/20 * * * *", ["01-30 10:20", "01-30 10:40", "01-30 11:00"]),
    ("5/25 * * * *", ["01-30 10:30", "01-30 10:55", "01-30 11:05"]),
    ("0 9-17/4 * * *", ["01-30 13:00", "01-30 17:00", "01-31 09:00"]),
    ("30 2 * * *", ["01-31 02:30", "02-01 02:30", "02-02 02:30"]),
    ("0,30 2 1 * *", ["02-01 02:00", "02-01 02:30", "03-01 02:00"]),
    ("0 0 * * mon", ["02-02 00:00", "02-09 00:00", "02-16 00:00"]),
    ("0 0 * * MON-FRI", ["02-02 00:00", "02-03 00:00", "02-04 00:00"]),
    ("0 0 * * 0", ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
    ("0 0 * * 7", ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
    ("0 0 * * fri-7", ["01-31 00:00", "02-01 00:00", "02-06 00:00"]),
    ("0 0 3 * mon", ["02-02 00:00", "02-03 00:00", "02-09 00:00"]),
    ("0 0 */10 * mon", ["05-11 00:00", "06-01 00:00", "08-31 00:00"]),
    ("0 0 31 * *", ["01-31 00:00", "03-31 00:00", "05-31 00:00"]),
    ("0 0 29 feb *", ["02-29 00:00", "02-29 00:00", "02-29 00:00"]),
    ("0 12 1 jan,jul *", ["07-01 12:00", "01-01 12:00", "07-01 12:00"]),
    ("@hourly", ["01-30 11:00", "01-30 12:00", "01-30 13:00"]),
    ("@daily", ["01-31 00:00", "02-01 00:00", "02-02 00:00"]),
    ("@weekly", ["02-01 00:00", "02-08 00:00", "02-15 00:00"]),
    ("@monthly", ["02-01 00:00", "03-01 00:00", "04-01 00:00"]),
    ("@yearly", ["01-01 00:00", "01-01 00:00", "01-01 00:00"]),
]
NEVER = (
    "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
    "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "* * * foo *",
    "1,,2 * * * *", "-1 * * * *", "1.5 * * * *", "0 0 31 2 *", "@reboot", "* * * * mon#1",
    "0 0 * * * ; drop", "*" * 300,
)  # fmt: skip


def test_due_times(following: Next) -> None:
    """From Friday, 30 January 2026."""
    for cron, expected in DUE:
        assert following(cron, "2026-01-30 10:07:30") == expected, cron


def test_what_is_no_schedule(acme: Organization) -> None:
    for cron in NEVER:
        with pytest.raises(RagdbError) as refused:
            acme.call("put_schedule", p_name="x", p_cron=cron, p_kind="maintain")
        assert refused.value.problem.code == "invalid_cron", cron


# In Berlin the clock goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on
# 25 October.
def test_a_skipped_hour_comes_once_and_later(following: Next) -> None:
    zone = "Europe/Berlin"
    assert following("30 2 * * *", "2026-03-28 12:00", zone) == [
        "03-29 01:30", "03-30 00:30", "03-31 00:30",
    ]  # fmt: skip
    assert following("0 2,3 * * *", "2026-03-28 12:00", zone) == [
        "03-29 01:00", "03-30 00:00", "03-30 01:00",
    ]  # fmt: skip


def test_a_doubled_hour_counts_once(following: Next) -> None:
    zone = "Europe/Berlin"
    for after in ("2026-10-24 12:00", "2026-10-25 00:10"):
        assert following("30 2 * * *", after, zone, 2) == ["10-25 01:30", "10-26 01:30"]


def test_every_quarter_of_an_hour_passes_whatever_the_clock_does(following: Next) -> None:
    for zone, days in {
        "Europe/Berlin": ("2026-03-28", "2026-10-24"),
        "America/New_York": ("2026-03-07", "2026-10-31"),
        "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
    }.items():
        for day in days:
            found = following("*/15 * * * *", f"{day} 00:00", zone, 150)
            moments = [datetime.strptime(f"2026 {moment}", "%Y %m-%d %H:%M") for moment in found]
            gaps = {(b - a).seconds for a, b in pairwise(moments)}
            assert gaps == {900}, (zone, day)


def make_due(db: psycopg.Connection, by: str = "1 minute") -> None:
    db.execute("update ragdb_data.schedule set next_run_at = now() - %s::interval", (by,))


def test_put_change_and_delete(acme: Organization, globex: Organization) -> None:
    def put(**given: object) -> None:
        acme.call(
            "put_schedule",
            **{"p_name": "nightly", "p_cron": "0 3 * * *", "p_kind": "maintain"} | given,
        )

    put(p_time_zone="Europe/Berlin", p_payload={"a": 1})
    put(p_cron="0 4 * * *", p_is_enabled=False)
    [schedule] = acme.read("schedules")
    assert (schedule["cron"], schedule["time_zone"], schedule["is_enabled"]) == (
        "0 4 * * *", "UTC", False,
    )  # fmt: skip
    assert globex.read("schedules") == []
    for given, code in (
        ({"p_time_zone": "Mars/Olympus"}, "unknown_time_zone"),
        ({"p_kind": "x"}, "unknown_job_kind"),
        ({"p_payload": psycopg.types.json.Jsonb(1)}, "invalid_payload"),
    ):
        with pytest.raises(RagdbError) as refused:
            put(**given)
        assert refused.value.problem.code == code
    with pytest.raises(RagdbError):
        globex.call("delete_schedule", p_name="nightly")
    acme.call("delete_schedule", p_name="nightly")
    assert acme.read("schedules") == []


def test_many_ticks_make_one_job(
    acme: Organization, database: TestDatabase, db: psycopg.Connection
) -> None:
    names = [f"schedule {number}" for number in range(20)]
    for name in names:
        acme.call("put_schedule", p_name=name, p_cron="0 3 * * *", p_kind="maintain")
    url = database.login("ragdb_worker")
    make_due(db, "3 days")

    def tick(_: int) -> int:
        with Database.connect(url) as worker:
            return sum(worker.call(WORKER, "tick")[0]["tick"] for _ in range(5))

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(tick, range(4)))
    assert sum(made) == 20, "the days that were missed are made up for by one job"
    jobs = acme.call("list_jobs")
    assert sorted(job["schedule"] for job in jobs) == sorted(names)
    assert all(s["next_run_at"] > datetime.now(UTC) for s in acme.read("schedules"))


def test_none_while_the_one_before_has_not_ended(
    acme: Organization, database: TestDatabase, db: psycopg.Connection
) -> None:
    acme.call("put_schedule", p_name="often", p_cron="* * * * *", p_kind="maintain")
    with Database.connect(database.login("ragdb_worker")) as worker:

        def tick() -> int:
            make_due(db)
            return worker.call(WORKER, "tick")[0]["tick"]

        assert [tick(), tick()] == [1, 0]
        [job] = worker.call(WORKER, "claim_jobs")
        assert tick() == 0
        worker.call(
            WORKER, "finish_job",
            p_org_no=job["org_no"], p_job_no=job["job_no"], p_token=job["token"],
        )  # fmt: skip
        assert tick() == 1
        acme.call(
            "put_schedule", p_name="often", p_cron="* * * * *", p_kind="maintain",
            p_is_enabled=False,
        )  # fmt: skip
        worker.call(WORKER, "claim_jobs")
        db.execute("update ragdb_data.job set status = 'failed', token = null, lease_until = null,"
                   " finished_at = now() where status = 'running'")  # fmt: skip
        assert tick() == 0
    [schedule] = acme.read("schedules")
    assert schedule["last_status"] == "failed"
