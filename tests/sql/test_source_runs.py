"""Data sources in the database: what may be put, and what a run may and may not do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ragdb.db import Caller, Database
from ragdb.errors import RagdbError

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase

API = {"url": "https://wiki.test/", "fields": {"external_id": "id", "content": "text"}}
SEALED = b"\x01" + b"s" * 60


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    with pytest.raises(RagdbError) as refused:
        call(*arguments, **named)
    return refused.value.problem.status, refused.value.problem.code


def put(org: Organization, config: object = API, kind: str = "api", **given: object) -> UUID:
    made = org.call("put_source", p_name="wiki", p_type=kind, p_config=Jsonb(config), **given)
    return made[0]["source_id"]


class Run:
    """A run of a source, as a worker steps through it."""

    def __init__(self, org: Organization, source: UUID, **given: object) -> None:
        self.org, self.source = org, source
        self.job = org.call("refresh_source", p_source_id=source, p_full=True)[0]["job_id"]
        self.rows = org.call(
            "begin_sync", p_source_id=source, p_job_id=self.job, p_full=True, **given
        )

    def call(self, function: str, **given: object) -> list[dict[str, Any]]:
        return self.org.call(
            function, p_run_id=self.rows[0]["run_id"], p_job_id=self.job, **given
        )

    def store(self, *names: str, mark: object = None, **given: object) -> dict[str, Any]:
        items = [{"external_id": name, "fingerprint": f"{name}1"} for name in names]
        wanted = {r["external_id"]: r for r in self.call("changed_items", p_items=Jsonb(items))}
        kept = [item for item in items if item["external_id"] in wanted]
        documents = [{"external_id": i["external_id"], "content": f"Text of {i}."} for i in kept]
        told = [
            {**item, "first": n, "last": n, "keep": [item["external_id"]],
             "is_known": wanted[item["external_id"]]["is_known"]}
            for n, item in enumerate(kept, 1)
        ]  # fmt: skip
        return self.call(
            "store_sync", p_items=Jsonb(told), p_documents=Jsonb(documents),
            p_cursor=None if mark is None else Jsonb(mark), **given,
        )[0]  # fmt: skip

    def end(self) -> dict[str, Any]:
        swept = self.call("sweep_sync", p_limit=2)[0]
        while swept["remaining"] and not swept["is_refused"]:
            swept = self.call("sweep_sync", p_limit=2)[0]
        return self.call("end_sync")[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "fields is missing."),
        ({**API, "speed": 3}, "There is no key speed."),
        ({**API, "url": "ftp://x"}, "url cannot be so."),
        ({**API, "fields": {"external_id": 3}}, "fields.external_id must be a text."),
        ({**API, "params": {"a": 1}}, "params must be an object of texts."),
        ({**API, "auth": {"type": "magic"}}, "auth.type must be one of: "),
        ({**API, "pagination": {"type": "page", "size": 0}}, "pagination.size is too small"),
        ({**API, "since": {"param": "s", "overlap": "x"}}, "since.overlap must be a number."),
    ],
)
def test_a_configuration_is_refused_in_words(acme: Organization, config: Any, message: str) -> None:
    with pytest.raises(RagdbError) as refused:
        put(acme, config)
    assert refused.value.problem.code == "invalid_source_config"
    assert refused.value.problem.message.startswith(message)


def test_secrets_stay_with_their_place(acme: Organization, db: psycopg.Connection) -> None:
    source = put(acme, p_secrets=SEALED)
    assert put(acme, {**API, "params": {"a": "b"}}) == source
    assert refusal(put, acme, {**API, "url": "https://elsewhere.test/"}) == (
        422, "secrets_required",
    )  # fmt: skip
    assert refusal(put, acme, p_secrets=b"plain") == (422, "invalid_secrets")
    put(acme, {**API, "url": "https://elsewhere.test/"}, p_secrets=b"")
    assert db.execute("select secrets, has_secrets from ragdb_data.source_setup").fetchall() == [
        (None, False)
    ]


def test_a_schedule_goes_with_its_source(acme: Organization, database: TestDatabase) -> None:
    source = put(acme, p_cron="* * * * *", p_time_zone="Asia/Tokyo")
    [schedule] = acme.read("schedules")
    assert (schedule["kind"], schedule["payload"]) == ("sync_source", {"source_id": str(source)})
    with Database.connect(database.superuser_url) as superuser:
        superuser.connection.execute("update ragdb_data.schedule set next_run_at = now()")
        worker = Caller(role="ragdb_worker")
        made = [superuser.call(worker, "tick")[0]["tick"] for _ in range(3)]
    assert made == [1, 0, 0]
    put(acme)
    assert acme.read("schedules") == []
    put(acme, p_cron="@daily")
    assert acme.call("delete_source", p_source_id=source) == [{"delete_source": 0}]
    assert (acme.read("schedules"), acme.read("sources")) == ([], [])


def test_a_run_at_a_time(acme: Organization, db: psycopg.Connection) -> None:
    source = put(acme)
    first = Run(acme, source)
    stored = first.store("a", "b", mark={"page": 2})
    assert (stored["seen"], stored["added"]) == (2, 2)
    db.execute(
        "update ragdb_data.job set status = 'running', token = gen_random_uuid(),"
        " lease_until = now() + interval '1 hour' where id = %s", (first.job,)
    )  # fmt: skip
    assert Run(acme, source).rows == []
    # Its worker is gone: whoever comes next goes on where it was, and it is let in no more.
    db.execute("update ragdb_data.job set lease_until = now() - interval '1 s' where id = %s",
               (first.job,))  # fmt: skip
    second = Run(acme, source)
    assert second.rows[0]["is_resumed"] and second.rows[0]["cursor"] == {"page": 2}
    assert second.rows[0]["run_id"] == first.rows[0]["run_id"]
    assert refusal(first.store, "c") == (409, "run_lost")
    again = second.store("b", "c", mark={"page": 3})
    assert (again["seen"], again["added"], again["unchanged"]) == (3, 3, 0)
    ended = second.end()
    assert (ended["status"], ended["seen"], ended["deleted"]) == ("succeeded", 3, 0)
    assert refusal(second.store, "d") == (409, "run_lost")
    third = Run(acme, source)
    put(acme, {**API, "params": {"a": "b"}})
    assert refusal(third.store, "a") == (409, "run_lost")
    assert refusal(third.call, "sweep_sync") == (409, "run_lost")


def test_a_sweep_is_limited(acme: Organization) -> None:
    source = put(acme)
    first = Run(acme, source)
    first.store("a", "b", "c", "d", mark={})
    first.end()
    # New ones do not make up for those that are gone, and a part that is not told keeps all.
    gap = Run(acme, source)
    gap.store("a", "x", "y", "z", p_gap=True)
    assert gap.end()["status"] == "incomplete"
    most = Run(acme, source)
    most.store("a", mark={})
    ended = most.end()
    assert (ended["status"], ended["error"], ended["deleted"]) == ("incomplete", "sweep_refused", 0)
    wanted = Run(acme, source, p_sweep_limit=1.0)
    wanted.store("a", mark={})
    assert wanted.end()["deleted"] == 6
    assert [row["external_id"] for row in acme.call("list_documents")] == ["a"]


def test_errors_are_kept_up_to_a_thousand(acme: Organization) -> None:
    source = put(acme)
    run = Run(acme, source)
    errors = [{"external_id": str(n), "error": "corrupt_file", "message": "x"} for n in range(700)]
    for _ in range(2):
        run.store(p_errors=Jsonb(errors))
    run.end()
    assert len(acme.call("list_sync_errors", p_source_id=source, p_limit=1000)) == 1000
