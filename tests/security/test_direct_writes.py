"""SQL that reaches the service's login gains nothing beyond the caller whose context is open.

Functions check permissions. These tests go past them, to the tables that the service may write.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from probes import Looker
from subjects import BY_NAME, Subject, rolled_back
from world import World
from writes import REFUSED, door_leaks, granted, powerless_writes, write_leaks

Look = Callable[[Subject], Looker]
Count = Callable[[str, int], None]

# What a worker writes while it acts for none.
WORKERS = ("job", "job_detail", "schedule", "source_setup", "embedding_rate", "upload")


@pytest.mark.parametrize("name", ["admin", "eddy", "vera", "limited", "operator"])
def test_rows_of_others_cannot_be_written_or_given_away(
    name: str, look: Look, count: Count
) -> None:
    looker = look(BY_NAME[name])
    grants = list(granted(looker.connection, looker.subject.role))
    problems, tried = write_leaks(looker, grants)
    count("direct writes: attempts", tried)
    count("direct writes: successes", len(problems))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("name", ["analyst", "worker", "stranger", "service without key"])
def test_who_may_not_write_cannot(name: str, look: Look) -> None:
    looker = look(BY_NAME[name])
    grants = list(granted(looker.connection, looker.subject.role))
    if name == "service without key":
        problems, _ = powerless_writes(looker, grants)
        assert not problems, "\n".join(problems)
    else:
        queue = WORKERS if name == "worker" else ()
        assert {grant.table for grant in grants} == {f"ragdb_data.{table}" for table in queue}


def test_a_key_without_permissions_writes_nothing(look: Look, count: Count) -> None:
    looker = look(BY_NAME["powerless"])
    problems, tried = powerless_writes(looker, list(granted(looker.connection, "ragdb_service")))
    count("direct writes: attempts", tried)
    count("direct writes: successes", len(problems))
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("name", "person"), [("vera", "vera"), ("eddy", "eddy"), ("carol", "eddy")]
)
def test_nobody_is_let_into_a_closed_workspace(
    name: str, person: str, look: Look, world: World
) -> None:
    """Neither by those outside nor by those inside: that is for who manages people."""
    assert door_leaks(look(BY_NAME[name]), world.acme.emails[person]) == []


def test_a_revoked_key_stays_revoked(look: Look, world: World) -> None:
    looker = look(BY_NAME["admin"])
    with rolled_back(looker.connection):
        looker.step_down()
        looker.ask_and_keep(f"select ragdb.revoke_api_key('{world.acme.ids['key']}')")
        outcome = looker.ask(
            "update ragdb_data.api_key set revoked_at = null"
            " where revoked_at is not null returning 1"
        )
        assert outcome.error[:1] == (REFUSED,) or not outcome.rows


def test_deleting_a_citation_deletes_no_answer_of_others(look: Look) -> None:
    looker = look(BY_NAME["vera"])
    with rolled_back(looker.connection):
        before = looker.boundary.fingerprint(looker.connection)
        looker.step_down()
        for answer_no in range(1, 40):
            looker.ask_and_keep(
                "insert into ragdb_data.answer_citation (org_no, answer_no, ordinal, user_no,"
                " document_no, quote, char_start, char_end) select d.org_no,"
                f" {answer_no}, 99, ragdb.current_user_no(), d.document_no, 'x', 0, 1"
                " from ragdb_data.document d limit 1"
            )
        looker.ask_and_keep("delete from ragdb_data.answer_citation where ordinal = 99")
        looker.step_up()
        assert looker.boundary.fingerprint(looker.connection) == before


def test_a_hidden_text_cannot_be_pinned(look: Look, world: World) -> None:
    """A document that refers to another member's body would keep it after they delete theirs."""
    looker = look(BY_NAME["eddy"])
    hidden = world.acme.items_of("acme/carol")[0]
    with rolled_back(looker.connection):
        looker.step_down()
        outcome = looker.ask(
            "insert into ragdb_data.document (org_no, workspace_no, scope_no, source_no, body_no,"
            " external_id, title, mime) select d.org_no, d.workspace_no, d.scope_no, d.source_no,"
            f" {hidden.body_no}, 'pin', 'pin', 'text/plain' from ragdb_data.document d limit 1"
            " returning 'pinned'"
        )
        assert outcome.error and not outcome.rows
