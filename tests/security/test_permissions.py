"""What each function asks of a caller, and what keys, members and workspaces keep apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psycopg
from probes import Looker
from recipes import Recipes
from routines import functions
from subjects import BY_NAME, Connection, Subject, rolled_back
from world import WORD, World, acting, found

Look = Callable[[Subject], Looker]
Count = Callable[[str, int], None]

# What a caller must hold. Who gives somebody a role, here the viewer's, must hold that role's
# permissions; whoever revokes the key of somebody else manages people.
NEEDS = {
    "add_member": {"user:manage", "rag:read", "query:read"},
    "add_workspace_member": {"user:manage"},
    "ask": {"rag:read"},
    "begin_embedding": {"data:write"},
    "begin_query_embedding": {"rag:read"},
    "fail_embedding": {"data:write"},
    "fail_query_embedding": {"rag:read"},
    "finish_embedding": {"data:write"},
    "finish_query_embedding": {"rag:read"},
    "leave_embedding_model": {"rag:config", "data:write"},
    "restore_table_vectors": {"data:write"},
    "retry_embeddings": {"data:write"},
    "rollback_embedding_model": {"rag:config"},
    "switch_embedding_model": {"rag:config"},
    "use_embedding_model": {"rag:config", "data:write"},
    "ask_begin": {"rag:read"},
    "ask_finish": {"rag:read"},
    "cancel_job": {"data:write"},
    "corrected_query": {"rag:read"},
    "create_api_key": {"api:manage"},
    "create_workspace": {"rag:config"},
    "delete_workspace": {"rag:config", "data:write"},
    "evaluate": {"rag:read"},
    "put_judgements": {"data:write"},
    "record_feedback": {"rag:read"},
    "set_ranking_weights": {"rag:config"},
    "tune": {"rag:config", "rag:read"},
    "put_chunk_profile": {"rag:config"},
    "check_integrity": {"rag:read"},
    "dedupe": {"data:write"},
    "export_chunks": {"data:read"},
    "import_chunks": {"data:write"},
    "rebuild": {"data:write"},
    "delete_chunk_profile": {"rag:config"},
    "delete_document": {"data:write"},
    "delete_documents": {"data:write"},
    "delete_old_jobs": {"rag:config"},
    "delete_schedule": {"rag:config"},
    "enqueue_job": {"data:write"},
    "put_upload": {"data:write"},
    "get_upload": {"data:write"},
    "enqueue_files": {"data:write"},
    "delete_synonyms": {"rag:config"},
    "explain_search": {"rag:read"},
    "get_document": {"rag:read"},
    "get_job": {"rag:read"},
    "get_original": {"rag:read"},
    "keep_original": {"data:write"},
    "list_documents": {"rag:read"},
    "list_jobs": {"rag:read"},
    "check_vector_index": {"data:write"},
    "maintain": {"data:write"},
    "reembed": {"data:write"},
    "put_document": {"data:write"},
    "put_documents": {"data:write"},
    "put_schedule": {"rag:config", "data:write"},
    "put_source": {"rag:config", "data:write"},
    "put_sd_connection": {"rag:config", "data:write"},
    "get_source": {"rag:config"},
    "refresh_source": {"data:write"},
    "delete_source": {"data:write"},
    "begin_sync": {"data:write"},
    "changed_items": {"data:write"},
    "store_sync": {"data:write"},
    "sweep_sync": {"data:write"},
    "end_sync": {"data:write"},
    "list_sync_runs": {"rag:read"},
    "list_sync_errors": {"rag:read"},
    "replace_document": {"data:write"},
    "put_synonyms": {"rag:config"},
    "reindex_documents": {"data:write"},
    "require": {"rag:read"},
    "retry_failed": {"data:write"},
    "revoke_api_key": {"api:manage", "user:manage"},
    "search": {"rag:read"},
    "suggest": {"rag:read"},
    "trim_parts": {"data:write"},
}
# Open to every credential: these read and write nothing of an organization, or what the caller is.
OPEN = {
    "begin_context", "chunk_markdown", "chunk_recursive", "chunk_sentences", "chunk_table",
    "chunk_text", "context", "count_tokens",
    "current_org", "current_org_no", "current_scopes", "current_user_id", "current_user_no",
    "embed", "embed_batch", "record_use", "version", "whoami", "words",
}  # fmt: skip


def test_each_function_needs_the_permission_it_names(
    look: Look, world: World, count: Count
) -> None:
    looker = look(BY_NAME["admin"])
    connection, admin = looker.connection, BY_NAME["admin"]
    permissions = [
        permission
        for (permission,) in connection.execute(
            "select distinct unnest(permissions) from ragdb_data.role order by 1"
        ).fetchall()
        if permission != "*"
    ]
    needed: dict[str, set[str]] = defaultdict(set)
    with rolled_back(connection):
        lacking = {
            permission: _key(connection, world, [p for p in permissions if p != permission])
            for permission in permissions
        }
        recipes = Recipes(connection, world, admin)
        calls = {
            function.name: recipes.plainest(function)
            for function in functions(connection)
            if function.schema == "ragdb" and "ragdb_service" in function.callers
        }
        for permission, key in lacking.items():
            with rolled_back(connection), acting(connection, "ragdb_service", key):
                for name, call in calls.items():
                    outcome = looker.ask(call.statement, call.arguments)
                    if outcome.error[:1] in (("PT403",), ("42501",)):
                        needed[name].add(permission)
    count("permissions: calls", len(calls) * len(lacking))
    assert needed == NEEDS
    assert calls.keys() - needed.keys() == OPEN


def _key(connection: Connection, world: World, permissions: list[str], **given: object) -> str:
    """A key of the administrator's with these permissions only."""
    arguments = {"p_name": "test", "p_permissions": permissions, **given}
    named = ", ".join(f"{name} => %({name})s" for name in arguments)
    with acting(connection, "ragdb_service", world.acme.keys["admin"]):
        row = connection.execute(
            f"select key from ragdb.create_api_key({named})".encode(), arguments
        ).fetchone()
    connection.execute("reset role")
    assert row
    return row[0]


