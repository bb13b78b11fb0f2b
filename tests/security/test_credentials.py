"""Keys and logins stand for whom they were made for, as long as they may, and for nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from world import World

Connection = psycopg.Connection[Any]
Count = Callable[[str, int], None]

WHO = "select ragdb.current_org_no()"


@pytest.fixture
def service(world: World) -> Iterator[Connection]:
    with world.login("service") as connection:
        yield connection


@pytest.fixture
def superuser(world: World) -> Iterator[Connection]:
    with world.connect() as connection:
        yield connection


@pytest.mark.parametrize(
    "role",
    ["ragdb_definer", "ragdb_owner", "ragdb_admin", "ragdb_worker", "ragdb_analyst", "postgres"],
)  # fmt: skip
def test_no_login_changes_into_another_role(world: World, role: str, count: Count) -> None:
    for who in ("service", "analyst", "worker"):
        if world.logins[who] and role == f"ragdb_{who}":
            continue
        with world.login(who) as connection:
            for statement in ("set role", "set session authorization"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"{statement} {role}".encode())
                count("forgery: attempts", 1)


def test_resetting_the_role_resets_no_identity(world: World) -> None:
    with world.login("analyst") as connection:
        for statement in (
            "reset role",
            "reset session authorization",
            "discard all",
            "set role none",
        ):
            connection.execute(statement.encode())
            assert connection.execute(WHO).fetchone() == (world.acme.org_no,)
        connection.execute("set role ragdb_analyst")
        assert connection.execute(WHO).fetchone() == (world.acme.org_no,)


BROKEN = {
    "revoked": "update ragdb_data.api_key set revoked_at = now()",
    "expired": "update ragdb_data.api_key set expires_at = now() - interval '1 second'",
    "expires now": "update ragdb_data.api_key set expires_at = now()",
    "inactive user": "update ragdb_data.app_user set is_active = false",
    "no member": "delete from ragdb_data.membership m using ragdb_data.app_user u"
    " where u.user_no = m.user_no and u.email = '{email}'",
}


@pytest.mark.parametrize("state", BROKEN)
def test_a_credential_that_ended_opens_nothing(
    superuser: Connection, world: World, state: str, count: Count
) -> None:
    statement = BROKEN[state].format(email=world.acme.emails["vera"])
    with superuser.transaction(force_rollback=True):
        superuser.execute(statement.encode())
        superuser.execute("set local role ragdb_service")
        with pytest.raises(psycopg.Error) as caught, superuser.transaction():
            superuser.execute("select ragdb.begin_context(%s)", (world.acme.keys["vera"],))
        assert caught.value.sqlstate == "PT401"
        assert superuser.execute(WHO).fetchone() == (None,)
    count("forgery: attempts", 1)


@pytest.mark.parametrize("key", ["", "rdb_", "rdb_" + "A" * 43, "%", "' or true --", "\\x00"])
def test_a_wrong_key_opens_nothing(service: Connection, key: str, count: Count) -> None:
    with pytest.raises(psycopg.Error) as caught, service.transaction():
        service.execute("select ragdb.begin_context(%s)", (key,))
    assert caught.value.sqlstate == "PT401"
    assert service.execute(WHO).fetchone() == (None,)
    count("forgery: attempts", 1)


@pytest.mark.parametrize("key", [None, "NULL"])
def test_no_key_opens_nothing(service: Connection, key: str | None) -> None:
    with pytest.raises(psycopg.Error):
        service.execute("select ragdb.begin_context(%s)", (key,))


@pytest.mark.parametrize(
    "statement",
    ["update ragdb_data.app_user set is_active = false", "delete from ragdb_private.login",
     "delete from ragdb_data.membership"],
)  # fmt: skip
def test_a_login_without_a_member_sees_nothing(
    superuser: Connection, world: World, statement: str
) -> None:
    with superuser.transaction(force_rollback=True):
        superuser.execute("set local session_replication_role = replica")
        superuser.execute(statement.encode())
        superuser.execute(
            sql.SQL("set local session authorization {}").format(
                sql.Identifier(world.logins["analyst"])
            )
        )
        assert superuser.execute(WHO).fetchone() == (None,)
        assert superuser.execute("select count(*) from ragdb_data.document").fetchone() == (0,)


def test_a_login_is_not_who_it_steps_down_to(superuser: Connection, world: World) -> None:
    """The login decides: an operator who sets the role of one is nobody."""
    with superuser.transaction(force_rollback=True):
        superuser.execute(
            sql.SQL("set local role {}").format(sql.Identifier(world.logins["analyst"]))
        )
        assert superuser.execute(WHO).fetchone() == (None,)
