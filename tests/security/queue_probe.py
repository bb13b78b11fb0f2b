"""What workers do for one organization concerns that one, though jobs are numbered alike in all."""

from __future__ import annotations

from typing import Any

import psycopg
from subjects import Connection, rolled_back
from world import World, acting

_LEASE = "select ragdb.{}(%s, %s, %s, {})"


def queue_works(connection: Connection, world: World) -> bool:
    """Whether claims, reports, leases that ran out and schedules keep to their organization."""
    return all(
        probe(connection, world)
        for probe in (
            _claims_are_single, _least_is_first, _reports_stay_with_their_job,
            _files_go_with_their_job,
            _only_what_is_due_comes_back, _schedules_make_their_own, _contexts_are_their_owners,
            _chunks_wait_for_their_own_model,
        )
    )  # fmt: skip


def _rows(connection: Connection, query: str, *values: object) -> list[Any]:
    return connection.execute(query.encode(), values or None).fetchall()


def _as_worker(connection: Connection, query: str, *values: object) -> list[Any]:
    with acting(connection, "ragdb_worker"):
        rows = _rows(connection, query, *values)
    connection.execute("reset role; set local ragdb.context = ''")
    return rows


def _claims_are_single(connection: Connection, world: World) -> bool:
    with rolled_back(connection):
        # The first that waits there has ended here.
        connection.execute(
            "update ragdb_data.job set status = 'succeeded', finished_at = now()"
            " where status = 'queued' and org_no = %s and job_no <= (select min(job_no)"
            " from ragdb_data.job where status = 'queued' and org_no <> %s)",
            (world.acme.org_no, world.acme.org_no),
        )
        payloads = dict(
            _rows(connection, "select (org_no, job_no)::text, payload from ragdb_data.job_detail")
        )
        claimed = _as_worker(
            connection, "select (org_no, job_no)::text, payload from ragdb.claim_jobs(p_limit => 4)"
        )
        running = _rows(
            connection,
            "select (org_no, job_no)::text from ragdb_data.job where status = 'running'",
        )
        return (
            len(claimed) == 4
            and sorted(name for name, _ in claimed) == sorted(name for (name,) in running)
            and all(payloads[name] == payload for name, payload in claimed)
        )


def _least_is_first(connection: Connection, world: World) -> bool:
    """Who has nothing under way is not behind who has; chance would have to be asked ten times."""
    claim = "select org_no from ragdb.claim_jobs('{sync}')"
    acme, globex = world.acme.org_no, world.globex.org_no
    for busy, idle in ((acme, globex), (globex, acme)):
        with rolled_back(connection):
            connection.execute(
                "update ragdb_data.job set status = 'queued', finished_at = null, token = null,"
                " lease_until = null, queue = 'sync' where true"
            )
            connection.execute(
                "update ragdb_data.job set status = 'running', token = gen_random_uuid(),"
                " lease_until = now() + interval '1 hour' where org_no = %s and job_no ="
                " (select min(job_no) from ragdb_data.job where org_no = %s)",
                (busy, busy),
            )
            for _ in range(10):
                with rolled_back(connection):
                    if _as_worker(connection, claim) != [(idle,)]:
                        return False
    return True


def _reports_stay_with_their_job(connection: Connection, world: World) -> bool:
    with rolled_back(connection):
        [job, other] = _as_worker(
            connection, "select org_no, job_no, token from ragdb.claim_jobs(p_limit => 2)"
        )
        # By chance, in the other organization jobs of these numbers have the same tokens.
        for org_no, job_no, token in (job, other):
            connection.execute(
                "update ragdb_data.job set status = 'running', token = %s, finished_at = null,"
                " lease_until = now() + interval '1 hour' where org_no <> %s and job_no = %s",
                (token, org_no, job_no),
            )
        begin = "select ragdb.begin_worker_context(%s, %s, %s)"
        for one in (job, other):
            with acting(connection, "ragdb_worker"):
                _rows(connection, begin, *one)
                [(context,)] = _rows(connection, "select org_no from ragdb.context()")
            connection.execute("reset role; set local ragdb.context = ''")
            if context != one[0]:
                return False
        _as_worker(connection, _LEASE.format("heartbeat", "0.5, 'only here'"), *job)
        _as_worker(connection, _LEASE.format("finish_job", "'\"only here\"'"), *job)
        _as_worker(connection, _LEASE.format("fail_job", "'x', 'or here', false"), *other)
        said = (
            "select count(*) from ragdb_data.job_detail"
            " where message = 'only here' or result = '\"only here\"' or error = 'or here'"
        )
        return _rows(connection, said) == [(2,)]


