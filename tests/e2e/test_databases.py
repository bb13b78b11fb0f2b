"""The drivers of databases against a real PostgreSQL and a real MariaDB."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from foreign import (
    Foreign,
    free_port,
    listening_postgres,
    new_maria,
    new_postgres,
    rows,
)
from mariadb import mariadb
from places import roomy_memory
from ragdb.databases.values import is_deleted, moment_of
from ragdb.databases.watermark import before, reached
from ragdb.outbound import Guard
from ragdb.sources.driver import (
    Broken,
    Delete,
    Mark,
    Restart,
    Setup,
    SourceError,
    Start,
    Text,
    Told,
    Tools,
    Upsert,
)
from ragdb.sources.registry import driver

LOCAL = Tools(Guard(["127.0.0.0/8"]))
TICKETS = {
    "id": "id", "title": "subject", "description": "body", "category": "category",
    "priority": "priority", "status": "state", "updated": "updated", "table": "tickets",
}  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[str, int]]:
    home = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    with listening_postgres(home) as server:
        yield server
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def maria() -> Iterator[Any]:
    with mariadb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Foreign:
    if request.param == "postgresql":
        return new_postgres(*request.getfixturevalue("postgres"))
    return new_maria(request.getfixturevalue("maria"))


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


def test_names_are_quoted_and_values_bound(database: Foreign) -> None:
    mark = '"' if database.kind == "postgresql" else "`"
    table = """od"d`ta'ble; drop table tickets; --"""
    column = """co"l`%s (%(x)s) 'n'"""

    def quoted(name: str) -> str:
        return mark + name.replace(mark, 2 * mark) + mark

    make_tickets(database, 3)
    database.run(
        f"create table {quoted(table)} ({quoted(column)} int primary key, t text)",
        f"insert into {quoted(table)} values (1, 'One; drop table tickets'), (2, 'it''s %s')",
    )
    told = read(source(database, table=table, id=column, content=["t"], title="t"))
    assert [content(one) for one in items(told).values()] == ["One; drop table tickets", "it's %s"]
    told = read(source(database, table=table, id=column, title="t", where={"t": "it's %s"}))
    assert list(items(told)) == ["2"]
    hostile = (
        "tickets; drop table tickets", 'tickets" where 1=1; drop table tickets; --',
        "tickets` t; drop table tickets; #", "tickets t, (select 1) u", "tickets--", "%s", "x%",
    )  # fmt: skip
    for name in hostile:
        assert refused(source(database, table=name, id="id", title="subject")).code in (
            "table_not_found", "source_query_failed"
        )  # fmt: skip
        for config in (
            {"id": name, "title": "subject"}, {"id": "id", "title": name},
            {"id": "id", "content": [name]}, {"id": "id", "title": "subject", "updated": name},
            {"id": "id", "title": "subject", "metadata": {"x": name}},
            {"id": "id", "title": "subject", "where": {name: 1}},
        ):  # fmt: skip
            assert refused(source(database, table="tickets", **config)).code == "column_not_found"
    for name in ("", "a\0b", "a\nb", "x" * 200):
        assert refused(source(database, table=name, id="id", title="subject")).code in (
            "invalid_mapping", "table_not_found"
        )  # fmt: skip
    for value in ("1' or '1'='1", "\\' or 1=1 -- ", "%s"):
        where = {"subject": value, "state": ["x", value]}
        assert items(read(source(database, table="tickets", id="id", title="subject",
                                 where=where))) == {}  # fmt: skip
    assert rows(database, "select count(*) from tickets") == [(3,)]


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


def test_nothing_is_written(database: Foreign) -> None:
    make_tickets(database, 3)
    if database.kind == "postgresql":
        database.run(
            "create function touch() returns int language sql security definer as"
            " $$update tickets set state = 'touched' returning 1$$"
        )
    else:
        database.run(
            "create function touch() returns int deterministic modifies sql data begin"
            " update tickets set state = 'touched'; return 1; end",
            f"grant execute on function {database.name}.touch to reader@'%'",
        )
    query = "select id, subject, touch() as touched from tickets"
    error = refused(source(database, query=query, id="id", title="subject"))
    assert error.code == "source_is_read_only"
    assert rows(database, "select count(*) from tickets where state = 'touched'") == [(0,)]


