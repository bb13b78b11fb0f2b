"""Rows of databases become documents, and so does what changed among them."""

from __future__ import annotations

from collections import Counter

import pytest
from tickets import TICKETS, content, desk, items, last_mark, make_tickets, read, refused, source

from foreign import Foreign, rows
from ragdb.sources.driver import Delete, Mark, Restart, Upsert


def test_tickets_become_documents(database: Foreign) -> None:
    make_tickets(database, 1000)
    database.run(
        "create table notes (ticket bigint, author varchar(20), said text, at_ timestamp null,"
        " is_public int)",
        "insert into notes values (7, 'Bo', 'Buy a new one.', '2026-02-02 10:00:00', 1),"
        " (7, 'Ann', 'Water it.', '2026-02-01 10:00:00', 1), (7, 'Cy', 'A secret.', null, 0),"
        " (990, null, 'Nobody said so.', null, 1)",
    )
    comments = {
        "table": "notes", "ticket": "ticket", "text": "said", "author": "author",
        "created": "at_", "where": {"is_public": 1},
    }  # fmt: skip
    mapping = {**TICKETS, "deleted": "gone", "comments": comments, "metadata": {"when": "updated"}}
    told = read(desk(database, mapping, time_zone="Europe/Berlin"))
    counted = Counter(type(one).__name__ for one in told)
    assert (counted["Upsert"], counted["Delete"], counted["Broken"]) == (990, 10, 0)
    found = items(told)
    seven = found["7"]
    assert (seven.title, seven.url) == ("Ticket 7", "servicedesk://tickets/7")
    assert seven.modified == "2026-01-31T11:00:07+00:00"
    assert seven.metadata == {
        "category": "hardware", "priority": 1, "status": "open",
        "when": "2026-01-31T11:00:07+00:00",
    }  # fmt: skip
    first, ann, bo = content(seven).split("\n\n")
    assert first == "The printer burns 🔥, für 7 Minuten."
    assert ann.startswith("Ann, 2026-02-01 ") and ann.endswith("UTC:\nWater it.")
    assert bo.endswith("Buy a new one.")
    assert (found["10"].title, content(found["990"])[-15:]) == (None, "Nobody said so.")
    assert next(one.external_id for one in told if isinstance(one, Delete)) == "100"


def test_changes_are_found_and_nothing_else_is_read(database: Foreign) -> None:
    make_tickets(database, 700)
    setup = desk(database, {**TICKETS, "deleted": "gone"}, overlap_seconds=60)
    told = read(setup)
    database.run(
        "update tickets set subject = 'Changed', updated = '2026-02-01 00:00:00' where id = 3",
        "update tickets set gone = 1, updated = '2026-02-01 00:00:00' where id = 5",
        "insert into tickets values (9000, 'New', 'x', null, 1, 'open', 0, '2026-02-02 00:00:00')",
    )
    changed = read(setup, last_mark(told))
    before = items(told)
    known = [
        id for id, one in items(changed).items()
        if id in before and one.fingerprint == before[id].fingerprint
    ]  # fmt: skip
    # 60 seconds before the last of 700 tickets, one of which is deleted.
    assert len(known) == 60 and set(items(changed)) - set(known) == {"3", "9000"}
    assert Delete("5") in changed and items(changed)["3"].title == "Changed"
    assert items(changed)["9000"].metadata == {"priority": 1, "status": "open"}
    # No row is near the new watermark but those that made it.
    again = read(setup, last_mark(changed))
    assert set(items(again)) == {"9000"} and not any(isinstance(one, Restart) for one in again)


def test_rows_of_one_time_are_each_told_once(database: Foreign) -> None:
    make_tickets(database, 1100)
    setup = desk(database)
    database.run("update tickets set updated = '2025-06-01 12:00:00.123456'")
    cursor = last_mark(read(setup))
    told = read(setup, cursor)
    ids = [one.external_id for one in told if isinstance(one, Upsert)]
    assert ids == [str(number) for number in range(1, 1101)]


@pytest.mark.parametrize("full", [True, False])
def test_a_run_that_was_killed_goes_on(database: Foreign, full: bool) -> None:
    make_tickets(database, 1000)
    setup = desk(database, overlap_seconds=100_000)
    told = read(setup)
    cursor = None if full else last_mark(told)
    whole = read(setup, cursor)
    places = [number for number, one in enumerate(whole) if isinstance(one, Mark)]
    for place in (0, *places):
        before = whole[: place + 1] if place else []
        at = last_mark(before) if before else cursor
        rest = read(setup, at, full=full, resumed=True)
        found = [*items(before), *items(rest)]
        if place != places[-1]:
            assert found == list(items(whole)), place
        assert last_mark(rest) == last_mark(whole) or full


