"""Fresh install == upgraded install == second run."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Cluster, Tree

from ragdb.install import upgrade


def older(tree: Tree, root: Path, migrations: int) -> Tree:
    """The small tree as an older release had it: fewer migrations, other functions and views."""
    old = Tree.small(root)
    for path in sorted((old.root / "migrations").glob("*.sql"))[migrations:]:
        path.unlink()
    old.record()
    old.write(
        "functions/10_notes.sql",
        """
        create function ragdb.forgotten() returns int4 language sql as 'select 1';
        create or replace function ragdb.notes() returns setof ragdb_data.note
          language sql stable as $$ select * from ragdb_data.note limit 1 $$;
        """,
    )
    old.write("views/10_notes.sql", "create or replace view ragdb.old as select 1 as one;")
    old.remove("triggers/10_note.sql")
    if migrations < 2:
        for folder in ("functions", "policies", "seed", "privileges"):
            for path in (old.root / folder).glob("*.sql"):
                path.unlink()
    return old


@pytest.mark.parametrize("migrations", [1, 2])
def test_an_upgraded_database_equals_a_fresh_one(
    cluster: Cluster, tree: Tree, tmp_path: Path, migrations: int
) -> None:
    login = cluster.login()
    fresh, upgraded = cluster.installable(login), cluster.installable(login)
    upgrade(fresh, sql=tree.root)

    upgrade(upgraded, sql=older(tree, tmp_path / "old", migrations).root)
    assert cluster.dump(upgraded) != cluster.dump(fresh)
    report = upgrade(upgraded, sql=tree.root)

    assert len(report.migrations) == 3 - migrations
    assert cluster.dump(upgraded) == cluster.dump(fresh)
    assert cluster.ask(upgraded, "select body, length from ragdb_data.note") == [("seed", 4)]


def test_a_second_run_writes_nothing(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    first = upgrade(url, sql=tree.root)
    assert first.changed and first.pgai and first.previous is None
    before = cluster.dump(url)
    next_transaction = "select pg_snapshot_xmax(pg_current_snapshot())::text"
    counter = cluster.ask(url, next_transaction)

    second = upgrade(url, sql=tree.root)

    assert not second.changed and second.previous == first.version
    assert cluster.ask(url, next_transaction) == counter
    assert cluster.dump(url) == before


def test_running_everything_again_changes_nothing(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    upgrade(url, sql=tree.root)
    before = cluster.dump(url)

    report = upgrade(url, sql=tree.root, force=True)

    assert report.reloaded and not report.migrations and not report.dropped
    assert cluster.dump(url) == before


def test_the_shipped_tree_upgrades_from_every_migration(cluster: Cluster, tmp_path: Path) -> None:
    login = cluster.login()
    fresh = cluster.installable(login)
    upgrade(fresh)
    expected = cluster.dump(fresh)

    grown = cluster.installable(login)
    steps = Tree.real(tmp_path / "steps")
    migrations = sorted((steps.root / "migrations").glob("*.sql"))
    texts = {path.name: path.read_text() for path in migrations}
    for path in migrations[1:]:
        path.unlink()
    for path in steps.root.glob("[!m]*/*.sql"):
        if path.name != "90_version.sql":
            path.unlink()
    for name, text in texts.items():
        steps.write(f"migrations/{name}", text)
        steps.record()
        assert upgrade(grown, sql=steps.root).changed

    report = upgrade(grown)
    assert not report.migrations and not report.dropped
    assert cluster.dump(grown) == expected
    assert not upgrade(grown).changed
