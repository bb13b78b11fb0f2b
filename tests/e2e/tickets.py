"""Tickets of a service desk in a database, and what a driver tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from foreign import Foreign
from ragdb.outbound import Guard
from ragdb.sources.driver import Mark, Setup, SourceError, Start, Text, Told, Tools, Upsert
from ragdb.sources.registry import driver

LOCAL = Tools(Guard(["127.0.0.0/8"]))
TICKETS = {
    "id": "id", "title": "subject", "description": "body", "category": "category",
    "priority": "priority", "status": "state", "updated": "updated", "table": "tickets",
}  # fmt: skip


def make_tickets(database: Foreign, number: int) -> None:
    """Tickets a second apart; of every tenth the title is NULL, every hundredth is deleted."""
    moment = "timestamp(6)"
    if database.kind == "postgresql":
        numbers = f"generate_series(1, {number}) as n(seq)"
        when = "timestamp '2026-01-31 12:00:00' + seq * interval '1 second'"
        joined = "'Ticket ' || seq", "'The printer burns 🔥, für ' || seq || ' Minuten.'"
    else:
        numbers, moment = f"seq_1_to_{number}", "datetime(6)"
        when = "timestamp('2026-01-31 12:00:00') + interval seq second"
        joined = "concat('Ticket ', seq)", "concat('The printer burns 🔥, für ', seq, ' Minuten.')"
    database.run(
        "create table tickets (id bigint primary key, subject varchar(200), body text,"
        " category varchar(40), priority int, state varchar(20), gone smallint not null,"
        f" updated {moment} null)",
        "insert into tickets"
        f" select seq, case when seq % 10 <> 0 then {joined[0]} end, {joined[1]}, 'hardware',"
        f" seq % 3, 'open', case when seq % 100 = 0 then 1 else 0 end, {when} from {numbers}",
    )


def desk(database: Foreign, *tables: Mapping[str, Any], **options: Any) -> Setup:
    config = {"db_type": database.kind, "tables": list(tables or [TICKETS]), **options}
    return Setup("acme", "desk", config, {"url": database.url()}, LOCAL)


def source(database: Foreign, **config: Any) -> Setup:
    return Setup("acme", "rows", config, {"url": database.url()}, LOCAL)


def read(setup: Setup, cursor: Mapping[str, object] | None = None, **start: bool) -> list[Told]:
    """All that a run tells: of a full one, or of one that goes on after a cursor."""
    kind = "servicedesk" if "tables" in setup.config else "database"
    start = {"full": cursor is None, **start}
    return list(driver(kind, setup).read(Start(cursor=cursor, **start)))


def items(told: list[Told]) -> dict[str, Upsert]:
    return {one.external_id: one for one in told if isinstance(one, Upsert)}


def content(upsert: Upsert) -> str:
    loaded = upsert.load()
    assert isinstance(loaded, Text)
    return loaded.content


def last_mark(told: list[Told]) -> Mapping[str, object]:
    assert isinstance(told[-1], Mark)
    return told[-1].cursor


def refused(setup: Setup, cursor: Mapping[str, object] | None = None) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read(setup, cursor)
    assert "gehe" not in caught.value.message
    return caught.value
