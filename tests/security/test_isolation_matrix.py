"""Nobody sees, counts, infers or changes what belongs to somebody else.

Every table, view and function that the catalogue knows, looked at by every kind of caller. See
probes.py for what counts as a leak.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from drain_probe import DRAINED, set_out
from probes import (
    TIMINGS,
    Looker,
    catalogue_leaks,
    function_leaks,
    looked_at,
    relations,
    table_leaks,
    view_leaks,
)
from subjects import BY_NAME, DRAINER, SUBJECTS, Connection, Subject, rolled_back
from world import World, acting, found

Look = Callable[[Subject], Looker]
Count = Callable[[str, int], None]

EVERYONE = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
BOUND = pytest.mark.parametrize(
    "subject", [s for s in SUBJECTS if not s.bypasses_policies], ids=lambda subject: subject.name
)


def report(problems: list[str], cases: int, figure: str, count: Count) -> None:
    count(f"{figure}: cases", cases)
    count(f"{figure}: leaks", len(problems))
    assert not problems, "\n".join(problems)


@BOUND
def test_tables_show_exactly_what_is_theirs(subject: Subject, look: Look, count: Count) -> None:
    looker = look(subject)
    tables = relations(looker.connection, subject.role, ["ragdb_data"])
    report(table_leaks(looker, tables), 2 * len(tables), "isolation, tables", count)


@EVERYONE
def test_views_show_nothing_of_others(subject: Subject, look: Look, count: Count) -> None:
    looker = look(subject)
    views = relations(looker.connection, subject.role, ["ragdb"])
    assert len(views) >= 7
    report(view_leaks(looker, views), 2 * len(views), "isolation, views", count)


def test_drains_keep_to_their_organization(world: World, count: Count) -> None:
    with world.connect() as connection, rolled_back(connection):
        set_out(connection, world)
        looker = Looker(connection, world, DRAINER)
        calls = list(looked_at(looker, DRAINED))
        report(function_leaks(looker, calls), 2 * len(calls), "isolation, drains", count)


@EVERYONE
def test_functions_tell_nothing_of_others(subject: Subject, look: Look, count: Count) -> None:
    looker = look(subject)
    calls = list(looked_at(looker))
    assert len({call.function.name for call in calls}) > 60
    report(function_leaks(looker, calls), 2 * len(calls), "isolation, functions", count)


@pytest.mark.parametrize("name", ["analyst", "service without key"])
def test_system_catalogues_hold_no_words(name: str, look: Look, world: World, count: Count) -> None:
    looker = look(BY_NAME[name])
    with world.login("rival") as rival:
        # What B's analyst is running at this moment, literals and all.
        rival.execute(f"select '{world.globex.items[0].fields['p_title']}'".encode())
        views = [
            view
            for view in relations(
                looker.connection, looker.subject.role, ["pg_catalog", "information_schema"]
            )
            if "timezone" not in view
        ]
        assert "pg_catalog.pg_stat_activity" in views
        report(catalogue_leaks(looker, views), len(views), "isolation, catalogues", count)


@pytest.mark.parametrize("schema", ["ragdb_private", "ai"])
@EVERYONE
def test_private_schemas_are_closed(subject: Subject, schema: str, look: Look) -> None:
    if not subject.bypasses_policies:
        assert relations(look(subject).connection, subject.role, [schema]) == []


def _scores(looker: Looker) -> list[str]:
    """Everything a search computes, to the last bit; what was measured with a clock aside."""
    queries = (
        "select (rank, score, lexical_score, vector_score, chunk_id)::text"
        " from ragdb.search('vault keys', 50)",
        "select (rank, score, lexical, cosine, phrase, sentence, confidence)::text"
        " from ragdb.explain_search('how often do keys rotate', 50)",
        "select trace::text from ragdb.explain_search('vault')",
        "select (answer, confidence)::text from ragdb.ask('How often do keys rotate?')",
    )
    outcomes = [looker.ask(query) for query in queries]
    assert all(outcome.rows for outcome in outcomes)
    return [TIMINGS.sub("", outcome.text) for outcome in outcomes]


@pytest.mark.parametrize(
    ("watcher", "writer"), [("admin", "globex"), ("eddy", "carol"), ("analyst", "carol")]
)
def test_scores_do_not_move_when_others_write(
    watcher: str, writer: str, look: Look, world: World
) -> None:
    looker = look(BY_NAME[watcher])
    key = world.globex.keys["admin"] if writer == "globex" else world.acme.keys["carol"]
    visibility = "workspace" if writer == "globex" else "private"
    with rolled_back(looker.connection):
        looker.step_down()
        before = _scores(looker)
        looker.step_up()
        with acting(looker.connection, "ragdb_service", key):
            for n in range(10):
                looker.connection.execute(
                    "select ragdb.put_document(%s, p_visibility => %s)",
                    (f"Vault keys rotate, how often? {n} " * n + "vault", visibility),
                )
        looker.step_up()
        looker.step_down()
        assert _scores(looker) == before


def test_deleted_documents_leave_no_word_anywhere(world: World) -> None:
    """Not in facts, answers, questions, statistics or private tables, as a superuser looks."""
    assert len(world.vocabulary.deleted) > 100
    with world.connect() as connection:
        assert _stored_anywhere(connection, world.vocabulary.deleted) == []


def test_replaced_text_leaves_no_word_anywhere(world: World) -> None:
    old, new = world.vocabulary.word("replaced"), world.vocabulary.word("acme")
    with world.connect() as connection, rolled_back(connection):
        for text in (old, new):
            with acting(connection, "ragdb_service", world.acme.keys["admin"]):
                connection.execute(
                    "select ragdb.put_document(%s, 'Launch', 'launch')", (f"The code is {text}.",)
                )
                connection.execute("select ragdb.ask_finish('What is the launch code?', 1)")
            connection.execute("reset role")
        assert _stored_anywhere(connection, {new}) != []
        assert _stored_anywhere(connection, {old}) == []


def _stored_anywhere(connection: Connection, words: set[str]) -> list[str]:
    """The tables that hold one of the words, as a superuser sees them."""
    tables = relations(connection, "postgres", ["ragdb_data", "ragdb_private", "ai"])
    return [
        table
        for table in [*tables, "pg_catalog.pg_stats"]
        if any(
            found(text) & words
            for (text,) in connection.execute(f"select t::text from {table} t".encode())
        )
    ]


def test_planner_statistics_hold_no_words(world: World) -> None:
    """EXPLAIN estimates from them for everybody, and so tells values of all organizations."""
    with world.connect() as connection:
        rows = connection.execute(
            "select tablename, attname, s::text from pg_stats s where schemaname = 'ragdb_data'"
        ).fetchall()
    assert rows
    words = world.vocabulary.outside(frozenset())
    assert [(table, column) for table, column, text in rows if found(text) & words] == []