def test_ids_of_all_kinds(database: Foreign) -> None:
    texts, numbers, bytes_ = {
        "postgresql": ("uuid", "numeric(30,0)", "bytea"),
        "mariadb": ("uuid", "decimal(30,0)", "varbinary(16)"),
    }[database.kind]
    for kind, values in (
        (texts, [f"'00000000-0000-0000-0000-{n:012x}'" for n in range(450)]),
        ("varchar(20)", [f"'INC-{n:04}'" for n in range(450)]),
        (numbers, [str(10**25 + n) for n in range(450)]),
        (bytes_, [f"{_bytes(database, n)}" for n in range(450)]),
    ):
        listed = ", ".join(f"({value}, 'x')" for value in values)
        database.run("drop table if exists things",
                     f"create table things (id {kind} primary key, t text)",
                     f"insert into things values {listed}")  # fmt: skip
        told = items(read(source(database, table="things", id="id", content=["t"])))
        assert len(told) == 450, kind
    assert list(told)[1] == "00000001"
    database.run("drop table things", "create table things (id float, t text)",
                 "insert into things values (null, 'x')")  # fmt: skip
    setup = source(database, table="things", id="id", content=["t"])
    assert read(setup)[0] == Broken(None, "missing_id", "1 rows of rows have no id.")
    database.run("insert into things values (1.5, 'x')")
    assert refused(setup).code == "unusable_id"


def _bytes(database: Foreign, number: int) -> str:
    return f"'\\x{number:08x}'" if database.kind == "postgresql" else f"x'{number:08x}'"


def test_texts_in_whatever_they_are_kept(database: Foreign) -> None:
    binary, many = ("bytea", "json") if database.kind == "postgresql" else ("longblob", "longtext")

    def bytes_of(data: bytes) -> str:
        written = data.hex()
        return f"'\\x{written}'" if database.kind == "postgresql" else f"x'{written}'"

    database.run(
        f"create table things (id int primary key, b {binary}, j {many}, n numeric(12,2))",
        f"insert into things values (1, {bytes_of('für 🔥'.encode())}, '{{\"a\": 1}}', 12.50),"
        f" (2, {bytes_of('Größe'.encode('latin-1'))}, null, 3),"
        f" (3, {bytes_of(bytes(range(256)))}, null, null), (4, null, null, null)",
    )
    setup = source(database, table="things", id="id", content=["b"], metadata={"j": "j", "n": "n"})
    told = read(setup)
    found = items(told)
    assert [content(one) for one in found.values()] == ["für 🔥", "Größe", ""]
    assert found["1"].metadata["n"] == 12.5 and found["2"].metadata == {"n": 3}
    assert found["1"].metadata["j"] in ({"a": 1}, '{"a": 1}')
    assert [(one.external_id, one.code) for one in told if isinstance(one, Broken)] == [
        ("3", "not_text")
    ]
    big = (
        "select 1 as id, repeat('long ', 300000) as b union all select 2, repeat('longer', 200000)"
    )
    told = read(source(database, query=big, id="id", content=["b"]))
    assert [len(content(one)) for one in items(told).values()] == [1_500_000, 1_200_000]
    assert sum(isinstance(one, Mark) for one in told) == 4


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


def failing(url: str, tools: Tools = LOCAL, **config: Any) -> tuple[str, bool]:
    """How reading tickets ends, and whether it may be tried again."""
    config = {"table": "tickets", "id": "id", "title": "subject"} | config
    error = refused(Setup("acme", "x", config, {"url": url}, tools))
    return error.code, error.may_retry


def test_servers_that_cannot_be_read(database: Foreign) -> None:
    right = database.url()
    port = right.partition("127.0.0.1:")[2].partition("/")[0]
    nowhere = {
        "postgresql": ("source_database_not_found", False),
        # A MySQL user who may not see a database is not told that there is none.
        "mariadb": ("source_login_refused", False),
    }[database.kind]
    assert failing(database.url(password="wrong")) == ("source_login_refused", False)
    assert failing(database.url(user="stranger")) == ("source_login_refused", False)
    assert failing(right.replace(f":{port}/", f":{free_port()}/")) == ("source_unreachable", True)
    assert failing(right.replace("127.0.0.1", "nowhere.invalid")) == ("host_not_found", True)
    assert failing(right.replace("/desk_", "/task_")) == nowhere
    assert failing(database.url(tls="require")) == ("source_tls_failed", False)
    assert failing(right, Tools(Guard())) == ("address_not_allowed", False)