def _run(connection: Connection, key: str, statement: str, *arguments: object) -> list[Any]:
    with acting(connection, "ragdb_service", key):
        rows = connection.execute(statement.encode(), arguments).fetchall()
    connection.execute("reset role")
    return rows


def _refusal(connection: Connection, key: str, statement: str, *arguments: object) -> str | None:
    """The SQLSTATE a call fails with."""
    try:
        with rolled_back(connection):
            _run(connection, key, statement, *arguments)
    except psycopg.Error as error:
        return error.sqlstate
    return None


def test_a_private_copy_reveals_no_shared_one_and_the_reverse(world: World) -> None:
    put = (
        "select status, chunks from ragdb.put_document("
        "'The same text.', 'T', 'same/id', p_source => 's', p_visibility => %s)"
    )
    with world.connect() as connection:
        for first, second in (("private", "workspace"), ("workspace", "private")):
            with rolled_back(connection):
                _run(connection, world.acme.keys["carol"], put, first)
                assert _run(connection, world.acme.keys["eddy"], put, second) == [("ingested", 1)]
                mine = "select visibility from ragdb.documents where external_id = 'same/id'"
                seen = {
                    visibility for (visibility,) in _run(connection, world.acme.keys["eddy"], mine)
                }
                assert seen == ({"workspace"} if first == "private" else {"workspace", "private"})


def test_a_limited_key_stays_in_its_workspace(world: World) -> None:
    limited, closed = world.acme.keys["limited"], world.acme.closed
    with world.connect() as connection, rolled_back(connection):
        assert _run(connection, limited, "select slug from ragdb.workspaces") == [("default",)]
        for statement in (
            "select * from ragdb.search('vault', p_workspace => %s)",
            "select * from ragdb.put_document('x', p_workspace => %s)",
            "select * from ragdb.create_api_key('x', p_workspace => %s)",
            "select ragdb.add_workspace_member(%s, (select min(email) from ragdb.members))",
        ):
            assert _refusal(connection, limited, statement, closed) == "PT404"
        [(key,)] = _run(connection, limited, "select key from ragdb.create_api_key('child')")
        assert _run(connection, key, "select slug from ragdb.workspaces") == [("default",)]
        # Members and workspaces belong to the whole organization.
        mail = world.acme.emails["vera"]
        assert (
            _refusal(connection, limited, "select ragdb.add_member(%s, 'admin')", mail) == "PT403"
        )
        assert _refusal(connection, limited, "select ragdb.create_workspace('another')") == "PT403"


def test_no_key_makes_a_stronger_one(world: World) -> None:
    made = (
        "select permissions from ragdb_data.api_key where key_no ="
        " (select max(key_no) from ragdb_data.api_key)"
    )
    with world.connect() as connection, rolled_back(connection):
        key = _key(connection, world, ["api:manage", "rag:read"])
        for wished in (None, ["*"], ["user:manage"], ["rag:read", "data:write"]):
            with rolled_back(connection):
                _run(connection, key, "select ragdb.create_api_key('x', null, %s)", wished)
                [(permissions,)] = connection.execute(made).fetchall()
                assert set(permissions) <= {"api:manage", "rag:read"}
        other = world.acme.emails["carol"]
        assert _refusal(connection, key, "select ragdb.create_api_key('x', %s)", other) == "PT403"


def test_no_key_hands_out_a_role_stronger_than_itself(world: World) -> None:
    with world.connect() as connection, rolled_back(connection):
        key = _key(connection, world, ["user:manage"])
        mail = world.acme.emails["vera"]
        assert _refusal(connection, key, "select ragdb.add_member(%s, 'admin')", mail) == "PT403"


def test_only_who_manages_people_revokes_their_keys(world: World) -> None:
    with world.connect() as connection, rolled_back(connection):
        carol = world.acme.keys["carol"]
        theirs = world.acme.ids["key"]
        assert _refusal(connection, carol, "select ragdb.revoke_api_key(%s)", theirs) == "PT403"


def test_adding_a_member_of_another_organization_shows_nothing_of_them(world: World) -> None:
    """An account is shared by organizations; what one of them knows of it is not."""
    stranger = world.globex.emails["carol"]
    with world.connect() as connection, rolled_back(connection):
        admin = world.acme.keys["admin"]
        _run(connection, admin, "select ragdb.add_member(%s)", stranger)
        rows = _run(connection, admin, "select u::text from ragdb_data.app_user u")
        rows += _run(connection, admin, "select m::text from ragdb.members m")
        foreign = {word for word in world.vocabulary.domains["globex"] if WORD.fullmatch(word)}
        assert found(str(rows)) & foreign == found(stranger)
