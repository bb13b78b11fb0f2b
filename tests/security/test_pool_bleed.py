"""Connections are shared by callers of all organizations: nothing of one is left for the next.

Threads take any of a few connections, act as anybody, and break off anywhere.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import psycopg
from world import Party, World

Count = Callable[[str, int], None]

CLIENTS = 8
CONNECTIONS = 3
REQUESTS = 60


def _request(
    connection: psycopg.Connection[Any], party: Party, key: str, chance: random.Random
) -> str:
    """One request that may break off at any point; what it saw of others, if anything."""
    seen: set[int | None] = set()
    interrupted = suppress(psycopg.errors.DivisionByZero, psycopg.errors.QueryCanceled)
    with interrupted, connection.transaction():
        if chance.random() < 0.1:
            connection.execute("select 1 / 0")
        connection.execute("select ragdb.begin_context(%s)", (key,))
        if chance.random() < 0.2:
            connection.execute("set local statement_timeout = 1")
        for table in chance.sample(("document", "chunk", "posting", "api_key", "answer"), 2):
            rows = connection.execute(f"select distinct org_no from ragdb_data.{table}".encode())
            seen |= {number for (number,) in rows.fetchall()}
        connection.execute("select * from ragdb.search('vault keys')").fetchall()
        if chance.random() < 0.1:
            connection.execute("select 1 / 0")
    if not seen <= {party.org_no}:
        return f"{party.slug} saw {seen}"
    left = connection.execute(
        "select ragdb.current_org_no(), (select count(*) from ragdb_data.document)"
    ).fetchone()
    return "" if left == (None, 0) else f"after {party.slug}: {left}"


def test_nothing_stays_on_a_connection(world: World, count: Count) -> None:
    pool: SimpleQueue[psycopg.Connection[Any]] = SimpleQueue()
    for _ in range(CONNECTIONS):
        pool.put(world.login("service"))
    wrong: list[str] = []

    def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(REQUESTS):
            party = chance.choice((world.acme, world.globex))
            key = party.keys[chance.choice(("admin", "carol", "eddy", "vera", "limited"))]
            connection = pool.get()
            try:
                if problem := _request(connection, party, key, chance):
                    wrong.append(problem)
            except Exception as error:
                wrong.append(repr(error))
            finally:
                pool.put(connection)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(CONNECTIONS):
        pool.get().close()
    count("pool: requests", CLIENTS * REQUESTS)
    count("pool: wrong organizations", len(wrong))
    assert wrong == []