def test_tables_that_cannot_be_read(database: Foreign) -> None:
    make_tickets(database, 3)
    database.run("create table hidden (id int, subject int)")
    if database.kind == "postgresql":
        database.run("revoke select on hidden from reader")
        assert failing(database.url(), table="hidden") == ("source_permission_denied", False)
        # MariaDB takes a text that is no number for 0.
        assert failing(database.url(), where={"id": "five"}) == ("type_mismatch", False)
    assert failing(database.url(), table="nothing") == ("table_not_found", False)
    assert failing(database.url(), table="elsewhere.nothing")[0] in (
        "table_not_found", "source_permission_denied"
    )  # fmt: skip
    assert failing(database.url(), title="nothing") == ("column_not_found", False)
    slow = {"postgresql": "pg_sleep(30)", "mariadb": "sleep(30)"}[database.kind]
    assert failing(
        database.url(), table=None, query=f"select id, subject, {slow} as slow from tickets",
        metadata={"slow": "slow"}, statement_seconds=1,
    ) == ("source_timeout", True)  # fmt: skip
    for config in (
        {"table": None}, {"query": "select 1"}, {"title": None}, {"time_zone": "Mars"},
        {"encoding": "klingon"}, {"colour": "red"}, {"ca": "no certificate"},
    ):  # fmt: skip
        url = database.url(tls="verify") if "ca" in config else database.url()
        assert failing(url, **config)[0] in ("invalid_mapping", "invalid_certificate"), config
    assert failing(database.url(), ca="unused")[0] == "invalid_connection"


@pytest.mark.parametrize(
    "url",
    [
        "", "ftp://a@b/c", "mysql://a@b:x/c", "mysql://a@b", "mysql://b/c", "mysql://a@/c",
        "postgresql://a@b,c/d", "postgresql://a@b/c?hostaddr=127.0.0.1",
        "postgresql://a@b/c?service=x", "postgresql://a@b/c?sslkey=/etc/passwd",
        "mysql://a@b/c?tls=maybe", "mysql://a@b/c?unix_socket=/run/mysqld.sock",
        "mysql://a@b/c?local_infile=1", "oracle://a@b/c?tls=prefer", "mysql://a@b/c%00d",
    ],
)  # fmt: skip
def test_connection_strings_that_are_none(url: str) -> None:
    assert failing(url) == ("invalid_connection", False)


@pytest.mark.parametrize("host", ["%2Fvar%2Frun", "/var/run", "localhost", "[::1]", "10.1.2.3"])
def test_hosts_that_are_out_of_bounds(host: str) -> None:
    for kind in ("postgresql", "mysql", "oracle"):
        assert failing(f"{kind}://a:b@{host}/c", Tools(Guard()))[0] in (
            "address_not_allowed", "host_not_found", "invalid_connection"
        )  # fmt: skip


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that the account of the server may read."""
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir="/var/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def test_encrypted_connections(readable: Path) -> None:
    authority = write_certificates(readable)
    with mariadb(f"--ssl-ca={readable / 'ca.pem'}", f"--ssl-cert={readable / 'cert.pem'}",
                 f"--ssl-key={readable / 'key.pem'}") as server:  # fmt: skip
        database = new_maria(server)
        query = "select 1 as id, variable_value as cipher"
        query += " from information_schema.session_status where variable_name = 'Ssl_cipher'"

        def cipher(tls: str, **config: Any) -> str:
            url = database.url(tls=tls).replace("127.0.0.1", "localhost")
            config = {"query": query, "id": "id", "content": ["cipher"], **config}
            setup = Setup("acme", "x", config, {"url": url}, LOCAL)
            [found] = items(read(setup)).values()
            return content(found)

        assert cipher("off") == ""
        assert all(map(cipher, ("prefer", "require")))
        assert cipher("verify", ca=authority)
        for ca in ({}, {"ca": write_certificates(readable / "other")}):
            with pytest.raises(SourceError) as caught:
                cipher("verify", **ca)
            assert caught.value.code == "source_tls_failed"
        with pytest.raises(SourceError) as caught:
            config = {"table": "t", "id": "id", "title": "t", "ca": authority}
            read(Setup("acme", "x", config, {"url": database.url(tls="verify")}, LOCAL))
        assert caught.value.code == "source_tls_failed"  # 127.0.0.1 is not localhost


def write_certificates(folder: Path) -> str:
    """An authority and a certificate of localhost by it, as files; the authority's certificate."""
    folder.mkdir(exist_ok=True)
    made: dict[str, Any] = {}
    for name, subject in (("ca", "Test Authority"), ("cert", "localhost")):
        key = ec.generate_private_key(ec.SECP256R1())
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        signer, issuer = made.get("ca", (key, common))
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(common).issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), True)
            .sign(signer, hashes.SHA256())
        )  # fmt: skip
        made[name] = (key, common)
        pem = certificate.public_bytes(Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(pem)
        if name == "cert":
            (folder / "key.pem").write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            )
    return (folder / "ca.pem").read_text()


