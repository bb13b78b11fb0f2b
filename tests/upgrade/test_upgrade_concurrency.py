"""Upgrades beside one another, and beside the readers of a running service."""

from __future__ import annotations

import threading

import psycopg
import pytest
from harness import Cluster, Tree, finish, start_upgrade

from ragdb import freeze
from ragdb.install import InstallError, upgrade


def test_eight_first_installs_at_once_happen_once(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    results = finish([start_upgrade(url, tree.root) for _ in range(8)])

    assert [code for code, _, _ in results] == [0] * 8, results
    outcomes = [out.split()[0] for _, out, _ in results]
    assert sorted(outcomes) == ["changed"] + ["unchanged"] * 7
    assert cluster.ask(url, "select count(*) from ragdb_private._yoyo_migration") == [(3,)]


@pytest.mark.parametrize("attempt", range(2))
def test_two_databases_of_a_server_are_installed_at_once(
    cluster: Cluster, tree: Tree, attempt: int
) -> None:
    login = cluster.login()
    urls = [cluster.installable(login) for _ in range(2)]
    results = finish([start_upgrade(url, tree.root) for url in urls])

    assert [code for code, _, _ in results] == [0, 0], results
    assert cluster.dump(urls[0]) == cluster.dump(urls[1])


def test_readers_notice_nothing_of_twenty_reloads(cluster: Cluster, tree: Tree) -> None:
    """Half of them take the tables in one order, half in the other: both cross the upgrade's."""
    tree.write("migrations/0004_create_tag.sql", "create table ragdb_data.tag (org_no int4);")
    tree.write(
        "policies/20_tag.sql",
        """
        alter table ragdb_data.tag enable row level security;
        drop policy if exists tag_org on ragdb_data.tag;
        create policy tag_org on ragdb_data.tag using (org_no = (select ragdb.current_org()));
        """,
    )
    tree.record()
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    tables = "ragdb.notes() n natural join ragdb.note_lengths", "ragdb_data.tag"
    queries = [
        f"select count(*), ragdb.nearest() from {first} cross join (select from {second}) x"
        for first, second in (tables, tables[::-1])
    ]
    errors: list[str] = []
    reads = [0] * 4
    done = threading.Event()

    def read(number: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("set role ragdb_service; set ragdb.org = '0'")
            while not done.is_set():
                try:
                    rows = connection.execute(queries[number % 2].encode()).fetchall()
                    assert rows == [(0, 1.0)]
                    reads[number] += 1
                except (psycopg.Error, AssertionError) as error:
                    errors.append(repr(error))

    readers = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(4)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        upgrade(url, sql=tree.root, force=True)
    done.set()
    for reader in readers:
        reader.join()

    assert errors == []
    assert min(reads) > 0


def test_a_long_query_is_waited_for_and_not_killed(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    with cluster.superuser_at(url) as reader:
        reader.autocommit = False
        reader.execute("select * from ragdb_data.note")
        waiting: list[str] = []

        def progress(step: str) -> None:
            if step == "Waiting for running queries":
                waiting.append(step)
                reader.execute("select * from ragdb_data.note")
                if len(waiting) == 2:
                    reader.commit()

        report = upgrade(url, sql=tree.root, force=True, progress=progress)

    assert len(waiting) == 2
    assert report.reloaded


def test_patience_ends(cluster: Cluster, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freeze, "PATIENCE", 0.0)
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    with cluster.superuser_at(url) as reader:
        reader.autocommit = False
        reader.execute("select * from ragdb_data.note")
        with pytest.raises(InstallError, match=r"keep ragdb_data\.note locked.*pg_stat_activity"):
            upgrade(url, sql=tree.root, force=True)
    assert upgrade(url, sql=tree.root, force=True).reloaded
