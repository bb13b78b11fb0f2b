"""What an upgrade refuses, and that the refusal says how to mend it."""

from __future__ import annotations

import pytest
from harness import Cluster, Tree

from ragdb import install
from ragdb.install import InstallError, VersionMismatch, upgrade


def refuse(url: str, tree: Tree, message: str) -> None:
    with pytest.raises(InstallError, match=message) as refused:
        upgrade(url, sql=tree.root)
    assert not isinstance(refused.value, VersionMismatch)


def test_an_edited_migration(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    before = cluster.dump(url)
    edited = (tree.root / "migrations/0002_create_note.sql").read_text() + "-- harmless\n"
    tree.write("migrations/0002_create_note.sql", edited)
    refuse(url, tree, r"0002_create_note.sql differs from its line in sql/migrations.sum")

    tree.record()
    refuse(url, tree, r"0002_create_note.sql was edited after this database had run it")
    assert cluster.dump(url) == before


def test_migrations_that_are_not_recorded(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    tree.write("migrations/0004_more.sql", "select 1;")
    refuse(url, tree, r"not listed in sql/migrations.sum.* sha256sum \*.sql > ../migrations.sum")
    tree.remove("migrations/0004_more.sql")
    tree.write("migrations/later.sql", "select 1;")
    refuse(url, tree, "not named like")
    tree.remove("migrations/later.sql")
    tree.remove("migrations/0003_add_note_length.sql")
    refuse(url, tree, "missing: 0003_add_note_length.sql")


def test_a_newer_database(cluster: Cluster, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    url = cluster.installable()
    with monkeypatch.context() as newer:
        newer.setattr(install, "__version__", "10.0.0")
        upgrade(url, sql=tree.root)
    with pytest.raises(VersionMismatch, match=r"belongs to ragdb 10\.0\.0, this is .*backup"):
        upgrade(url, sql=tree.root)


def test_a_migration_from_the_future(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    tree.remove("migrations/0003_add_note_length.sql")
    tree.record()
    with pytest.raises(VersionMismatch, match="newer ragdb"):
        upgrade(url, sql=tree.root)


@pytest.mark.parametrize(
    ("older", "newer"), [("0.9.0", "0.10.0"), ("0.10.0rc1", "0.10.0"), ("0.10.0", "0.10.1rc1")]
)
def test_an_older_database_is_upgraded(
    cluster: Cluster, tree: Tree, monkeypatch: pytest.MonkeyPatch, older: str, newer: str
) -> None:
    url = cluster.installable()
    monkeypatch.setattr(install, "__version__", older)
    upgrade(url, sql=tree.root)
    monkeypatch.setattr(install, "__version__", newer)
    report = upgrade(url, sql=tree.root)
    assert (report.previous, report.version) == (older, newer)
    assert cluster.ask(url, "select version from ragdb.version()") == [(newer,)]


def test_a_database_with_the_c_locale(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login()
    options = "template template0 encoding 'UTF8' locale_provider libc locale 'C'"
    url = cluster.url(cluster.database(login, options=options), login)
    refuse(url, tree, r"has the C locale.*create database ragdb template template0")
    assert cluster.left_behind(url) == []


def test_a_database_in_another_encoding(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login()
    options = "template template0 encoding 'SQL_ASCII' locale_provider libc locale 'C'"
    url = cluster.url(cluster.database(login, options=options), login)
    refuse(url, tree, "is encoded in SQL_ASCII, not UTF8")


def test_a_database_without_vector(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login()
    name = cluster.database(login, vector=False)
    url = cluster.url(name, login)
    statement = "create extension vector with schema public;"
    refuse(url, tree, statement)
    assert cluster.left_behind(url) == []

    cluster.execute(statement, name)
    assert upgrade(url, sql=tree.root).changed


def test_vector_where_it_cannot_be_used(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login()
    name = cluster.database(login, vector=False)
    url = cluster.url(name, login)
    cluster.execute("create schema elsewhere; create extension vector schema elsewhere", name)
    refuse(url, tree, r"alter extension vector set schema public;")
    cluster.execute("update pg_extension set extversion = '0.7.4' where extname = 'vector'", name)
    refuse(url, tree, r"has pgvector 0\.7\.4.*alter extension vector update;")


def test_a_login_that_may_not_create_roles(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login("nocreaterole")
    refuse(cluster.installable(login), tree, f"superuser: alter role {login} createrole;")


def test_a_login_that_may_not_create_schemas(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login()
    url = cluster.url(cluster.database("postgres"), login)
    refuse(url, tree, rf"alter database \w+ owner to {login};")


def test_a_schema_that_belongs_to_somebody_else(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    cluster.ask(url, "create schema ai")
    refuse(url, tree, "The schema ai exists and belongs to postgres.*database of its own")


def test_a_role_that_may_do_too_much(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    cluster.execute("create role ragdb_service login bypassrls")
    refuse(url, tree, "ragdb_service exists and may do more.*alter role ragdb_service nologin")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "functions/20_broken.sql",
            "-- a comment, with ä\n\ncreate function ragdb.broken() returns int4\n"
            "  language sql as $$ select nothing $$;",
            r'functions/20_broken.sql:4: column "nothing" does not exist',
        ),
        (
            "functions/20_broken.sql",
            "create function ragdb.broken() returns int4 language plpgsql as $$\n"
            "begin\n  retrun 1;\nend;\n$$;",
            r"functions/20_broken.sql:3: syntax error",
        ),
        (
            "migrations/0004_break.sql",
            "select 1;\ncreate table ragdb_data.note ();",
            r'migrations/0004_break.sql:2: relation "note" already exists',
        ),
        ("seed/20_broken.sql", "select 1;\ncommit;", "seed/20_broken.sql ends the transaction"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    cluster: Cluster, tree: Tree, name: str, text: str, message: str
) -> None:
    tree.write(name, text)
    tree.record()
    refuse(cluster.installable(), tree, message)


def test_a_changed_result_is_explained(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    text = "create or replace function ragdb.nearest() returns int4 language sql as 'select 1';"
    tree.write("functions/10_notes.sql", f"select 1;\n{text}")
    refuse(url, tree, r"10_notes.sql:2: cannot change return type.*`drop function if exists` at")
    tree.write("functions/10_notes.sql", f"drop function if exists ragdb.nearest();\n{text}")
    assert upgrade(url, sql=tree.root).dropped == ("routine ragdb.notes()",)


def test_a_migration_outside_the_transaction(cluster: Cluster, tree: Tree) -> None:
    tree.write("migrations/0004_outside.sql", "-- transactional: false\nselect 1;")
    tree.record()
    refuse(cluster.installable(), tree, "0004_outside.sql asks to run outside a transaction")


def test_a_migration_that_depends_on_nothing_known(cluster: Cluster, tree: Tree) -> None:
    tree.write("migrations/0004_depends.sql", "-- depends: 0009_missing\nselect 1;")
    tree.record()
    refuse(cluster.installable(), tree, "cannot be ordered")
