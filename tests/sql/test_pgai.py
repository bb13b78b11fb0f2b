"""pgai's vectorizers as ragdb makes them: each of the repairs, on the real catalogue."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest
from embedding_work import Desk
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from embedding_server import POISON, Models, serving
from ragdb import prerequisites
from ragdb.db import Caller, Database
from ragdb.errors import RagdbError
from ragdb.job import TryLater

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase
    from ragdb.embedded import Server


@pytest.fixture
def models() -> Iterator[Models]:
    with serving() as models:
        yield models


@pytest.fixture
def desk(database: TestDatabase, acme: Organization, models: Models) -> Desk:
    return Desk(database, acme, models, database.login("ragdb_service", "ragdb_worker"))


def queue(db: psycopg.Connection) -> list[tuple[int, int]]:
    rows = db.execute("select org_no, chunk_no from ragdb_data.embedding_queue order by 2")
    return rows.fetchall()


def catalogue(db: psycopg.Connection) -> set[tuple[str, ...]]:
    """Everything that registering a model could leave behind."""
    return set(
        db.execute(
            """
            select 'relation', c.oid::regclass::text from pg_class c
             where c.relnamespace::regnamespace::text ~ '^(ragdb.*|ai)$'
            union all
            select 'routine', p.oid::regprocedure::text from pg_proc p
             where p.pronamespace::regnamespace::text ~ '^(ragdb.*|ai)$'
            union all
            select 'trigger', t.tgrelid::regclass || ' ' || t.tgname from pg_trigger t
             where not t.tgisinternal
            union all
            select 'policy', p.polrelid::regclass || ' ' || p.polname from pg_policy p
            """
        )
    )


def test_the_catalogue_is_the_one_we_know() -> None:
    assert "create_vectorizer" in prerequisites.pgai_sql()  # else its hash differs


def test_registered_and_dropped_without_a_trace(desk: Desk, db: psycopg.Connection) -> None:
    before = catalogue(db)
    desk.used()
    desk.org.put("Vault keys rotate.")
    desk.drain()
    assert catalogue(db) - before
    desk.org.call("leave_embedding_model", p_name="small")
    desk.operate("drop_embedding_model", p_name="small")
    assert catalogue(db) == before
    assert db.execute("select from ai.vectorizer").fetchall() == []
    assert db.execute("select from ragdb_data.model_vector").fetchall() == []
    desk.used()
    assert desk.drain() == [{"embedded": 1, "from_cache": 0, "given_up": 0, "restored": 0}]


def test_made_by_an_installer_without_privileges(desk: Desk, db: psycopg.Connection) -> None:
    url = desk.database.login()
    login = sql.Identifier(str(conninfo_to_dict(url)["user"]))
    db.execute(
        sql.SQL("grant ragdb_owner, ragdb_definer to {} with inherit false, set true").format(login)
    )
    db.execute(sql.SQL("grant ragdb_admin to {} with inherit true").format(login))
    arguments = {
        "p_name": "small", "p_protocol": "openai", "p_url": desk.models.url(), "p_model": "m",
        "p_dimensions": 16,
    }  # fmt: skip
    with Database.connect(url) as installer:
        installer.call(Caller(role="ragdb_admin"), "register_embedding_model", **arguments)
    owners = db.execute(
        "select p.proname, pg_get_userbyid(p.proowner), p.prosecdef, p.proacl::text"
        " from pg_proc p where p.pronamespace = 'ai'::regnamespace and p.prosecdef"
    ).fetchall()
    [(_, owner, definer, rights)] = owners
    assert (owner, definer) == ("ragdb_definer", True)
    assert "=X/" not in rights.replace("ragdb_definer=X/", "").replace("ragdb_owner=X/", "")
    assert not db.execute(
        "select has_schema_privilege('ragdb_definer', 'ai', 'create')"
    ).fetchone()[0]  # type: ignore[index]
    # An operator who is no installer may not, and neither may anybody else.
    for role in ("ragdb_admin", "ragdb_service", "ragdb_worker", "ragdb_analyst"):
        with Database.connect(desk.database.login(role)) as other:
            caller = Caller(role=None)
            with pytest.raises(RagdbError) as refused:
                other.call(caller, "register_embedding_model", **arguments | {"p_name": "other"})
            assert refused.value.problem.status == 403
    desk.org.call("use_embedding_model", p_name="small")
    desk.org.put("Vault keys rotate.")
    assert desk.drain() == [{"embedded": 1, "from_cache": 0, "given_up": 0, "restored": 0}]


def test_no_organization_sees_anothers_queue_or_vectors(
    desk: Desk, db: psycopg.Connection, globex: Organization
) -> None:
    """A worker of pgai's own without rights finds nothing, and so takes nothing out."""
    desk.used()
    globex.call("use_embedding_model", p_name="small")
    desk.org.put("Vault keys rotate.")
    globex.put("Cheese is salty.")
    assert len(queue(db)) == 2
    [(child, failed)] = db.execute(
        "select queue_schema || '.' || queue_table, queue_schema || '.' || queue_failed_table"
        " from ai.vectorizer"
    ).fetchall()
    db.execute("create role pgai_worker in role ragdb_service")
    try:
        db.execute("grant usage on schema ai to pgai_worker")
        db.execute(f"grant select, delete on {child}, {failed} to pgai_worker")
        db.execute("set role pgai_worker")
        assert db.execute(f"delete from {child} returning 1").fetchall() == []
        db.execute("reset role")
    finally:
        db.execute("reset role")
        db.execute("drop owned by pgai_worker; drop role pgai_worker")
    assert len(queue(db)) == 2
    for org in (desk.org, globex):
        assert [row["waiting"] for row in org.read("embedding_models")] == [1]
    desk.drain()
    assert queue(db) == []
    for org in (desk.org, globex):
        assert [row["embedded"] for row in org.read("embedding_models")] == [1]
    # What pgai made for readers is gone: its target and its view show everything to everybody.
    assert (
        db.execute(
            "select c.relname from pg_class c where c.relname ~ '^_pgai' or c.relnamespace ="
            " 'ai'::regnamespace and c.relkind in ('r', 'p', 'v') and has_table_privilege("
            " 'ragdb_service', c.oid, 'select')"
        ).fetchall()
        == []
    )
    forced = db.execute(
        f"select relname from pg_class where oid in ('{child}'::regclass, '{failed}'::regclass)"
        " and relrowsecurity"
    ).fetchall()
    assert len(forced) == 2


