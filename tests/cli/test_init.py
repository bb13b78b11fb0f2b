"""`ragdb init`: once, again, after losses, and on a server that is not the embedded one."""

from __future__ import annotations

import secrets
import shutil
import stat
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from runner import Ragdb, fresh_home

from ragdb.embedded import Server
from ragdb.settings import read_credentials

GROUPS = [f"ragdb_{name}" for name in ("owner", "definer", "service", "worker", "analyst", "admin")]


@pytest.fixture(scope="module")
def other_server() -> Iterator[Server]:
    """A server that is not the embedded one of the home under test."""
    with fresh_home() as ragdb:
        server = Server.default(ragdb.home)
        server.start()
        yield server


@pytest.fixture
def external(other_server: Server) -> Iterator[str]:
    """An empty database there, as an installer without superuser gets it."""
    name = f"external_{secrets.token_hex(4)}"
    superuser = other_server.superuser_url()
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"create role {name} login createrole password 'secret'")
        for (group,) in connection.execute(
            "select rolname from pg_roles where rolname = any (%s)", (GROUPS,)
        ).fetchall():
            inherits = "true" if group == "ragdb_admin" else "false"
            connection.execute(
                f"grant {group} to {name} with admin true, inherit {inherits}, set true"
            )
        connection.execute(f"create database {name} owner {name}")
    with psycopg.connect(make_conninfo(superuser, dbname=name), autocommit=True) as connection:
        connection.execute("create extension vector")
    yield other_server.url(name, name, "secret")


def test_second_run_changes_nothing(installation: Ragdb) -> None:
    credentials = installation.home / "credentials"
    before = credentials.read_bytes(), credentials.stat()
    again = installation.json("init")
    assert (again["changed"], again["changes"]) == (False, [])
    assert again["organization"] == "default" and again["email"] == "admin@localhost"
    assert again["sql_login"] == "ragdb_sql_default"
    assert (credentials.read_bytes(), credentials.stat()) == before
    assert stat.S_IMODE(before[1].st_mode) == 0o600
    assert "Nothing to change." in installation.run("init").stderr


def test_everything_is_found_in_the_credentials(installation: Ragdb) -> None:
    kept = read_credentials(installation.home)
    assert conninfo_to_dict(kept["RAGDB_DATABASE_URL"])["user"] == "ragdb_app"
    with psycopg.connect(kept["RAGDB_DATABASE_URL"]) as connection:
        roles = connection.execute(
            "select array_agg(r.rolname::text) from pg_auth_members m"
            " join pg_roles r on r.oid = m.roleid where m.member = 'ragdb_app'::regrole"
        ).fetchone()
        assert roles == (["ragdb_service"],)
        assert connection.execute("select count(*) from ragdb.documents").fetchone() == (0,)


def test_lost_credentials_are_replaced(empty: Ragdb) -> None:
    empty.text("init", "--org", "acme", "--name", "Acme Inc", "--email", "anna@acme.test")
    old = read_credentials(empty.home)
    empty.text("add", "-", input=b"Lemons are yellow.")
    (empty.home / "credentials").unlink()
    empty.json("search", "lemons", code=3)

    again = empty.json("init", "--org", "acme")
    assert again["organization"] == "acme" and again["email"] == "anna@acme.test"
    new = read_credentials(empty.home)
    assert all(new[name] != old[name] for name in old)
    assert len(empty.json("org", "list")["organizations"]) == 1
    assert empty.json("search", "lemons")["results"]
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(old["RAGDB_DATABASE_URL"])


def test_lost_key_is_replaced_and_the_password_stays(empty: Ragdb) -> None:
    empty.text("init")
    old = read_credentials(empty.home)
    key = empty.json("key", "list")["keys"][0]
    empty.text("key", "revoke", key["key_id"])
    assert empty.problem("search", "x") == (5, "invalid_api_key")
    changes = empty.json("init")["changes"]
    assert changes == [
        "Created an API key for admin@localhost",
        f"Wrote {empty.home}/credentials",
    ]
    new = read_credentials(empty.home)
    assert new["RAGDB_DATABASE_URL"] == old["RAGDB_DATABASE_URL"]

    other = empty.json("init", "--org", "other", "--email", "o@other.test")
    assert (other["organization"], other["email"]) == ("other", "o@other.test")
    assert empty.json("init")["organization"] == "other"


