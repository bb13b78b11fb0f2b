"""What a service learns of the schema before it serves, with no more rights than it has."""

from __future__ import annotations

import psycopg
import pytest
from harness import Cluster, Tree

from ragdb import install
from ragdb.install import check, upgrade


def test_check_as_the_service(
    cluster: Cluster, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "sql_root", lambda: tree.root)
    url = cluster.installable()
    service = cluster.login("")
    database = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with psycopg.connect(cluster.url(database, service), autocommit=True) as connection:
        missing = check(connection)
        assert (missing.state, missing.database, missing.ok) == ("missing", None, False)
        assert "ragdb init" in missing.message

        upgrade(url)
        cluster.execute(f"grant ragdb_service to {service}")
        assert check(connection).ok

        monkeypatch.setattr(install, "__version__", "0.0.1")
        assert check(connection).state == "newer"
        assert "Install the newer ragdb" in check(connection).message
        monkeypatch.setattr(install, "__version__", "99.0.0")
        assert check(connection).state == "outdated"
        assert "ragdb init" in check(connection).message
