"""`ragdb worker`, `ragdb jobs` and `ragdb schedule`, as processes of their own."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from runner import Ragdb
from workers import until, working

from ragdb import settings
from ragdb.db import Caller, Database
from ragdb.embedded import Server

ENDED = ("succeeded", "failed", "cancelled")


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def documents(number: int, prefix: str, words: int = 8) -> dict[str, Any]:
    return {
        "documents": [
            {"external_id": f"{prefix}/{n}", "content": f"Ship {prefix} {n} sails. " * words}
            for n in range(number)
        ]
    }


class Home:
    """An installation, seen by its administrator and by a superuser."""

    def __init__(self, ragdb: Ragdb) -> None:
        self.ragdb, self.server = ragdb, Server.default(ragdb.home)
        self.settings = settings.load(ragdb.home, {})

    def call(self, function: str, **arguments: object) -> list[dict[str, Any]]:
        with Database.connect(self.settings.database_url or "") as database:
            return database.call(Caller(api_key=self.settings.api_key), function, **arguments)

    def enqueue(self, payload: dict[str, Any], kind: str = "put_documents") -> str:
        made = self.call("enqueue_job", p_kind=kind, p_payload=Jsonb(payload))
        return str(made[0]["job_id"])

    def state(self, job_id: str) -> dict[str, Any]:
        return self.call("get_job", p_job_id=job_id)[0]

    def ended(self, job_id: str) -> dict[str, Any]:
        return until(lambda: (job := self.state(job_id))["status"] in ENDED and job)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        url = make_conninfo(self.server.superuser_url(), dbname="ragdb")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def expire(self) -> None:
        """As if the workers that are gone had been gone for long."""
        self.ask("update ragdb_data.job set lease_until = now() where status = 'running'")


@pytest.fixture
def home(empty: Ragdb) -> Home:
    empty.text("init")
    return Home(empty)


def test_jobs_are_done_and_shown(home: Home, tmp_path: Path) -> None:
    ragdb, log = home.ragdb, tmp_path / "log"
    before = home.enqueue(documents(450, "before"))
    with working(ragdb, log) as worker:
        done = ragdb.json("jobs", "watch", before)
        assert (done["status"], done["progress"]) == ("succeeded", 1.0)
        assert done["result"] == {"documents": {"ingested": 450}, "failed": []}
        faulty = home.enqueue({"documents": [{"content": "Good."}, {"content": ""}, 1]})
        assert home.ended(faulty)["result"]["documents"] == {"ingested": 1, "failed": 2}
        maintained = home.ended(ragdb.text("jobs", "enqueue", "maintain").strip())
        assert (maintained["status"], maintained["result"]) == ("succeeded", None)
        nowhere = {"documents": [{"content": "x"}], "workspace": "nowhere"}
        for kind, payload, error in (
            ("put_documents", {"document": []}, "invalid_payload"),
            ("delete_old_jobs", {"days": -1}, "invalid_payload"),
            ("put_documents", nowhere, "workspace_not_found"),
        ):
            failed = home.ended(home.enqueue(payload, kind))
            assert (failed["status"], failed["error"], failed["attempt"]) == ("failed", error, 1)
        assert ragdb.json("jobs", "watch", str(failed["job_id"]), code=1)["status"] == "failed"

        queues = {row["queue"]: row for row in ragdb.json("jobs", "queues")["queues"]}
        assert queues["maintenance"]["succeeded_last_hour"] >= 1
        assert (queues["ingestion"]["queued"], queues["ingestion"]["failed"]) == (0, 2)
        assert "put_documents\tsucceeded" in ragdb.text("jobs", "list")
        assert ragdb.json("jobs", "retry", "--kind", "put_documents") == {"retried": 2}
        assert home.ended(str(failed["job_id"]))["status"] == "failed"
        until(lambda: not home.call("list_jobs", p_status="running"))
        home.ended(home.enqueue({"days": 0}, "delete_old_jobs"))
        assert not home.call("list_jobs", p_kind="put_documents")
        worker.terminate()
        assert worker.wait(60) == 0
    said = [event["event"] for event in events(log)]
    assert said[0] == "worker started" and said[-1] == "worker stopped"
    assert "before" not in log.read_text()


def test_schedules(home: Home, tmp_path: Path) -> None:
    ragdb = home.ragdb
    ragdb.text("schedule", "put", "often", "* * * * *", "maintain", "--time-zone", "Asia/Tokyo")
    ragdb.text("schedule", "put", "never", "@daily", "maintain", "--disabled")
    assert ragdb.problem("schedule", "put", "x", "99 * * * *", "maintain") == (1, "invalid_cron")
    home.ask("update ragdb_data.schedule set next_run_at = now() - interval '3 days'")
    with working(ragdb, tmp_path / "log"):
        until(lambda: home.call("list_jobs", p_status="succeeded"))
    listed = {row["name"]: row for row in ragdb.json("schedule", "list")["schedules"]}
    assert listed["often"]["last_status"] == "succeeded"
    assert listed["never"]["last_job_id"] is None
    ragdb.text("schedule", "rm", "never")
    assert ragdb.problem("schedule", "rm", "never") == (4, "schedule_not_found")


def test_a_running_job_is_cancelled(home: Home, tmp_path: Path) -> None:
    job_id = home.enqueue(documents(20_000, "long"))
    with working(home.ragdb, tmp_path / "log"):
        until(lambda: home.state(job_id)["progress"] > 0)
        home.ragdb.text("jobs", "cancel", job_id)
        assert home.ended(job_id)["status"] == "cancelled"
    stored = home.ask("select count(*) from ragdb_data.document")[0][0]
    assert 0 < stored < 20_000 and stored % 200 == 0
    assert home.ragdb.problem("jobs", "cancel", "0" * 32) == (4, "job_not_found")


@pytest.mark.parametrize("signals", [1, 2])
def test_a_worker_that_is_told_to_end(home: Home, tmp_path: Path, signals: int) -> None:
    """Finishes what it has begun; told again, gives it back, for others to do at once."""
    job_id = home.enqueue(documents(5000, "long"))
    with working(home.ragdb, tmp_path / "log", "--grace", "600") as worker:
        until(lambda: home.state(job_id)["progress"] > 0)
        waiting = home.enqueue(documents(1, "waiting"))
        home.enqueue(documents(1, "begun"))
        for _ in range(signals):
            worker.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert worker.wait(120) == 0
    job = home.state(job_id)
    if signals == 1:
        assert (job["status"], home.state(waiting)["attempt"]) == ("succeeded", 1) or (
            home.state(waiting)["status"] == "queued"
        )
    else:
        assert (job["status"], job["attempt"]) == ("queued", 0)


def test_a_worker_outlives_its_server(home: Home, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with working(home.ragdb, log) as worker:
        home.ended(home.enqueue(documents(1, "before")))
        home.ragdb.text("stop")
        until(lambda: "database_unavailable" in log.read_text())
        home.ragdb.text("start")
        assert home.ended(home.enqueue(documents(1, "after")))["status"] == "succeeded"
        assert worker.poll() is None


def test_whatever_is_killed_nothing_is_lost_or_done_twice(home: Home, tmp_path: Path) -> None:
    """Jobs of ingestion while workers and the server are killed at random moments."""
    jobs = [home.enqueue(documents(20, f"job{n}")) for n in range(60)]
    chance = random.Random(4)
    kills = 0
    while kills < 8:
        with (
            working(home.ragdb, tmp_path / "log", "--slots", "2") as first,
            working(home.ragdb, tmp_path / "log", "--slots", "2") as second,
        ):
            time.sleep(chance.uniform(0.8, 1.6))
            if kills % 4 == 3:
                kill_server(home.server)
                home.ragdb.text("start")
            for worker in (first, second):
                worker.kill()
            kills += 1
        home.expire()
    with working(home.ragdb, tmp_path / "log"):
        home.call("retry_failed")
        for job_id in jobs:
            home.expire()
            assert home.ended(job_id)["status"] == "succeeded"
    assert home.ask(
        "select count(*), count(distinct external_id) from ragdb_data.document"
    ) == [(1200, 1200)]  # fmt: skip
    assert home.ask(
        "select count(*) from ragdb_data.document d where (select count(*) from ragdb_data.chunk c"
        " where c.body_no = d.body_no and c.org_no = d.org_no) <> 1"
    ) == [(0,)]
    assert home.ask("select count(*) from ragdb_data.body") == [(1200,)]
    assert home.ask("select count(*) from ragdb_data.chunk_vector") == [(1200,)]


def kill_server(server: Server) -> None:
    pid = server.status().pid
    assert pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for victim in (pid, *map(int, children)):
        os.kill(victim, signal.SIGKILL)
