"""An upgrade that is killed leaves the database as it was, and the next one starts clean."""

from __future__ import annotations

import signal
from itertools import count
from pathlib import Path

from harness import Cluster, Tree, finish, start_upgrade


def test_kill_9_at_every_step_of_a_first_install(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    killed = 0
    for step in count(1):
        [(code, out, err)] = finish([start_upgrade(url, tree.root, die_at=step)])
        if code == 0:
            break
        assert code == -signal.SIGKILL, err
        cluster.await_idle(url)
        assert cluster.left_behind(url) == []
        killed += 1

    assert killed >= 5
    assert out.startswith("changed")
    assert finish([start_upgrade(url, tree.root)])[0][1].startswith("unchanged")


def test_kill_9_at_every_step_of_an_upgrade(cluster: Cluster, tree: Tree, tmp_path: Path) -> None:
    login = cluster.login()
    fresh, url = cluster.installable(login), cluster.installable(login)
    old = Tree.small(tmp_path / "old")
    old.remove("migrations/0003_add_note_length.sql")
    old.record()
    for file in ("triggers/10_note.sql", "views/10_notes.sql"):
        old.remove(file)
    assert finish([start_upgrade(url, old.root), start_upgrade(fresh, tree.root)])[0][0] == 0
    before = cluster.dump(url)

    for step in count(1):
        [(code, _, err)] = finish([start_upgrade(url, tree.root, die_at=step)])
        if code == 0:
            break
        assert code == -signal.SIGKILL, err
        cluster.await_idle(url)
        assert cluster.dump(url) == before

    assert step > 3
    assert cluster.dump(url) == cluster.dump(fresh)


def test_the_server_ends_the_session_in_the_middle(cluster: Cluster, tree: Tree) -> None:
    url = cluster.installable()
    slow = "migrations/0004_sleep.sql"
    tree.write(slow, "select pg_sleep(60);")
    tree.record()
    process = start_upgrade(url, tree.root)
    while not cluster.ask(
        url,
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where query = 'select pg_sleep(60);' and state = 'active'",
    ):
        assert process.poll() is None
    [(code, _, err)] = finish([process])

    assert code == 1 and "AdminShutdown" in err
    assert cluster.left_behind(url) == []
    tree.remove(slow)
    tree.record()
    assert finish([start_upgrade(url, tree.root)])[0][1].startswith("changed")
