"""Oracle as far as no Oracle is needed: what is sent to a listener, what its answers mean, and SQL.

A listener of our own answers the first packet of the protocol. What comes after the login is not
tested here but for the text of the statements.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from ragdb.databases.dialect import Dialect, Oracle, Statement
from ragdb.databases.mapping import Comments, Table
from ragdb.databases.plan import CommentPlan, Place, Plan
from ragdb.databases.session import Column, Row
from ragdb.outbound import Guard
from ragdb.sources.driver import Setup, SourceError, Start, Tools
from ragdb.sources.registry import driver

REFUSE, REDIRECT, DATA = 4, 5, 6


def packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, 0, 0) + body


def refusal(code: int) -> bytes:
    text = f"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR={code})(ERROR_STACK=(ERROR=(CODE={code}))))".encode()
    return packet(REFUSE, struct.pack(">BBH", 0, 0, len(text)) + text)


def redirection(host: str, port: int) -> bytes:
    text = (
        f"(ADDRESS=(PROTOCOL=TCP)(HOST={host})(PORT={port}))\0"
        "(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=desk)))"
    ).encode()
    return packet(REDIRECT, struct.pack(">H", len(text))) + packet(DATA, b"\0\0" + text)


@contextmanager
def listener(
    answer: Callable[[], bytes], host: str = "127.0.0.1"
) -> Generator[tuple[int, list[str]]]:
    """Answers each connection once, then hangs up; its port, and what it was sent."""
    heard: list[str] = []
    with socket.create_server((host, 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(8192).decode("latin-1"))
                    connection.sendall(answer())
                    connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], heard
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def refused(url: str, allowed: str = "127.0.0.1") -> SourceError:
    config = {"table": "tickets", "id": "id", "title": "subject"}
    setup = Setup("acme", "x", config, {"url": url}, Tools(Guard([allowed])))
    with pytest.raises(SourceError) as caught:
        list(driver("database", setup).read(Start(True, None)))
    assert "geheim" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("answer", "code", "may_retry"),
    [
        (refusal(12514), "source_database_not_found", False),
        (refusal(12505), "source_database_not_found", False),
        (refusal(12520), "source_unreachable", True),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "source_unreachable", True),
        (b"", "source_unreachable", True),
    ],
)
def test_what_a_listener_answers(answer: bytes, code: str, may_retry: bool) -> None:
    with listener(lambda: answer) as (port, heard):
        error = refused(f"oracle://desk:geheim@127.0.0.1:{port}/desk")
    assert (error.code, error.may_retry) == (code, may_retry), error.message
    assert f"127.0.0.1:{port} says: " in error.message
    # Nothing of this machine, and no password, is told to whoever listens.
    assert "(SERVICE_NAME=desk)" in heard[0] and "geheim" not in "".join(heard)
    assert f"(HOST={socket.gethostname()})" not in heard[0]


def test_a_system_identifier_instead_of_a_service() -> None:
    with listener(lambda: refusal(12505)) as (port, heard):
        refused(f"oracle://desk:geheim@127.0.0.1:{port}/?sid=ORCL")
    assert "(SID=ORCL)" in heard[0]


def test_a_listener_cannot_send_us_elsewhere() -> None:
    with (
        listener(lambda: refusal(12514), "127.0.0.2") as (inside, heard),
        listener(lambda: redirection("127.0.0.2", inside)) as (port, _),
    ):
        url = f"oracle://desk:geheim@127.0.0.1:{port}/desk"
        assert refused(url).code == "address_not_allowed" and heard == []
        # Where the network is allowed, it may: that is how clusters balance.
        assert refused(url, "127.0.0.0/8").code == "source_database_not_found" and len(heard) == 1


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = refused(f"oracle://desk:geheim@127.0.0.1:{port}/desk")
    assert (error.code, error.may_retry) == ("source_unreachable", True)
    assert refused("oracle://desk:geheim@10.0.0.1/desk").code == "address_not_allowed"


@dataclass
class Described:
    """An Oracle that says which columns there are, and nothing else."""

    changed: str
    dialect: Dialect = Oracle()  # noqa: RUF009

    def columns(self, statement: Statement) -> list[Column]:
        moment = "moment" if "ZONE" in self.changed else "local"
        names = ("ID", "SUBJECT", "BODY", "STATE", "TICKET", "SAID")
        return [
            *(Column(name, "text", "VARCHAR2") for name in names),
            Column("CHANGED", moment, self.changed),
        ]

    @contextmanager
    def rows(self, statement: Statement) -> Generator[Generator[Row]]:
        raise AssertionError
        yield

    def close(self) -> None:
        pass


def plan(changed: str, table: str = "help.tickets") -> Plan:
    return Plan(
        Described(changed),
        Table(
            name="tickets", table=table, query=None, id="id", title="subject", content=("body",),
            updated="changed", deleted=None, date=None, metadata={"status": "state"},
            where={"state": ["open", "it's"]},
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "selected", "bound"),
    [
        ("DATE", "to_char(\"CHANGED\", 'YYYY-MM-DD HH24:MI:SS')",
         "to_date(:v{}, 'YYYY-MM-DD HH24:MI:SS')"),
        ("TIMESTAMP", "to_char(\"CHANGED\", 'YYYY-MM-DD HH24:MI:SS.FF9')",
         "to_timestamp(:v{}, 'YYYY-MM-DD HH24:MI:SS.FF9')"),
        ("TIMESTAMP WITH TIME ZONE",
         "to_char(sys_extract_utc(\"CHANGED\"), 'YYYY-MM-DD HH24:MI:SS.FF9')",
         "from_tz(to_timestamp(:v{}, 'YYYY-MM-DD HH24:MI:SS.FF9'), 'UTC')"),
        ("NUMBER", '"CHANGED"', ":v{}"),
    ],
)  # fmt: skip
def test_statements(changed: str, selected: str, bound: str) -> None:
    columns = f'select {selected}, "ID", "SUBJECT", "BODY", "STATE" from "HELP"."TICKETS" t'
    where = ' where ("STATE" in (:v1, :v2)) and "ID" is not null'
    first = plan(changed).page(Place(), 200)
    assert first == Statement(
        f'{columns}{where} order by "ID" fetch first 200 rows only', {"v1": "open", "v2": "it's"}
    )
    full = plan(changed).page(Place(id=7), 200)
    assert full.text == f'{columns}{where} and "ID" > :v3 order by "ID" fetch first 200 rows only'
    at = "2026-01-31 12:00:00.123456789"
    begun = plan(changed).page(Place("2026-01-31 12:00:00"), 200).values
    assert begun["v3"] == "2026-01-31 12:00:00" + (".0" if "TIMESTAMP" in changed else "")
    page = plan(changed).page(Place(at, 7), 200)
    after, later = bound.format(3), bound.format(4)
    assert page.text == (
        f'{columns}{where} and "CHANGED" >= {after} and ("CHANGED" > {later} or "ID" > :v5)'
        ' order by "CHANGED", "ID" fetch first 200 rows only'
    )
    assert page.values == {"v1": "open", "v2": "it's", "v3": at, "v4": at, "v5": 7}
    assert plan(changed).latest().text == (
        f'select {selected} from "HELP"."TICKETS" t where ("STATE" in (:v1, :v2))'
        ' and "CHANGED" is not null order by "CHANGED" desc fetch first 1 rows only'
    )


def test_names_are_quoted() -> None:
    assert ' from "Help Desk"."Ti%s; drop" t' in plan("DATE", "Help Desk.Ti%s; drop").page(
        Place(), 1
    ).text  # fmt: skip
    for name in ('a"b', '" t; drop table x; --', "", "a\0", "a\n", ".", "x" * 129):
        with pytest.raises(SourceError) as caught:
            plan("DATE", name)
        assert caught.value.code == "invalid_mapping"
    for column in ('id" from dual; --', "id--", "id, (select 1 from dual)"):
        with pytest.raises(SourceError) as caught:
            Plan(
                Described("DATE"),
                Table(
                    name="t", table="t", query=None, id=column, title="subject", content=(),
                    updated=None, deleted=None, date=None, metadata={},
                ),
            )  # fmt: skip
        assert caught.value.code == "column_not_found"


def test_lists_of_values_are_divided() -> None:
    comments = CommentPlan(Described("DATE"), Comments(table="notes", ticket="ticket", text="said"))
    statements: Iterator[Statement] = iter(comments.of(list(range(1200))))
    assert [len(statement.values) for statement in statements] == [500, 500, 200]
