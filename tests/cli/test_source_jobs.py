"""Reading a source as a job: killed, cancelled, by a schedule; by one worker or two."""

from __future__ import annotations

import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from runner import Ragdb
from services import Records, serving
from sourcing import RECORD_FIELDS, add, counts, ids, reading, record, refresh
from workers import until

Superuser = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def superuser(superuser_url: str) -> Iterator[Superuser]:
    url = make_conninfo(superuser_url, dbname="ragdb")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def paged(base: str, size: int = 40) -> dict[str, Any]:
    return {
        "url": f"{base}/records", "items": "data.items", "fields": RECORD_FIELDS,
        "pagination": {"type": "page", "size": size},
    }  # fmt: skip


class Held(Records):
    """Records of which a page is held back until the test lets it go."""

    def __init__(self, records: list[dict[str, Any]], size: int, page: int) -> None:
        super().__init__(records, size=size)
        self.pages: list[int] = []
        self.page, self.asked_for, self.may_go = page, threading.Event(), threading.Event()
        self.on_page = self.turn

    def turn(self, page: int) -> None:
        self.pages.append(page)
        if page == self.page and not self.asked_for.is_set():
            self.asked_for.set()
            assert self.may_go.wait(120)


def last_run(ragdb: Ragdb, name: str) -> dict[str, Any]:
    return ragdb.json("source", "runs", name)["runs"][0]


def job_of(ragdb: Ragdb, job_id: str) -> dict[str, Any]:
    return ragdb.json("jobs", "show", job_id)


def test_a_cancelled_refresh_is_gone_on_with(member: Ragdb, tmp_path: Path) -> None:
    """What was stored stays, once; the next refresh begins where this one was."""
    log = tmp_path / "log"
    service = Held([record(n, modified="2026-01-01") for n in range(800)], size=40, page=9)
    with serving(service) as base, reading(member, log):
        add(member, "ships", "api", paged(base))
        job = member.json("source", "refresh", "ships")["job_id"]
        assert service.asked_for.wait(120)
        until(lambda: job_of(member, job)["progress"] > 0)
        assert member.json("jobs", "cancel", job)["status"] in ("running", "cancelled")
        until(lambda: job_of(member, job)["status"] == "cancelled")
        # Only the reader waits for its page; the job has ended, and stores nothing of it any more.
        stored = member.json("doc", "list", "--limit", "1000")["documents"]
        service.may_go.set()
        run = last_run(member, "ships")
        assert (run["status"], run["seen"]) == ("cancelled", len(stored))
        assert 0 < len(stored) < 800 and run["added"] == len(stored)
        [source] = member.json("source", "list")["sources"]
        assert (source["last_status"], source["documents"]) == ("cancelled", len(stored))
        assert member.json("jobs", "cancel", job)["status"] == "cancelled"

        read = len(service.pages)
        ended = refresh(member, "ships")
        assert (ended["status"], counts(ended)) == ("succeeded", {"seen": 800, "added": 800})
        assert len(member.json("source", "runs", "ships")["runs"]) == 1
        assert min(service.pages[read:]) >= len(stored) // 40 - 1 > 0
        assert member.json("source", "list")["sources"][0]["documents"] == 800
        assert counts(refresh(member, "ships")) == {"seen": 800, "unchanged": 800}