def _files_go_with_their_job(connection: Connection, world: World) -> bool:
    files = "select distinct org_no, job_no from ragdb_data.upload where job_no is not null"
    with rolled_back(connection):
        jobs = _as_worker(
            connection,
            "select org_no, job_no, token from ragdb.claim_jobs(p_limit => 1000)"
            " where kind = 'ingest_files'",
        )
        before = set(_rows(connection, files))
        _as_worker(connection, _LEASE.format("finish_job", "null"), *jobs[0])
        return before - set(_rows(connection, files)) == {tuple(jobs[0][:2])}


def _only_what_is_due_comes_back(connection: Connection, world: World) -> bool:
    numbers = "select min(job_no) from ragdb_data.job where org_no = %s"
    with rolled_back(connection):
        connection.execute(
            "update ragdb_data.job set status = 'succeeded', finished_at = now() where true"
        )
        [(first,)] = _rows(connection, numbers, world.acme.org_no)
        for number, change in (
            (first, "status = 'scheduled', run_at = now() - interval '1 hour'"),
            (first + 1, "status = 'running', token = gen_random_uuid(),"
             " lease_until = now() - interval '1 hour'"),
            (first + 2, "status = 'running', token = gen_random_uuid(), attempt = max_attempts,"
             " lease_until = now() - interval '1 hour'"),
            (first + 3, "status = 'succeeded', finished_at = now() - interval '31 days'"),
        ):  # fmt: skip
            ended = "" if "finished_at" in change else ", finished_at = null"
            connection.execute(
                f"update ragdb_data.job set {change}{ended} where org_no = %s and job_no = %s"
                .encode(), (world.acme.org_no, number),
            )  # fmt: skip
        before = _rows(connection, "select count(*) from ragdb_data.job")[0][0]
        _as_worker(connection, "select * from ragdb.claim_jobs(p_limit => 0)")
        _as_worker(connection, "select ragdb.tick()")
        return _rows(
            connection,
            "select status, count(*), count(*) filter (where org_no = %s) from ragdb_data.job"
            " where status <> 'succeeded' group by 1 order by 1",
            world.acme.org_no,
        ) == [("failed", 1, 1), ("queued", 2, 2)] and _rows(
            connection,
            "select (select count(*) from ragdb_data.job),"
            " (select count(*) from ragdb_data.job_detail where error ~ 'was gone')",
        ) == [(before - 1, 1)]


def _schedules_make_their_own(connection: Connection, world: World) -> bool:
    with rolled_back(connection):
        # The job before has ended here, and the one of that number there has not.
        connection.execute(
            "update ragdb_data.job set status = 'queued', finished_at = null, token = null,"
            " lease_until = null where true"
        )
        [(last,)] = _rows(
            connection,
            "update ragdb_data.schedule s set next_run_at = now() - interval '1 hour',"
            " last_job_no = (select min(job_no) from ragdb_data.job where org_no = s.org_no)"
            " where s.org_no = %s and s.name = 'nightly' returning s.last_job_no",
            world.acme.org_no,
        )
        connection.execute(
            "update ragdb_data.job set status = 'succeeded', finished_at = now()"
            " where org_no = %s and job_no = %s",
            (world.acme.org_no, last),
        )
        untouched = (
            "select name, next_run_at, last_job_no, last_run_at from ragdb_data.schedule"
            " where org_no <> %s order by 1"
        )
        before = _rows(connection, untouched, world.acme.org_no)
        [(made,)] = _as_worker(connection, "select ragdb.tick()")
        rows = _rows(
            connection,
            "select j.org_no, d.payload = s.payload from ragdb_data.job j"
            " join ragdb_data.job_detail d using (org_no, job_no)"
            " join ragdb_data.schedule s using (org_no, schedule_no)",
        )
        return (
            made == 1
            and rows == [(world.acme.org_no, True)]
            and _rows(connection, untouched, world.acme.org_no) == before
        )