def test_four_at_once(empty: Ragdb) -> None:
    running = [empty.start("init", "--json") for _ in range(4)]
    said = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert len(empty.json("key", "list")["keys"]) == 1
    assert empty.json("init")["changed"] is False


def test_home_is_started_again(empty: Ragdb) -> None:
    empty.text("init")
    assert empty.json("stop") == {"running": False, "stopped": True}
    assert empty.json("stop") == {"running": False, "stopped": False}
    assert empty.problem("search", "x") == (6, "database_unavailable")
    assert empty.json("status", code=6)["database"]["state"] == "unreachable"
    assert empty.json("start") == {"running": True, "started": True}
    assert empty.json("start") == {"running": True, "started": False}
    assert empty.json("status")["database"]["state"] == "current"
    empty.text("stop")
    assert empty.json("init")["changes"] == ["Started PostgreSQL"]


def test_newer_database(empty: Ragdb) -> None:
    empty.text("init")
    superuser = make_conninfo(Server.default(empty.home).superuser_url(), dbname="ragdb")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("update ragdb_private.install set version = '99.0.0'")
    assert empty.problem("init") == (3, "version_mismatch")
    assert empty.problem("serve") == (3, "version_mismatch")
    assert empty.json("status", code=3)["database"]["state"] == "newer"
    doctor = empty.json("doctor", code=1)
    assert [c["check"] for c in doctor["checks"] if c["state"] == "fail"] == ["schema"]


def test_nothing_is_set_up(empty: Ragdb) -> None:
    for command in (["search", "x"], ["doc", "list"], ["psql"]):
        assert empty.problem(*command) == (3, "not_installed")
    assert empty.json("status", code=3)["database"]["state"] == "missing"
    assert not empty.home.exists()


def test_foreign_directory_is_refused(empty: Ragdb) -> None:
    empty.home.mkdir()
    (empty.home / "thesis.tex").write_text("x")
    assert empty.problem("init") == (6, "server_failed")


def test_external_database(empty: Ragdb, external: str) -> None:
    installer = empty.having(RAGDB_DATABASE_URL=external)
    first = installer.json("init", "--org", "acme", "--email", "a@acme.test")
    assert first["database"]["embedded"] is False and first["organization"] == "acme"
    assert first["sql_login"].startswith("ragdb_sql_acme") and first["notes"] == []
    assert not (empty.home / "data").exists()
    assert installer.json("init")["changed"] is False

    # From here on the application's login is enough, and cannot do more.
    assert empty.json("init")["changed"] is False
    empty.text("add", "-", input=b"Lemons are yellow.")
    assert empty.json("search", "lemons")["results"]
    assert empty.text("psql", "-XAtc", "select title from ragdb.search('lemons')").strip()
    assert empty.problem("org", "list") == (5, "permission_denied")
    assert empty.json("--operator-url", external, "org", "list")["organizations"]
    assert empty.json("status")["server"] is None

    login = conninfo_to_dict(read_credentials(empty.home)["RAGDB_DATABASE_URL"])["user"]
    shutil.rmtree(empty.home)
    installer.text("init")
    kept = conninfo_to_dict(read_credentials(empty.home)["RAGDB_DATABASE_URL"])
    assert kept["user"] == login  # the same home, so the password was changed


def test_two_homes_of_one_database_do_not_lock_each_other_out(empty: Ragdb, external: str) -> None:
    empty.having(RAGDB_DATABASE_URL=external).text("init")
    other = Ragdb(empty.home.with_name("other"))
    other.having(RAGDB_DATABASE_URL=external).text("init")
    assert empty.json("doc", "list") == other.json("doc", "list") == {"documents": []}


def test_login_without_rights_to_upgrade(empty: Ragdb, external: str, other_server: Server) -> None:
    name = f"weak_{secrets.token_hex(4)}"
    with psycopg.connect(other_server.superuser_url(), autocommit=True) as connection:
        connection.execute(f"create role {name} login password 'secret'")
    database = str(conninfo_to_dict(external)["dbname"])
    weak = empty.having(RAGDB_DATABASE_URL=other_server.url(database, name, "secret"))
    assert weak.problem("init") == (5, "no_upgrade_rights")
