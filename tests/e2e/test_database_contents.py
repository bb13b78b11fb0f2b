"""Names, ids and values as foreign databases have them, hostile ones too."""

from __future__ import annotations

from tickets import content, items, make_tickets, read, refused, source

from foreign import Foreign, rows
from ragdb.sources.driver import Broken, Mark


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