def test_only_texts_and_keys_are_queued(desk: Desk, db: psycopg.Connection) -> None:
    """A trigger that touches rows starts no loop, and no other column costs anything."""
    desk.used()
    desk.org.put("Vault keys rotate.")
    desk.drain()
    db.execute(
        "create function touch() returns trigger language plpgsql as"
        " 'begin new.page := coalesce(new.page, 0) + 1; return new; end'"
    )
    db.execute(
        "create trigger touch before update on ragdb_data.chunk for each row"
        " execute function touch()"
    )
    db.execute("update ragdb_data.chunk set ordinal = ordinal + 1, hash = '\\x00'")
    assert queue(db) == []
    db.execute("update ragdb_data.chunk set content = content || ' Daily.'")
    assert len(queue(db)) == 1
    sent = len(desk.models.texts)
    assert desk.drain()[-1]["embedded"] == 1
    assert desk.models.texts[sent:] == ["Vault keys rotate. Daily."]
    assert queue(db) == []


def test_a_poison_text_fails_alone(desk: Desk, db: psycopg.Connection) -> None:
    desk.used(p_options={"batch_size": 32, "concurrency": 2})
    texts = [{"content": f"Ship {n} sails.", "external_id": str(n)} for n in range(70)]
    texts[37]["content"] = f"The {POISON} ship."
    desk.org.put_many(texts)
    assert desk.drain()[-1] == {"embedded": 69, "from_cache": 0, "given_up": 1, "restored": 0}
    [failure] = desk.org.read("embedding_failures")
    assert (failure["model"], failure["error"]) == (
        "small",
        "embed: it answered with HTTP status 400",
    )
    assert queue(db) == []
    assert desk.model()["coverage"] == 98.6
    assert desk.org.call("retry_embeddings", p_name="small")[0]["retry_embeddings"] == 1
    desk.models.before = lambda request: (
        200,
        {},
        {"data": [{"index": 0, "embedding": [1.0] * 16}]},
    )
    assert desk.drain()[-1] == {"embedded": 1, "from_cache": 0, "given_up": 0, "restored": 0}
    assert desk.org.read("embedding_failures") == []


