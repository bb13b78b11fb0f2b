"""Service desks read by a real worker, from a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from runner import Ragdb
from sourcing import counts
from workers import working

from foreign import Foreign, Postgres, listening_postgres, new_maria, new_postgres
from mariadb import mariadb
from places import roomy_memory
from ragdb.embedded import Server

MANY = 1_500
TABLE: dict[str, Any] = {
    "table": "tickets", "id": "id", "title": "subject", "description": "body",
    "category": "category", "priority": "priority", "status": "state", "updated": "updated",
    "comments": {"table": "notes", "ticket": "ticket", "text": "said", "author": "author"},
}  # fmt: skip


@pytest.fixture(scope="module")
def desk(request: pytest.FixtureRequest) -> Iterator[Foreign]:
    """A service desk of MANY tickets in MariaDB."""
    with mariadb() as server:
        database = new_maria(server)
        database.run(*tickets(database, MANY))
        yield database


def tickets(database: Foreign, number: int) -> list[str]:
    """Statements that make so many tickets, a minute apart, with a note on every fourth."""
    if isinstance(database, Postgres):
        numbers, when = f"generate_series(1, {number}) as n(seq)", "seq * interval '1 minute'"
        moment = "timestamptz"
    else:
        numbers, when, moment = f"seq_1_to_{number}", "interval seq minute", "datetime"
    subject = "concat('Printer ', seq, case when seq % 7 = 0 then ' 🔥' else '' end)"
    body = (
        "concat('The printer number', seq, ' in room ', seq % 97, ' prints nothing but noise. ',"
        " 'It was moved on Monday, and the cable was replaced by colleague', seq % 31, '.')"
    )
    return [
        "create table tickets (id int primary key, subject varchar(100), body text,"
        f" category varchar(20), priority int, state varchar(20), updated {moment}, gone int)",
        f"insert into tickets select seq, {subject}, {body}, case when seq % 2 = 0 then 'hardware'"
        f" else 'network' end, seq % 4, 'open', timestamp '2026-01-01 00:00:00' + {when}, 0"
        f" from {numbers}",
        "create table notes (ticket int, author varchar(20), said text)",
        "insert into notes select id, 'Ann', concat('Restarted it ', id, ' times.')"
        " from tickets where id % 4 = 0",
        "create index tickets_updated on tickets (updated, id)",
    ]


def allowing(ragdb: Ragdb) -> Ragdb:
    return ragdb.having(RAGDB_ALLOW_HOSTS="127.0.0.1")


@pytest.fixture(scope="module")
def worker(
    installation: Ragdb, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """One worker for all tests but those that kill theirs; what it says."""
    log = tmp_path_factory.mktemp("worker") / "log"
    with working(allowing(installation), log):
        yield log.read_text


def add(
    ragdb: Ragdb, url: str | None, folder: Path, *tables: dict[str, Any], name: str = "desk",
    kind: str = "mariadb", options: tuple[str, ...] = (), code: int = 0,
) -> Any:  # fmt: skip
    described = folder / "tables.json"
    described.write_text(json.dumps(list(tables or [TABLE])))
    given = ["--connection", "-"] if url else []
    return ragdb.json(
        "servicedesk", "add", name, kind, "--tables", described, *given, *options,
        input=(url or "").encode(), code=code,
    )  # fmt: skip


def sync(ragdb: Ragdb, *options: str, name: str = "desk", code: int = 0) -> dict[str, Any]:
    """Read a service desk; what came of it."""
    job = ragdb.json("servicedesk", "sync", name, "--wait", *options, code=code)
    return job["result"] or {"status": job["status"], "error": job["error"]}


def hits(ragdb: Ragdb, query: str, *options: str) -> list[dict[str, Any]]:
    return ragdb.json("search", query, "--mode", "keyword", *options)["results"]


def rows(ragdb: Ragdb, query: str) -> list[tuple[Any, ...]]:
    url = make_conninfo(Server.default(ragdb.home).superuser_url(), dbname="ragdb")
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_many_tickets_while_workers_are_killed(empty: Ragdb, desk: Foreign, tmp_path: Path) -> None:
    ragdb, log = empty, tmp_path / "log"
    ragdb.text("init")
    add(ragdb, desk.url(), tmp_path, options=("--options", '{"time_zone": "Europe/Berlin"}'))
    job = ragdb.json("servicedesk", "sync", "desk")["job_id"]
    stored = 0
    while stored < MANY // 2:
        with working(allowing(ragdb), log) as worker:
            deadline = time.monotonic() + 120
            before = stored
            while count(ragdb) < before + 300:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            os.kill(worker.pid, signal.SIGKILL)
        rows(ragdb, "update ragdb_data.job set lease_until = now() where status = 'running'"
                    " returning 1")  # fmt: skip
        stored = count(ragdb)
    with working(allowing(ragdb), log):
        done = ragdb.json("jobs", "watch", job)
        assert done["result"]["status"] == "succeeded"
        assert counts(done["result"]) == {"seen": MANY, "added": MANY}
        assert count(ragdb) == MANY
        desk.run(
            "update tickets set subject = 'A zebra in the office', updated = '2026-06-01 10:00:00'"
            " where id in (17, 1211)",
            "update tickets set category = 'gone', updated = '2026-06-01 10:00:00' where id = 18",
            "insert into tickets values (20001, 'A yak', 'It is new.', 'other', 1, 'open',"
            " '2026-06-01 10:00:01', 0)",
            "delete from tickets where id = 5",
        )
        changes = counts(sync(ragdb))
        assert (changes["added"], changes["changed"]) == (1, 3)
        assert changes["seen"] < 100 and "deleted" not in changes
        assert {hit["url"] for hit in hits(ragdb, "zebra")} == {
            "servicedesk://tickets/17", "servicedesk://tickets/1211"
        }  # fmt: skip
        swept = counts(sync(ragdb, "--full"))
        assert swept == {"seen": MANY, "unchanged": MANY, "deleted": 1}
        assert hits(ragdb, "number5") == []
    [(metadata, date)] = rows(
        ragdb, "select metadata, dated_at from ragdb_data.document where external_id = '17'"
    )
    assert metadata == {"category": "network", "priority": 1, "status": "open"}
    assert date == datetime(2026, 6, 1, 8, tzinfo=UTC)
    assert desk.url() not in log.read_text() and "gehe" not in log.read_text()


def count(ragdb: Ragdb) -> int:
    return int(rows(ragdb, "select count(*) from ragdb_data.document")[0][0])


@pytest.fixture(scope="module")
def postgres() -> Iterator[Foreign]:
    home = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    with listening_postgres(home) as server:
        yield new_postgres(*server)
    shutil.rmtree(home)


def test_a_service_desk_on_postgresql(
    member: Ragdb, postgres: Foreign, worker: Callable[[], str], tmp_path: Path
) -> None:
    postgres.run(*tickets(postgres, 300), "update tickets set subject = null where id = 3")
    preview = add(allowing(member), postgres.url(), tmp_path, kind="postgresql",
                  options=("--dry-run",))["tickets"]  # fmt: skip
    assert [row["external_id"] for row in preview] == ["1", "2", "3", "4", "5"]
    assert preview[3]["content"].endswith("\n\nAnn:\nRestarted it 4 times.")
    assert member.json("servicedesk", "list")["connections"] == []

    table = {**TABLE, "deleted": "gone"}
    made = add(member, postgres.url(), tmp_path, table, kind="postgresql",
               options=("--cron", "*/5 * * * *", "--label", "desk"))  # fmt: skip
    assert made["is_new"] and made["next_sync"]
    assert counts(sync(member)) == {"seen": 300, "added": 300}
    [shown] = member.json("servicedesk", "list")["connections"]
    assert (shown["tickets"], shown["db_type"], shown["sync_schedule"], shown["last_status"]) == (
        300, "postgresql", "*/5 * * * *", "succeeded"
    )  # fmt: skip
    assert shown["table_mappings"] == [table] and shown["has_connection_string"] is True
    [hit] = hits(member, "number42", "--filter", '{"metadata.category": "hardware"}')
    assert hit["url"] == "servicedesk://tickets/42"
    assert rows(member, "select labels from ragdb_data.document where external_id = '42'") == [
        (["desk"],)
    ]
    assert hits(member, "number42", "--filter", '{"metadata.category": "network"}') == []

    postgres.run("update tickets set gone = 1, updated = now() where id = 42",
                 "update tickets set body = null, subject = 'Only a title', updated = now()"
                 " where id = 43")  # fmt: skip
    changes = counts(sync(member))
    assert (changes["changed"], changes["deleted"]) == (1, 1)
    assert hits(member, "number42") == [] and hits(member, "title")[0]["url"].endswith("/43")

    # Nothing anywhere shows how to connect.
    for command in (("servicedesk", "list"), ("source", "list"), ("source", "show", "desk")):
        shown = member.run(*command, "--json").stdout
        assert "reader" not in shown and "gehe" not in shown
    # Sources of other tests in this installation have addresses of their own.
    setups = (
        "select u.* from ragdb_data.source_setup u"
        " join ragdb_data.data_source s using (org_no, source_no) where s.type = 'servicedesk'"
    )
    dumped = str(rows(member, setups))
    assert "gehe" not in dumped and "127.0.0.1" not in dumped and "gehe" not in worker()


def test_what_goes_wrong_is_kept(
    member: Ragdb, postgres: Foreign, worker: Callable[[], str], tmp_path: Path
) -> None:
    postgres.run("create table things (id int, t text, b bytea)",
                 "insert into things values (1, 'one', 'one'), (2, 'two', '\\xff00fe'),"
                 " (null, 'none', null)")  # fmt: skip
    things = {"name": "things", "table": "things", "id": "id", "title": "t", "description": "b"}
    add(member, postgres.url(), tmp_path, things, kind="postgresql")
    assert counts(sync(member)) == {"seen": 2, "added": 1, "failed": 2}
    errors = member.json("servicedesk", "errors", "desk")["errors"]
    assert {(row["external_id"], row["error"]) for row in errors} == {
        (None, "missing_id"), ("things/2", "not_text")
    }  # fmt: skip
    [hit] = hits(member, "one")
    assert hit["url"] == "servicedesk://things/1"

    # The same mapping with other columns keeps the connection string.
    add(member, None, tmp_path, {**things, "description": "nothing"}, kind="postgresql")
    assert sync(member, code=1)["error"] == "column_not_found"
    add(member, postgres.url(password="wrong"), tmp_path, things, kind="postgresql")
    assert sync(member, code=1)["error"] == "source_login_refused"
    runs = member.json("servicedesk", "runs", "desk")["runs"]
    assert [run["error"] for run in runs] == ["source_login_refused", "column_not_found", None]
    assert len(hits(member, "one")) == 1

    for url, tables, kind, problem in (
        ("nonsense", [things], "postgresql", "invalid_connection"),
        (postgres.url(), [things], "mariadb", "invalid_connection"),
        (postgres.url(), [{**things, "id": None}], "postgresql", "invalid_mapping"),
        (None, [{**things, "columns": 1}], "postgresql", "invalid_source_config"),
        (None, [{"name": "things"}], "postgresql", "invalid_source_config"),
        (None, [{**things, "name": "Big Things"}], "postgresql", "invalid_source_config"),
    ):
        refused = add(member, url, tmp_path, *tables, kind=kind, code=1)
        assert refused["error"]["code"] == problem, (url, tables)
    assert "gehe" not in worker()
