"""Jobs in the database: enqueued, claimed, kept, ended, tried again; fairly, and once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import DictRow

from ragdb.db import Caller, Database, Lease
from ragdb.errors import RagdbError

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase

WORKER = Caller(role="ragdb_worker")


@dataclass(frozen=True)
class Worker:
    """A worker's connection."""

    database: Database

    def claim(self, limit: int = 1, **arguments: object) -> list[DictRow]:
        return self.database.call(WORKER, "claim_jobs", p_limit=limit, **arguments)

    def report(self, job: DictRow, function: str, **arguments: object) -> Any:
        names = ("org_no", "job_no", "token")
        lease = {f"p_{name}": job[name] for name in names}
        return self.database.call(WORKER, function, **lease, **arguments)[0][function]

    def call(self, job: DictRow, function: str, **arguments: object) -> list[DictRow]:
        lease = Lease(job["org_no"], job["job_no"], job["token"])
        return self.database.call(Caller(lease=lease), function, **arguments)


@pytest.fixture
def worker_url(database: TestDatabase) -> str:
    return database.login("ragdb_service", "ragdb_worker")


@pytest.fixture
def worker(worker_url: str) -> Iterator[Worker]:
    with Database.connect(worker_url) as connected:
        yield Worker(connected)


def enqueue(org: Organization, kind: str = "put_documents", **arguments: object) -> UUID:
    return org.call("enqueue_job", p_kind=kind, **arguments)[0]["job_id"]


def state(org: Organization, job_id: UUID) -> DictRow:
    return org.call("get_job", p_job_id=job_id)[0]


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(RagdbError) as refused:
        call(*arguments, **named)
    return refused.value.problem.status, refused.value.problem.code


def expire(db: psycopg.Connection) -> None:
    """As if every worker had been silent for as long as a lease lasts."""
    db.execute("update ragdb_data.job set lease_until = now() - interval '1 second'"
               " where status = 'running'")  # fmt: skip


def make_due(db: psycopg.Connection) -> None:
    db.execute("update ragdb_data.job set run_at = now() where status = 'scheduled'")


def test_from_enqueued_to_done(acme: Organization, worker: Worker) -> None:
    job_id = enqueue(acme, p_payload={"documents": []}, p_priority=7)
    waiting = state(acme, job_id)
    assert (waiting["status"], waiting["queue"], waiting["priority"]) == ("queued", "ingestion", 7)
    assert (waiting["payload"], waiting["email"]) == ({"documents": []}, "admin@acme.test")

    [job] = worker.claim()
    assert (job["job_id"], job["kind"], job["attempt"]) == (job_id, "put_documents", 1)
    assert job["payload"] == {"documents": []}
    assert worker.claim() == []
    assert worker.report(job, "heartbeat", p_progress=0.5, p_message="half") is False
    worker.report(job, "heartbeat")
    running = state(acme, job_id)
    assert (running["status"], running["progress"], running["message"]) == ("running", 0.5, "half")

    assert worker.report(job, "finish_job", p_result={"n": 1}) == "succeeded"
    done = state(acme, job_id)
    assert (done["status"], done["progress"], done["result"]) == ("succeeded", 1.0, {"n": 1})
    assert done["finished_at"] >= done["started_at"] >= done["created_at"]


def test_what_cannot_be_enqueued(acme: Organization) -> None:
    for arguments, code in (
        ({"p_kind": "nothing"}, "unknown_job_kind"),
        ({"p_kind": "maintain", "p_queue": "x"}, "unknown_queue"),
        ({"p_kind": "maintain", "p_priority": 10}, "invalid_priority"),
        ({"p_kind": "maintain", "p_run_at": "infinity"}, "invalid_run_at"),
        ({"p_kind": "maintain", "p_idempotency_key": ""}, "invalid_idempotency_key"),
        ({"p_kind": "maintain", "p_payload": psycopg.types.json.Jsonb([])}, "invalid_payload"),
    ):
        assert refusal(acme.call, "enqueue_job", **arguments) == (422, code)
    viewer = acme.member("viewer@acme.test")
    assert refusal(acme.as_key, viewer, "enqueue_job", p_kind="maintain")[0] == 403
    editor = acme.member("editor@acme.test", "editor")
    assert refusal(acme.as_key, editor, "enqueue_job", p_kind="delete_old_jobs")[0] == 403


def test_the_same_key_is_the_same_job(acme: Organization, globex: Organization) -> None:
    first = acme.call("enqueue_job", p_kind="maintain", p_idempotency_key="k")[0]
    again = acme.call("enqueue_job", p_kind="maintain", p_idempotency_key="k")[0]
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["job_id"] == again["job_id"]
    assert refusal(acme.call, "enqueue_job", p_kind="put_documents", p_idempotency_key="k") == (
        409, "idempotency_key_reused",
    )  # fmt: skip
    assert globex.call("enqueue_job", p_kind="maintain", p_idempotency_key="k")[0]["is_new"]
    assert len(acme.call("list_jobs")) == 1