@pytest.mark.parametrize("trouble", ["429", "timeout", "down", "500"])
def test_the_queue_is_kept_while_the_model_is_away(
    desk: Desk, db: psycopg.Connection, trouble: str
) -> None:
    timeout = 0.3 if trouble == "timeout" else 10
    desk.used(p_options={"timeout": timeout})
    desk.org.put("Vault keys rotate.")
    if trouble == "down":
        db.execute("update ragdb_data.embedding_model set url = 'http://127.0.0.1:1/v1'")
    ended = {
        "429": (429, {"Retry-After": "17"}, {}),
        "500": (500, {}, {}),
    }.get(trouble)
    if ended:
        desk.models.before = lambda request: ended
    if trouble == "timeout":
        desk.models.held = threading.Event()
    results = desk.drain()
    attempts = db.execute("select loading_retries from ragdb_data.embedding_queue").fetchall()
    if trouble == "429":
        assert isinstance(results[-1], TryLater) and results[-1].seconds == 17
        assert attempts == [(0,)]
    else:
        assert len(attempts) == 1
    assert desk.org.read("embedding_failures") == []
    if desk.models.held:
        desk.models.held.set()
        desk.models.held = None
    desk.models.before = lambda request: None
    db.execute("update ragdb_data.embedding_model set url = %s", (desk.models.url(),))
    db.execute("update ragdb_data.embedding_rate set blocked_until = null")
    desk.org.call("retry_embeddings", p_name="small")
    assert desk.drain()[-1]["embedded"] == 1


def test_no_request_role_can_call_out_of_the_database(db: psycopg.Connection) -> None:
    assert (
        db.execute("select p.oid::regprocedure from pg_proc p where p.proname ~ '^http'").fetchall()
        == []
    )
    assert (
        db.execute(
            "select p.oid::regprocedure from pg_proc p"
            " cross join unnest('{ragdb_service,ragdb_admin,ragdb_worker,ragdb_analyst}'::text[]) r"
            " where p.pronamespace = 'ai'::regnamespace"
            " and has_function_privilege(r, p.oid, 'execute')"
        ).fetchall()
        == []
    )


def test_a_text_that_was_emptied_loses_its_vector(desk: Desk, db: psycopg.Connection) -> None:
    desk.used()
    desk.org.put("Vault keys rotate.")
    desk.drain()
    assert desk.model()["embedded"] == 1
    db.execute("update ragdb_data.chunk set content = ' '")
    desk.drain()
    assert (desk.model()["embedded"], queue(db)) == (0, [])


def test_dumped_and_restored(desk: Desk, server: Server, db: psycopg.Connection) -> None:
    desk.used()
    desk.org.put("Vault keys rotate.")
    name = desk.database.superuser["dbname"]
    copy = f"{name}_copy"
    db.execute(sql.SQL("create database {}").format(sql.Identifier(copy)))
    try:
        url = make_conninfo(desk.database.superuser_url, dbname=copy)
        dump = subprocess.run(
            [server.binary("pg_dump"), "-d", desk.database.superuser_url],
            capture_output=True, check=True,
        )  # fmt: skip
        restored = subprocess.run(
            [server.binary("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-d", url],
            input=dump.stdout, capture_output=True, check=False,
        )  # fmt: skip
        assert restored.returncode == 0, restored.stderr
        with psycopg.connect(url, autocommit=True) as there:
            assert queue(there) == queue(db)
            assert catalogue(there) == catalogue(db)
            there.execute("update ragdb_data.chunk set content = content || '.'")
            assert len(queue(there)) == 2
    finally:
        db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(copy)))


def test_pgais_own_logs_stay_empty(desk: Desk, db: psycopg.Connection) -> None:
    desk.used()
    desk.org.put(f"The {POISON} ship.")
    desk.drain()
    for table in ("_vectorizer_errors", "vectorizer_worker_process", "vectorizer_worker_progress"):
        assert db.execute(f"select from ai.{table}").fetchall() == []