@contextmanager
def rest(ragdb: Ragdb) -> Generator[Callable[[str], dict[str, Any]]]:
    """The REST service for as long as the block runs: what it answers to a POST."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = ragdb.start("serve", "--port", str(port))
    key = {"Authorization": f"Bearer {ragdb.variables['RAGDB_API_KEY']}"}

    def post(path: str) -> dict[str, Any]:
        request = Request(f"http://127.0.0.1:{port}{path}", b"", key, method="POST")
        with urlopen(request) as response:
            return json.load(response)

    def is_ready() -> bool:
        assert process.poll() is None
        try:
            urlopen(f"http://127.0.0.1:{port}/health/ready").close()
        except URLError:
            return False
        return True

    try:
        until(is_ready)
        yield post
    finally:
        process.terminate()
        process.communicate()


def test_a_cancelled_refresh_can_be_retried_or_begun_anew(member: Ragdb, tmp_path: Path) -> None:
    """Over REST; then retried, and after a change of the source read from its beginning."""
    service = Held([record(n, modified="2026-01-01") for n in range(200)], size=20, page=6)
    with serving(service) as base, reading(member, tmp_path / "log"), rest(member) as post:
        add(member, "ships", "api", paged(base, 20))
        for again in ("retry", "change"):
            job = member.json("source", "refresh", "ships", "--full")["job_id"]
            assert service.asked_for.wait(120)
            post(f"/api/v1/jobs/{job}/cancel")
            until(lambda: job_of(member, job)["status"] == "cancelled")  # noqa: B023
            service.may_go.set()
            if again == "retry":
                assert member.json("jobs", "retry", job) == {"retried": 1}
                until(lambda: job_of(member, job)["status"] == "succeeded")  # noqa: B023
            else:
                add(member, "ships", "api", paged(base, 20), "--label", "fleet")
                assert refresh(member, "ships")["seen"] == 200
            service.asked_for.clear(), service.may_go.clear()
    runs = member.json("source", "runs", "ships")["runs"]
    assert [run["status"] for run in runs] == ["succeeded", "failed", "succeeded"]
    assert runs[1]["error"] == "interrupted"
    listed = member.json("doc", "list", "--limit", "1000")["documents"]
    assert len({row["external_id"] for row in listed}) == len(listed) == 200
    assert {tuple(row["labels"]) for row in listed} == {("fleet",)}


def test_a_refresh_that_waits_is_cancelled_at_once(member: Ragdb) -> None:
    add(member, "ships", "api", paged("http://127.0.0.1:1"))
    job = member.json("source", "refresh", "ships")["job_id"]
    assert member.json("jobs", "cancel", job)["status"] == "cancelled"
    assert member.json("source", "runs", "ships")["runs"] == []
    again = member.json("source", "refresh", "ships")
    assert again["is_new"] and again["job_id"] != job
    assert member.json("jobs", "cancel", again["job_id"])["status"] == "cancelled"


def test_a_schedule_fires_once_with_two_workers(
    member: Ragdb, tmp_path: Path, superuser: Superuser, superuser_url: str
) -> None:
    """From the clock to the documents, in the name of whoever put the source."""
    folder = tmp_path / "papers"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.txt").write_text(f"Ship{n} sails at noon.")
    made = add(member, "papers", "file", {"path": str(folder)}, "--cron", "0 3 1 1 *",
               "--time-zone", "Europe/Berlin")  # fmt: skip
    assert made["next_run_at"] is not None
    [schedule] = member.json("schedule", "list")["schedules"]
    assert (schedule["kind"], schedule["last_run_at"]) == ("sync_source", None)
    url = make_conninfo(superuser_url, dbname="ragdb")
    due = "update ragdb_data.schedule set next_run_at = now() - interval '3 days' where id = %s"
    fired = (
        "select count(*), count(*) filter (where finished_at is not null) from ragdb_data.job j"
        " join ragdb_data.schedule s using (org_no, schedule_no) where s.id = %s"
    )

    def firings(number: int) -> bool:
        rows = superuser.execute(fired, (schedule["schedule_id"],)).fetchall()
        assert rows[0][0] <= number
        return rows == [(number, number)]

    # Workers tick when they begin: two that begin together meet one due schedule.
    superuser.execute(due, (schedule["schedule_id"],))
    with reading(member, tmp_path / "one"), reading(member, tmp_path / "two"):
        until(lambda: firings(1))
        assert ids(member) == ["0.txt", "1.txt", "2.txt"]
    # What was missed in three days is made up for by one; and every tick finds one due at most.
    (folder / "3.txt").write_text("Ship3 sails at night.")
    superuser.execute(due, (schedule["schedule_id"],))
    ticks = [threading.Thread(target=_tick, args=(url,)) for _ in range(8)]
    for thread in ticks:
        thread.start()
    for thread in ticks:
        thread.join()
    assert superuser.execute(fired, (schedule["schedule_id"],)).fetchall() == [(2, 1)]
    with reading(member, tmp_path / "one"), reading(member, tmp_path / "two"):
        until(lambda: firings(2))
    assert ids(member) == ["0.txt", "1.txt", "2.txt", "3.txt"]
    runs = member.json("source", "runs", "papers")["runs"]
    assert [counts(run) for run in runs] == [
        {"seen": 4, "added": 1, "unchanged": 3}, {"seen": 3, "added": 3},
    ]  # fmt: skip
    [schedule] = member.json("schedule", "list")["schedules"]
    assert schedule["last_status"] == "succeeded" and schedule["next_run_at"] is not None
    assert member.json("source", "delete", "papers") == {"deleted": 4}
    assert member.json("schedule", "list")["schedules"] == []


def _tick(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("set role ragdb_worker")
        connection.execute("select ragdb.tick()")


def test_killed_at_any_time_nothing_is_lost_or_done_twice(
    member: Ragdb, tmp_path: Path, superuser: Superuser
) -> None:
    """A worker is killed again and again while it reads a service; then another one ends it."""
    number, chance = 1200, random.Random(7)
    service = Records([record(n, modified="2026-01-01") for n in range(number)], size=40)
    pages: list[int] = []
    service.on_page = pages.append
    log = tmp_path / "killed"
    kills = 0
    with serving(service) as base:
        add(member, "ships", "api", paged(base))
        job = member.json("source", "refresh", "ships")["job_id"]

        def ended() -> bool:
            query = "select finished_at is not null from ragdb_data.job where id = %s"
            return superuser.execute(query, (job,)).fetchall() == [(True,)]

        while kills < 6 and not ended():
            with reading(member, log) as worker:
                seen = len(pages)
                until(lambda: len(pages) >= seen + 2 or ended())  # noqa: B023
                time.sleep(chance.uniform(0, 0.2))
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            if not ended():
                kills += 1
            # As if it had been gone for as long as a lease lasts.
            superuser.execute(
                "update ragdb_data.job set lease_until = now() where status = 'running'"
            )
            superuser.execute("update ragdb_data.job set attempt = 1 where finished_at is null")
        with reading(member, log):
            until(ended)
    assert kills >= 2
    [run] = member.json("source", "runs", "ships")["runs"]
    assert (run["status"], counts(run)) == ("succeeded", {"seen": number, "added": number})
    [source] = member.json("source", "list")["sources"]
    assert source["documents"] == number
    # It went on where it was, but for the page or two that were under way.
    assert len(pages) <= number // 40 + 1 + 4 * kills