def test_the_same_key_at_the_same_time(acme: Organization, database: TestDatabase) -> None:
    def enqueue_once(url: str) -> UUID:
        with Database.connect(url) as connected:
            return connected.call(
                Caller(api_key=acme.key), "enqueue_job", p_kind="maintain", p_idempotency_key="k"
            )[0]["job_id"]

    urls = [database.url] * 8
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(enqueue_once, urls))) == 1


def test_priority_then_age(acme: Organization, worker: Worker) -> None:
    ids = [enqueue(acme, p_priority=priority) for priority in (5, 9, 0, 5)]
    later = enqueue(acme, p_priority=9, p_run_at="2100-01-01")
    claimed = [job["job_id"] for job in worker.claim(10)]
    assert claimed == [ids[1], ids[0], ids[3], ids[2]]
    assert state(acme, later)["status"] == "scheduled"


def test_only_the_queues_asked_for(acme: Organization, worker: Worker) -> None:
    enqueue(acme)
    enqueue(acme, "maintain", p_queue="sync")
    assert [job["queue"] for job in worker.claim(5, p_queues=["sync", "embedding"])] == ["sync"]


def test_no_organization_waits_behind_another(
    acme: Organization, globex: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    """One job of globex, enqueued after a hundred thousand of acme."""
    enqueue(acme)
    db.execute(
        "with many as (insert into ragdb_data.job (org_no, kind, queue, user_no, permissions,"
        " limited_to, priority, max_attempts) select j.org_no, j.kind, j.queue, j.user_no,"
        " j.permissions, 0, 9, 5 from ragdb_data.job j, generate_series(1, 100000)"
        " returning org_no, job_no, user_no) insert into ragdb_data.job_detail"
        " select org_no, job_no, user_no, '{}' from many"
    )
    single = enqueue(globex, p_priority=0)
    worker.claim(2)
    assert state(globex, single)["status"] == "running"

    # With one slot, ended at once, chance is fair: none of 20 has to wait for long.
    for _ in range(20):
        enqueue(globex)
    claimed = Counter[int]()
    for _ in range(60):
        [job] = worker.claim()
        claimed[job["org_no"]] += 1
        worker.report(job, "finish_job")
    assert min(claimed.values()) >= 10


def test_slots_are_shared(acme: Organization, globex: Organization, worker: Worker) -> None:
    for _ in range(10):
        enqueue(acme)
    assert len(worker.claim(4)) == 4
    for _ in range(10):
        enqueue(globex)
    [first, second] = worker.claim(1) + worker.claim(1)
    assert first["org_no"] == second["org_no"] != 1 or len({first["org_no"]}) == 1
    assert state(globex, first["job_id"])["status"] == "running"
    assert state(globex, second["job_id"])["status"] == "running"


def test_many_claimers_share_no_job(acme: Organization, worker_url: str) -> None:
    expected = {enqueue(acme) for _ in range(200)}

    def drain(_: int) -> list[UUID]:
        with Database.connect(worker_url) as connected:
            worker, taken = Worker(connected), list[UUID]()
            while jobs := worker.claim(3):
                taken += [job["job_id"] for job in jobs]
            return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [job for jobs in threads.map(drain, range(4)) for job in jobs]
    assert len(taken) == 200
    assert set(taken) == expected


def test_a_lost_lease_is_worth_nothing(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    job_id = enqueue(acme)
    [lost] = worker.claim()
    expire(db)
    worker.report(lost, "heartbeat")
    assert worker.claim() == [], "late, but still there"
    expire(db)
    [job] = worker.claim()
    assert (job["job_id"], job["attempt"]) == (job_id, 2)
    assert job["token"] != lost["token"]
    for function in ("heartbeat", "finish_job", "release_job"):
        assert refusal(worker.report, lost, function) == (409, "lease_lost")
    failure = {"p_error_code": "x", "p_error": "x"}
    assert refusal(worker.report, lost, "fail_job", **failure) == (409, "lease_lost")
    assert refusal(worker.call, lost, "put_document", p_content="x") == (409, "lease_lost")
    assert worker.report(job, "finish_job") == "succeeded"
    assert refusal(worker.report, job, "finish_job") == (409, "lease_lost")


def test_a_lease_does_not_pass_on_during_a_transaction(
    acme: Organization, worker: Worker, worker_url: str, db: psycopg.Connection
) -> None:
    """What is written under a lease commits before anybody else begins the job."""
    enqueue(acme)
    [job] = worker.claim()
    with psycopg.connect(worker_url) as writing:
        writing.execute("set local role ragdb_worker")
        writing.execute(
            "select ragdb.begin_worker_context(%s, %s, %s)",
            (job["org_no"], job["job_no"], job["token"]),
        )
        expire(db)
        assert worker.claim() == []
        worker.report(job, "heartbeat")
        expire(db)
        writing.commit()
        assert len(worker.claim()) == 1


def test_failures_come_back_later_and_at_last_stay(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    job_id = enqueue(acme, "maintain")
    delays: list[float] = []
    for attempt in (1, 2, 3):
        [job] = worker.claim()
        assert job["attempt"] == attempt
        status = worker.report(job, "fail_job", p_error_code="broken", p_error="It broke.")
        failed = state(acme, job_id)
        assert status == failed["status"] == ("failed" if attempt == 3 else "scheduled")
        assert (failed["error"], failed["error_message"]) == ("broken", "It broke.")
        if attempt < 3:
            assert worker.claim() == []
            delays.append((failed["run_at"] - failed["started_at"]).total_seconds())
            make_due(db)
    assert 2.5 <= delays[0] <= 8.5
    assert 5 <= delays[1] <= 16
    assert worker.claim() == []
    health = {row["queue"]: row for row in acme.read("queue_health")}["maintenance"]
    assert (health["failed"], health["queued"]) == (1, 0)

    assert acme.call("retry_failed")[0]["retry_failed"] == 1
    [job] = worker.claim()
    assert (job["job_id"], job["attempt"]) == (job_id, 1)
    worker.report(job, "finish_job")
    assert refusal(acme.call, "retry_failed", p_job_id=job_id) == (409, "job_not_failed")


def test_a_job_that_kills_its_workers_fails(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    job_id = enqueue(acme, "maintain")
    for _ in range(3):
        assert len(worker.claim()) == 1
        expire(db)
    assert worker.claim() == []
    failed = state(acme, job_id)
    assert (failed["status"], failed["error"]) == ("failed", "lease_expired")
    assert failed["error_message"]


def test_what_cannot_be_helped_is_not_tried_again(acme: Organization, worker: Worker) -> None:
    job_id = enqueue(acme)
    [job] = worker.claim()
    worker.report(job, "fail_job", p_error_code="x", p_error="y", p_may_retry=False)
    assert state(acme, job_id)["status"] == "failed"


def test_released_jobs_cost_no_attempt(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    enqueue(acme)
    [job] = worker.claim()
    assert worker.report(job, "release_job") == "queued"
    [job] = worker.claim()
    assert worker.report(job, "release_job", p_after="1 hour") == "scheduled"
    assert worker.claim() == []
    make_due(db)
    assert worker.claim()[0]["attempt"] == 1


def test_cancel(acme: Organization, worker: Worker) -> None:
    waiting, running, done = (enqueue(acme, p_priority=priority) for priority in (0, 5, 9))
    jobs = worker.claim(2)
    assert {job["job_id"] for job in jobs} == {running, done}
    by_id = {job["job_id"]: job for job in jobs}
    worker.report(by_id[done], "finish_job")

    assert acme.call("cancel_job", p_job_id=waiting)[0]["status"] == "cancelled"
    assert acme.call("cancel_job", p_job_id=waiting)[0]["status"] == "cancelled"
    assert refusal(acme.call, "cancel_job", p_job_id=done) == (409, "job_finished")
    assert acme.call("cancel_job", p_job_id=running)[0]["status"] == "running"
    assert state(acme, running)["cancel_requested"]
    assert worker.report(by_id[running], "heartbeat") is True
    assert worker.report(by_id[running], "release_job") == "cancelled"
    assert state(acme, running)["finished_at"]
    assert worker.claim() == []
    assert acme.call("retry_failed")[0]["retry_failed"] == 0
    assert acme.call("retry_failed", p_job_id=running)[0]["retry_failed"] == 1
    assert len(worker.claim()) == 1


def test_a_cancelled_job_of_a_dead_worker_ends(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    job_id = enqueue(acme)
    worker.claim()
    acme.call("cancel_job", p_job_id=job_id)
    expire(db)
    assert worker.claim() == []
    assert state(acme, job_id)["status"] == "cancelled"


def test_pages(acme: Organization) -> None:
    ids = [enqueue(acme, kind) for kind in ("maintain", "put_documents") * 3]
    newest = [job["job_id"] for job in acme.call("list_jobs", p_limit=4)]
    rest = [job["job_id"] for job in acme.call("list_jobs", p_limit=4, p_after=newest[-1])]
    assert newest + rest == ids[::-1]
    assert len(acme.call("list_jobs", p_kind="maintain", p_status="queued")) == 3
    assert refusal(acme.call, "list_jobs", p_limit=0) == (422, "invalid_limit")
    assert refusal(acme.call, "list_jobs", p_after=UUID(int=0)) == (404, "job_not_found")


def test_old_jobs_are_forgotten(acme: Organization, worker: Worker, db: psycopg.Connection) -> None:
    for _ in range(3):
        enqueue(acme)
    for job in worker.claim(2):
        worker.report(job, "finish_job")
    db.execute(
        "update ragdb_data.job set finished_at = now() - interval '31 days' where job_no ="
        " (select min(job_no) from ragdb_data.job where finished_at is not null)"
    )
    worker.database.call(WORKER, "tick")
    assert len(acme.call("list_jobs")) == 2
    assert acme.call("delete_old_jobs", p_older_than="0")[0]["delete_old_jobs"] == 1
    assert [job["status"] for job in acme.call("list_jobs")] == ["queued"]
    assert db.execute("select count(*) from ragdb_data.job_detail").fetchone() == (1,)
    assert refusal(acme.call, "delete_old_jobs", p_older_than="-1 day") == (422, "invalid_age")


def test_waiting_workers_are_told(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    """And nobody is told anything else: whoever has a login may listen."""
    db.execute("listen ragdb_queue")
    db.execute("listen ragdb_job")
    job_id = enqueue(acme, p_payload={"secret": "x"}, p_idempotency_key="secret")
    [job] = worker.claim()
    worker.report(job, "heartbeat", p_message="secret")
    worker.report(job, "finish_job", p_result={"secret": "x"})
    said = [(n.channel, n.payload) for n in db.notifies(timeout=5, stop_after=4)]
    assert said == [("ragdb_queue", ""), *[("ragdb_job", str(job_id))] * 3]


def test_what_came_with_a_job_goes_when_it_is_done(
    acme: Organization, globex: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    """A document that is deleted later has to be gone then, and so has its file."""
    upload = uuid4()

    def pieces(org: Organization) -> list[object]:
        rows = [org.call("get_upload", p_upload_id=upload, p_piece=n)[0] for n in range(3)]
        return [row["get_upload"] for row in rows]

    for number, content in enumerate((b"The first ", b"and the last.")):
        acme.call("put_upload", p_upload_id=upload, p_piece=number, p_content=content)
    assert pieces(acme) == [b"The first ", b"and the last.", None]
    assert pieces(globex) == [None] * 3
    payload = {"files": [{"upload": str(upload), "name": "a.txt", "size": 23}]}
    documents = enqueue(acme, p_payload={"documents": [{"content": "x"}], "source": "mail"})
    files = acme.call("enqueue_files", p_payload=payload)[0]["job_id"]
    while claimed := worker.claim():
        worker.report(claimed[0], "heartbeat", p_progress=0.5, p_message="half of it")
        worker.report(claimed[0], "finish_job")
    assert state(acme, documents)["payload"] == {"source": "mail"}
    assert (state(acme, files)["payload"], state(acme, files)["message"]) == (payload, None)
    assert pieces(acme) == [None] * 3


def test_files_of_no_job_are_forgotten(
    acme: Organization, worker: Worker, db: psycopg.Connection
) -> None:
    early, late, waiting = uuid4(), uuid4(), uuid4()
    for upload in (early, late, waiting):
        acme.call("put_upload", p_upload_id=upload, p_piece=0, p_content=b"x")
    payload = {"files": [{"upload": str(waiting), "name": "a.txt", "size": 1}]}
    acme.call("enqueue_files", p_payload=payload, p_idempotency_key="once")
    # Sent again with the same key, they are not needed.
    again = {"files": [{"upload": str(late), "name": "a.txt", "size": 1}]}
    assert not acme.call("enqueue_files", p_payload=again, p_idempotency_key="once")[0]["is_new"]
    db.execute("update ragdb_data.upload set created_at = now() - interval '25 hours'")
    worker.database.call(WORKER, "tick")
    left = db.execute("select id from ragdb_data.upload").fetchall()
    assert [row[0] for row in left] == [waiting]


def test_uploads_that_are_refused(acme: Organization) -> None:
    for piece, content in ((-1, b"x"), (0, b""), (0, b"x" * 4_000_001)):
        assert refusal(
            acme.call, "put_upload", p_upload_id=uuid4(), p_piece=piece, p_content=content
        ) == (422, "invalid_upload")
    upload = uuid4()
    acme.call("put_upload", p_upload_id=upload, p_piece=0, p_content=b"x")
    assert refusal(
        acme.call, "put_upload", p_upload_id=upload, p_piece=0, p_content=b"y"
    ) == (409, "upload_pkey")  # fmt: skip
    for payload in ({}, {"files": "a.txt"}):
        assert refusal(acme.call, "enqueue_files", p_payload=payload) == (422, "invalid_payload")
