"""Who may install, and what the installation leaves that login able to do."""

from __future__ import annotations

import psycopg
import pytest
from harness import GROUPS, SCHEMAS, Cluster, Tree

from ragdb.install import InstallError, check, upgrade

OWNERS = """
select distinct pg_get_userbyid(owner)::text from (
  select relowner, relnamespace from pg_class
  union all select proowner, pronamespace from pg_proc
  union all select typowner, typnamespace from pg_type
) o (owner, schema)
where schema = any ('{ragdb,ragdb_data,ragdb_private,ai}'::regnamespace[])
"""


def test_a_login_without_privileges_installs_the_shipped_tree(
    cluster: Cluster, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Tree.real(tmp_path / "sql")
    url = cluster.installable()
    assert upgrade(url, sql=shipped.root).changed
    assert not upgrade(url, sql=shipped.root).changed

    before = cluster.dump(url)
    file = shipped.root / "definers" / "90_version.sql"
    file.write_text(file.read_text().replace("Which version", "What version"))
    report = upgrade(url, sql=shipped.root)
    assert report.reloaded and not report.migrations and not report.dropped
    assert cluster.dump(url) == before

    with psycopg.connect(url, autocommit=True) as connection:
        for group in GROUPS[2:]:
            connection.execute(f"set role {group}".encode())
            assert check(connection).database == report.version
    owners = {owner for (owner,) in cluster.ask(url, OWNERS)}
    assert owners == {"ragdb_owner", "ragdb_definer"}


def test_a_superuser_owns_nothing_of_what_it_installs(cluster: Cluster, tree: Tree) -> None:
    login = cluster.login("superuser")
    url = cluster.url(cluster.database("postgres", vector=False), login)
    assert upgrade(url, sql=tree.root).changed
    assert not upgrade(url, sql=tree.root).changed
    assert {owner for (owner,) in cluster.ask(url, OWNERS)} == {"ragdb_owner", "ragdb_definer"}


def test_a_superuser_may_upgrade_what_another_login_installed(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    before = cluster.dump(url)
    tree.write("functions/20_new.sql", "select 1;")
    database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    assert upgrade(cluster.superuser_url(str(database)), sql=tree.root).reloaded
    assert cluster.dump(url) == before


def test_the_installer_has_the_rights_of_a_group_only_where_it_takes_them(
    cluster: Cluster, tree: Tree
) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    with psycopg.connect(url, autocommit=True) as connection:
        for query in ("select * from ragdb_data.note", "select ragdb.notes()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(query)
        for group in GROUPS:
            connection.execute(f"set role {group}".encode())
        connection.execute("set role ragdb_service; set ragdb.org = '1'")
        assert connection.execute("select * from ragdb.notes()").fetchall() == []


def test_rights_inherited_through_createrole_self_grant_are_taken_back(
    cluster: Cluster, tree: Tree
) -> None:
    url = cluster.installable()
    cluster.execute(f"alter role {cluster.logins[0]} set createrole_self_grant = 'set, inherit'")
    upgrade(url, sql=tree.root)
    with psycopg.connect(url) as connection:
        inherited = "select pg_has_role('ragdb_owner', 'usage'), pg_has_role('ragdb_owner', 'set')"
        assert connection.execute(inherited).fetchone() == (False, True)


def test_rights_inherited_through_somebody_else_are_refused(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    cluster.execute("create role ragdb_owner")
    cluster.execute(f"grant ragdb_owner to {cluster.logins[0]} with inherit true, set true")
    with pytest.raises(InstallError, match="inherit"):
        upgrade(url, sql=tree.root)


def test_a_second_installer_is_told_which_membership_it_needs(cluster: Cluster, tree: Tree) -> None:
    upgrade(cluster.installable(), sql=tree.root)
    other = cluster.installable()
    with pytest.raises(InstallError, match="no member of it") as refused:
        upgrade(other, sql=tree.root)
    cluster.execute(str(refused.value).partition("superuser: ")[2])
    assert upgrade(other, sql=tree.root).changed
    assert not upgrade(other, sql=tree.root).changed


def test_nobody_else_may_do_anything(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    stranger = cluster.login("")
    database = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with psycopg.connect(cluster.url(database, stranger), autocommit=True) as connection:
        for schema in SCHEMAS:
            assert connection.execute(
                "select has_schema_privilege(%s, 'usage')", (schema,)
            ).fetchone() == (False,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create temporary table t ()")
    callable_by_all = """
        select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace = any ('{ragdb,ragdb_private,ai}'::regnamespace[])
           and has_function_privilege('ragdb_worker', p.oid, 'execute')
    """
    assert cluster.ask(url, callable_by_all) == [("ragdb.version()",)]


@pytest.mark.parametrize("how", ["environment", "keywords", "service"])
def test_any_connection_string_will_do(
    cluster: Cluster, tree: Tree, tmp_path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(cluster.installable())
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_read_only=on -c statement_timeout=9")
    match how:
        case "environment":
            for key, name in (
                ("host", "PGHOST"),
                ("port", "PGPORT"),
                ("user", "PGUSER"),
                ("password", "PGPASSWORD"),
                ("dbname", "PGDATABASE"),
            ):
                if key in parts:
                    monkeypatch.setenv(name, str(parts[key]))
            url = ""
        case "keywords":
            url = psycopg.conninfo.make_conninfo("", **parts)
        case _:
            lines = [f"{key}={value}" for key, value in parts.items()]
            (tmp_path / "services").write_text("\n".join(["[rag]", *lines, ""]))
            monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
            url = "service=rag"
    assert upgrade(url, sql=tree.root).changed
    assert not upgrade(url, sql=tree.root).changed