def test_rows_whose_time_is_missing_or_odd(database: Foreign) -> None:
    make_tickets(database, 5)
    odd = "infinity" if database.kind == "postgresql" else "9999-12-31 23:59:59"
    database.run(
        "update tickets set updated = null where id = 1",
        f"update tickets set updated = '{odd}' where id = 2",
    )
    setup = desk(database, overlap_seconds=0)
    told = read(setup)
    assert list(items(told)) == ["1", "2", "3", "4", "5"]
    assert items(told)["1"].modified is None
    # What is said to change in the future does not hide what changes meanwhile.
    now = "now()" if database.kind == "postgresql" else "utc_timestamp()"
    database.run(f"update tickets set updated = {now} + interval '1' hour where id = 3")
    assert set(items(read(setup, last_mark(told)))) == {"2", "3"}


def test_conditions(database: Foreign) -> None:
    make_tickets(database, 30)
    database.run("update tickets set state = 'closed' where id > 20",
                 "update tickets set category = null where id = 5")  # fmt: skip

    def found(**where: object) -> int:
        return len(items(read(desk(database, {**TICKETS, "where": where}))))

    assert found(state="closed") == 10
    assert found(state=["open", "closed"], priority=0) == 10
    assert found(category=None) == 1 and found(category=[None, "hardware"]) == 30
    assert found(state=[]) == 0


def test_a_query_instead_of_a_table(database: Foreign) -> None:
    make_tickets(database, 20)
    query = (
        "select t.id as key_, subject, body, '10 %' as share, updated from tickets t"
        " where subject like 'Ticket 1%';"
    )
    setup = source(
        database, query=query, id="key_", title="subject", content=["body", "share"],
        updated="updated", url="https://desk.example/{id}", labels=["share"],
    )  # fmt: skip
    told = items(read(setup))
    assert set(told) == {"1", *map(str, range(11, 20))}
    assert content(told["11"]).endswith("\n\n10 %")
    assert (told["11"].url, told["11"].labels) == ("https://desk.example/11", ("10 %",))
    for hostile in (
        "select 1 as id, 'x' as subject) t; drop table tickets; select * from (select 1",
        "delete from tickets returning id, subject",
        "select id, subject from tickets; drop table tickets",
    ):
        refused(source(database, query=hostile, id="id", title="subject"))
    assert rows(database, "select count(*) from tickets") == [(20,)]


def test_a_column_that_has_become_another(database: Foreign) -> None:
    make_tickets(database, 250)
    setup = desk(database)
    cursor = last_mark(read(setup))
    database.run(
        "alter table tickets drop column updated",
        "alter table tickets add column updated bigint",
        "update tickets set updated = 1769860800 + id",
    )
    told = read(setup, cursor)
    assert isinstance(told[0], Restart) and len(items(told)) == 250
    assert items(told)["1"].modified == "2026-01-31T12:00:01+00:00"
    database.run("update tickets set updated = 1769990000 where id = 4")
    told = read(setup, last_mark(told))
    assert "4" in items(told) and not any(isinstance(one, Restart) for one in told)
    database.run("alter table tickets drop column body")
    error = refused(setup, last_mark(told))
    assert error.code == "column_not_found" and "it has id, subject, category" in error.message
    changed = {"postgresql": "alter updated type boolean using true",
               "mariadb": "modify updated blob"}[database.kind]  # fmt: skip
    database.run(f"alter table tickets {changed}")
    assert refused(desk(database, {**TICKETS, "description": "subject"})).code == "not_a_time"


def test_another_mapping_is_read_from_the_beginning(database: Foreign) -> None:
    make_tickets(database, 250)
    cursor = last_mark(read(desk(database)))
    for setup in (
        desk(database, {**TICKETS, "category": "state"}),
        desk(database, time_zone="Asia/Tokyo"),
        desk(database, TICKETS, {**TICKETS, "name": "more"}),
        desk(database, full_hours=0),
        desk(database, {key: value for key, value in TICKETS.items() if key != "updated"}),
    ):
        told = read(setup, cursor)
        assert isinstance(told[0], Restart), setup.config
        assert len(items(told)) == 250 * len(setup.config["tables"])  # type: ignore[arg-type]
    more = items(read(desk(database, TICKETS, {**TICKETS, "name": "more"})))["more/17"]
    assert more.url == "servicedesk://more/17"