def _contexts_are_their_owners(connection: Connection, world: World) -> bool:
    """Of a member who left there is none, and work for the whole organization is for one."""
    with rolled_back(connection):
        connection.execute(
            "update ragdb_data.job set kind = 'maintain',"
            " run_at = case when org_no = %s then run_at else 'infinity' end,"
            " status = case when org_no = %s then 'queued' else 'scheduled' end"
            " where status = 'queued'",
            (world.acme.org_no, world.acme.org_no),
        )
        [job] = _as_worker(connection, "select org_no, job_no, token from ragdb.claim_jobs()")
        begin = "select ragdb.begin_worker_context(%s, %s, %s)"
        with acting(connection, "ragdb_worker"):
            _rows(connection, begin, *job)
            [context] = _rows(connection, "select org_no, permissions, scopes from ragdb.context()")
            # No policy binds the owner: only what the function states is left.
            connection.execute("set local role ragdb_owner")
            sealed = _rows(connection, "select * from ragdb.sealed_sources() order by 1")
        connection.execute("reset role; set local ragdb.context = ''")
        scopes = "select array_agg(scope_no order by 1) from ragdb_data.scope where org_no = %s"
        [(expected,)] = _rows(connection, scopes, job[0])
        secret = (
            "select s.id from ragdb_data.data_source s join ragdb_data.source_setup using"
            " (org_no, source_no) where s.org_no = %s and has_secrets order by 1"
        )
        if len(sealed) < 4 or sealed != _rows(connection, secret, job[0]):
            return False
        return context == (job[0], ["data:write"], expected) and _who_left_one_has_no_context(
            connection, world, job
        )


def _who_left_one_has_no_context(connection: Connection, world: World, job: Any) -> bool:
    """The guest, who is an administrator of the other organization."""
    guest = "(select user_no from ragdb_data.app_user where email = %s)"
    email, acme = world.acme.emails["guest"], world.acme.org_no
    connection.execute(
        f"update ragdb_data.job set user_no = {guest} where token = %s".encode(), (email, job[2])
    )
    connection.execute(
        f"delete from ragdb_data.membership where org_no = %s and user_no = {guest}".encode(),
        (acme, email),
    )
    try:
        with acting(connection, "ragdb_worker"):
            _rows(connection, "select ragdb.begin_worker_context(%s, %s, %s)", *job)
    except psycopg.Error as error:
        return error.sqlstate == "PT403"
    return False


def _chunks_wait_for_their_own_model(connection: Connection, world: World) -> bool:
    claim = "select org_no, payload ->> 'model' from ragdb.claim_jobs('{embedding}', 9) order by 1"
    acme, globex = world.acme.org_no, world.globex.org_no
    with rolled_back(connection):
        connection.execute("delete from ragdb_data.job where queue = 'embedding'")
        connection.execute(
            "update ragdb_data.organization_model set is_active = true, backfill = 0"
        )
        connection.execute("delete from ragdb_data.embedding_queue where org_no = %s", (acme,))
        connection.execute(
            "delete from ragdb_data.embedding_queue where model_no <> (select min(model_no)"
            " from ragdb_data.embedding_model)"
        )
        first = _as_worker(connection, claim)
        again = _as_worker(connection, claim)
        connection.execute(
            "insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no)"
            " select %s, model_no, chunk_no from ragdb_data.embedding_queue"
            " where org_no = %s limit 1",
            (acme, globex),
        )
        other = _as_worker(connection, claim)
        reserve = (
            "select ragdb.reserve_embedding(min(model_no), 1, 1) from ragdb_data.embedding_model"
        )
        free = _as_worker(connection, reserve)
        _as_worker(
            connection,
            "select ragdb.block_embedding(min(model_no), 60) from ragdb_data.embedding_model",
        )
        [(blocked,)] = _as_worker(connection, reserve)
        return (first, again, other, free, blocked > 0) == (
            [(globex, "small")], [], [(acme, "small")], [(0,)], True,
        )  # fmt: skip
