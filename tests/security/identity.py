"""Who is whom: the forgery suite's claims that one connection can check inside one transaction."""

from __future__ import annotations

from typing import Any

import psycopg
from subjects import Connection, rolled_back
from world import Party, World, acting

WHO = "select ragdb.current_org_no()"

# Documents of acme that each member may read.
READABLE = {"admin": 14, "carol": 20, "eddy": 12, "vera": 10, "limited": 10, "guest": 10}
ROLES = {"admin": "admin", "carol": "developer", "eddy": "editor", "vera": "viewer"}


def identity_holds(connection: Connection, world: World) -> bool:
    """Whether every credential opens what is its own, and nothing else does."""
    return all(
        (
            _ended_credentials_open_nothing(connection, world),
            _keys_are_their_owners(connection, world.acme),
            _keys_are_their_owners(connection, world.globex),
            _scopes_are_their_members(connection, world),
            _logins_are_their_members(connection, world),
        )
    )


def _ended_credentials_open_nothing(connection: Connection, world: World) -> bool:
    ends = (
        "update ragdb_data.api_key set revoked_at = now()",
        "update ragdb_data.api_key set expires_at = now()",
        "update ragdb_data.app_user set is_active = false",
    )
    forged = f"{world.acme.org_no}|1|0|0|*|0|english|" + "0" * 64
    return _ask(connection, WHO, context=forged) == "28000" and all(
        _ask(connection, WHO, key=world.acme.keys["vera"], before=end) == "PT401" for end in ends
    )


def _keys_are_their_owners(connection: Connection, party: Party) -> bool:
    rows = connection.execute("select role, permissions from ragdb_data.role").fetchall()
    permissions = dict(rows)
    guest = {"acme": "viewer", "globex": "admin"}[party.domain]
    language = {"acme": "english", "globex": "german"}[party.domain]
    return all(
        _ask(
            connection,
            "select row(c.org_no, w.email, c.permissions, c.language)::text"
            " from ragdb.context() c, ragdb.whoami() w",
            key=party.keys[name],
        )
        == _ask(
            connection, "select row(%s::int4, %s::text, %s::text[], %s::text)::text",
            values=(party.org_no, party.emails[name], permissions[role], language),
        )
        for name, role in (ROLES | {"guest": guest}).items()
    )  # fmt: skip


def _scopes_are_their_members(connection: Connection, world: World) -> bool:
    count = "select count(*) from ragdb_data.document"
    return {who: _ask(connection, count, key=world.acme.keys[who]) for who in READABLE} == READABLE


def _logins_are_their_members(connection: Connection, world: World) -> bool:
    login = world.logins["analyst"]
    inactive = "update ragdb_data.app_user set is_active = false"
    return (
        _ask(connection, WHO, login=login) == world.acme.org_no
        and _ask(connection, "select permissions[1] from ragdb.context()", login=login)
        == "rag:read"
        and _ask(connection, WHO, login=login, before=inactive) is None
        and _ask(connection, WHO, role=login) is None
    )


def answers_go_with_their_documents(connection: Connection, world: World) -> bool:
    """Whoever asked: an answer that stays would keep text that was deleted or replaced."""
    item = world.acme.items[0]
    again = {name: item.fields[name] for name in ("p_title", "p_external_id", "p_source")} | {
        "p_content": "Something else."
    }
    with rolled_back(connection):
        with acting(connection, "ragdb_service", world.acme.keys["admin"]):
            connection.execute("select ragdb.delete_document(%s)", (item.id,))
        connection.execute("reset role")
        without_citation = connection.execute(
            "select count(*) from ragdb_data.answer a where not exists (select from"
            " ragdb_data.answer_citation c where (c.org_no, c.answer_no) = (a.org_no, a.answer_no))"
        ).fetchone()
    with rolled_back(connection):
        with acting(connection, "ragdb_service", world.acme.keys["admin"]):
            named = ", ".join(f"{name} => %({name})s" for name in again)
            connection.execute(f"select ragdb.put_document({named})".encode(), again)
        connection.execute("reset role")
        without_text = connection.execute(
            "select count(*) from ragdb_data.answer_citation c join ragdb_data.document d"
            " using (org_no, document_no) join ragdb_data.body b on b.org_no = d.org_no"
            " and b.body_no = d.body_no where position(c.quote in b.content) = 0"
        ).fetchone()
    return without_citation == without_text == (0,)


def _ask(
    connection: Connection, query: str, *, key: str = "", context: str = "", login: str = "",
    role: str = "ragdb_service", operator: str = "", before: str = "select 1",
    values: tuple[object, ...] = (),
) -> Any:  # fmt: skip
    """The answer to a query, or the SQLSTATE it fails with."""
    try:
        with rolled_back(connection):
            connection.execute("reset role")
            connection.execute(before.encode())
            if login:
                connection.execute(f"set local session authorization {login}".encode())
                return _value(connection, query, values)
            role = "ragdb_admin" if operator else role
            with acting(connection, role, key or None, operator or None):
                if context:
                    connection.execute("select set_config('ragdb.context', %s, true)", (context,))
                return _value(connection, query, values)
    except psycopg.Error as error:
        return error.sqlstate


def _value(connection: Connection, query: str, values: tuple[object, ...]) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    return row and row[0]


def operators_work(connection: Connection, world: World) -> bool:
    """What operators do for one organization concerns that one."""
    with rolled_back(connection), acting(connection, "ragdb_admin"):
        listed = connection.execute("select slug, members from ragdb.organizations()").fetchall()
        reached = {
            party.slug: _ask(connection, "select email from ragdb.whoami()", operator=party.slug)
            for party in (world.acme, world.globex)
        }
        made = _ask(
            connection, "select slug from ragdb.create_organization('New', 'new', 'a@new.test')",
            role="ragdb_admin",
        )  # fmt: skip
    return (
        dict(listed) == {world.acme.slug: 6, world.globex.slug: 7}
        and list(reached.values()) == [world.acme.emails["admin"], world.globex.emails["guest"]]
        and made == "new"
    )
