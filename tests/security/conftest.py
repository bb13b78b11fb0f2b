"""The world that the security suite looks at, and the figures it reports."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from population import populate
from probes import Looker
from psycopg import sql
from psycopg.conninfo import make_conninfo
from subjects import Subject
from world import World

from parallel import FIGURES


@pytest.fixture(scope="session")
def template(installed: Any) -> dict[str, Any]:
    """How a superuser connects to the database that was installed and nobody uses."""
    return {
        "host": installed.host, "port": installed.port, "user": installed.user,
        "password": installed.password, "dbname": installed.template_dbname,
    }  # fmt: skip


@pytest.fixture(scope="session")
def clone(template: dict[str, Any]) -> Callable[[], Any]:
    """Make a copy of the installed database, for as long as the block runs; a superuser's URL."""

    @contextmanager
    def made() -> Iterator[str]:
        name = sql.Identifier(f"security_{secrets.token_hex(6)}")
        with psycopg.connect(**template | {"dbname": "postgres"}, autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    name, sql.Identifier(template["dbname"])
                )
            )
            # What is granted on a database itself is not copied with it.
            connection.execute(
                sql.SQL("revoke create, temporary on database {} from public").format(name)
            )
            try:
                yield make_conninfo(**template | {"dbname": name.as_string().strip('"')})
            finally:
                connection.execute(sql.SQL("drop database {} with (force)").format(name))

    return made


@pytest.fixture(scope="session")
def world(clone: Callable[[], Any]) -> Iterator[World]:
    """The two organizations. Tests leave them as they found them."""
    with clone() as url:
        world = populate(url)
        yield world
        world.drop_logins()


@pytest.fixture
def look(world: World) -> Iterator[Callable[[Subject], Looker]]:
    """Look with the eyes of a subject, on a connection of one's own."""
    opened: list[psycopg.Connection[Any]] = []

    def look(subject: Subject) -> Looker:
        opened.append(world.connect())
        return Looker(opened[-1], world, subject)

    yield look
    for connection in opened:
        connection.close()


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Add to a figure that the end of the run reports."""
    figures = request.config.stash.setdefault(FIGURES, {})

    def count(figure: str, number: int) -> None:
        figures[figure] = figures.get(figure, 0) + number

    return count