@pytest.mark.parametrize(
    ("written", "kind", "moment"),
    [
        ("2026-07-01 12:00:00", "local", "2026-07-01T10:00:00+00:00"),
        ("2026-01-01T12:00:00.5", "local", "2026-01-01T11:00:00.500000+00:00"),
        ("2026-01-01", "local", "2025-12-31T23:00:00+00:00"),
        # The hour that comes twice, and the one that is left out.
        ("2026-10-25 02:30:00", "local", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29 02:30:00", "local", "2026-03-29T01:30:00+00:00"),
        ("2026-07-01 12:00:00", "moment", "2026-07-01T12:00:00+00:00"),
        ("2026-07-01 12:00:00.123456789+05:30", "moment", "2026-07-01T06:30:00.123456+00:00"),
        ("2026-07-01T12:00:00Z", "text", "2026-07-01T12:00:00+00:00"),
        ("2026-07-01 12:00:00-03", "local", "2026-07-01T15:00:00+00:00"),
        (1_782_907_200, "number", "2026-07-01T12:00:00+00:00"),
        (1_782_907_200_500, "number", "2026-07-01T12:00:00.500000+00:00"),
        ("0000-00-00 00:00:00", "local", None), ("infinity", "moment", None),
        ("yesterday", "text", None), (None, "local", None), (10**30, "number", None),
        ("0001-01-01 00:00:00", "local", None),
    ],
)  # fmt: skip
def test_times(written: object, kind: Any, moment: str | None) -> None:
    found = moment_of(written, kind, ZoneInfo("Europe/Berlin"))
    assert (found.isoformat() if found else None) == moment


@pytest.mark.parametrize(
    ("watermark", "kind", "begun"),
    [
        ("2026-07-01 12:00:00.5", "moment", "2026-07-01 11:55:00"),
        # An hour more: at the end of October local times come twice.
        ("2026-07-01 12:00:00.5", "local", "2026-07-01 10:55:00"),
        ("2026-07-01", "local", "2026-06-30"),
        ("2026-07-01T12:00:00", "text", "2026-07-01T10:55:00"),
        (1_782_907_200, "number", 1_782_906_900), (1_782_907_200_500, "number", 1_782_906_900_000),
        (17, "number", 17), ("v17", "text", "v17"),
    ],
)  # fmt: skip
def test_runs_begin_a_little_before(watermark: object, kind: Any, begun: object) -> None:
    overlap = timedelta(minutes=5)
    assert before(watermark, kind, ZoneInfo("Europe/Berlin"), overlap) == begun
    assert reached(watermark, kind, ZoneInfo("Europe/Berlin")) == watermark


def test_watermarks_do_not_run_ahead() -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:")
    for odd in ("2199-01-01 00:00:00", "infinity"):
        assert str(reached(odd, "moment", ZoneInfo("UTC"))).startswith(now)


@pytest.mark.parametrize("value", [1, True, "Y", "true", b"\x01", "2026-01-31 12:00:00", -1])
def test_flags_that_are_set(value: object) -> None:
    assert is_deleted(value)


@pytest.mark.parametrize(
    "value", [None, 0, False, "", " ", "N", "No", "false", "0", b"\x00", b"0", b"",
              "0000-00-00 00:00:00"]
)  # fmt: skip
def test_flags_that_are_not(value: object) -> None:
    assert not is_deleted(value)
