"""What is done later for the two organizations, and what was said of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from world import Party, acting

if TYPE_CHECKING:
    from population import Populator


def enqueue_jobs(populator: Populator, party: Party) -> None:
    """Jobs that wait, were done and have failed, and schedules; some named alike in both."""
    for queue, times in (("sync", 2 if party.domain == "acme" else 3), ("ingestion", 1)):
        for _ in range(times):
            for member in ("admin", "carol", "eddy"):
                word = populator.word(f"{party.domain}/{member}")
                _enqueue(populator, party, member, word, p_queue=queue)
    with acting(populator.connection, "ragdb_worker"):
        jobs = populator.connection.execute(
            "select * from ragdb.claim_jobs('{sync}', p_limit => 100)"
        ).fetchall()
        for number, job in enumerate(jobs):
            ended = "finish_job" if number % 2 else "fail_job"
            _end(populator, job, ended, job["payload"]["word"])
    party.ids["idempotency"] = populator.word(party.domain)
    made = _enqueue(populator, party, "admin", populator.word(f"{party.domain}/admin"),
                         p_idempotency_key=party.ids["idempotency"])  # fmt: skip
    party.ids["job"] = str(made["job_id"])
    for member in ("admin", "carol", "eddy"):
        party.ids[f"upload/{member}"] = _leave_file(populator, party, member)
    _enqueue(populator, party, "admin", populator.word(f"{party.domain}/admin"),
             p_idempotency_key="twice")  # fmt: skip
    # Left before she became a viewer, who may not take it away.
    populator.connection.execute(
        "insert into ragdb_data.upload (org_no, id, piece_no, user_no, content)"
        " select m.org_no, gen_random_uuid(), 0, m.user_no, 'Common'"
        " from ragdb_data.app_user u join ragdb_data.membership m using (user_no)"
        " where u.email = %s",
        (party.emails["vera"],),
    )
    party.ids["schedule"] = populator.word(party.domain)
    for name in (party.ids["schedule"], "nightly"):
        schedule = populator.call(
            party.keys["admin"], "put_schedule",
            p_name=name, p_cron="0 3 * * *", p_kind="maintain",
            p_payload=json.dumps({"word": populator.word(party.domain)}),
        )[0]  # fmt: skip
        populator.vocabulary.domains[party.domain].add(str(schedule["schedule_id"]))


def _enqueue(
    populator: Populator, party: Party, member: str, word: str, **given: object
) -> dict[str, Any]:
    made = populator.call(
        party.keys[member], "enqueue_job",
        p_kind="put_documents", p_payload=json.dumps({"word": word}), **given,
    )[0]  # fmt: skip
    populator.vocabulary.domains[party.domain].add(str(made["job_id"]))
    return made


def _leave_file(populator: Populator, party: Party, member: str) -> str:
    """A file that waits for a job of its own, and one that has none yet."""
    domain = f"{party.domain}/{member}"
    for has_job in (True, False):
        upload = str(uuid4())
        populator.vocabulary.domains[domain].add(upload)
        populator.call(
            party.keys[member], "put_upload",
            p_upload_id=upload, p_piece=0, p_content=populator.word(domain).encode(),
        )  # fmt: skip
        if has_job:
            file = {"upload": upload, "name": populator.word(domain), "size": 9}
            made = populator.call(
                party.keys[member], "enqueue_files", p_payload=json.dumps({"files": [file]})
            )[0]
            populator.vocabulary.domains[party.domain].add(str(made["job_id"]))
    return upload


def _end(populator: Populator, job: dict[str, Any], function: str, word: str) -> None:
    """As its owner's: a message, and a result or an error."""
    lease = (job["org_no"], job["job_no"], job["token"])
    populator.one("select ragdb.heartbeat(%s, %s, %s, 0.5, %s)", *lease, word)
    how = "%s, %s, %s, 'broken', %s, false" if function == "fail_job" else "%s, %s, %s, %s"
    said = word if function == "fail_job" else json.dumps({"word": word})
    populator.one(f"select ragdb.{function}({how})", *lease, said)
