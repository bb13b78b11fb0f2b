"""Rotating the key of secrets: all of them are sealed anew, and the old key is worth nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from runner import Ragdb
from services import Records, serving
from sourcing import RECORD_FIELDS, add, reading, record, refresh
from workers import until, working

from ragdb.embedded import Server

Row = tuple[Any, ...]


class Sealed:
    """An installation of two organizations, each with a source that has a secret."""

    def __init__(self, ragdb: Ragdb) -> None:
        self.ragdb, self.file = ragdb, ragdb.home / "secret.key"
        self.members: list[Ragdb] = []
        for slug in ("one", "two"):
            ragdb.text("org", "create", slug, "--email", f"admin@{slug}.test")
            key = ragdb.text("key", "create", "test", "--org", slug).strip()
            self.members.append(ragdb.having(RAGDB_API_KEY=key))

    def ask(self, query: str, *values: object) -> list[Row]:
        url = make_conninfo(Server.default(self.ragdb.home).superuser_url(), dbname="ragdb")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def secrets(self) -> dict[Row, bytes]:
        query = "select org_no, source_no, secrets from ragdb_data.source_setup where has_secrets"
        return {(org, source): bytes(secrets) for org, source, secrets in self.ask(query)}

    def keys(self) -> list[str]:
        return self.file.read_text().split()


@pytest.fixture
def sealed(empty: Ragdb) -> Iterator[Sealed]:
    empty.text("init")
    yield Sealed(empty)


def test_all_secrets_are_sealed_anew(sealed: Sealed, tmp_path: Path) -> None:
    one, two = sealed.members
    ragdb = sealed.ragdb
    service = Records([record(n) for n in range(3)], sign={"Authorization": "Bearer b3arer"})
    with serving(service) as base:
        config: dict[str, Any] = {
            "url": f"{base}/records", "items": "data.items", "fields": RECORD_FIELDS,
            "auth": {"type": "bearer"},
        }  # fmt: skip
        for member in (one, two):
            add(member, "ships", "api", config, token="b3arer")
        add(two, "own", "api", config, "--visibility", "private", token="b3arer")
        tables = tmp_path / "tables.json"
        tables.write_text(json.dumps([{"table": "t", "id": "id", "title": "x"}]))
        one.text("servicedesk", "add", "desk", "postgresql", "--tables", tables,
                 "--connection", "-", input=b"postgresql://a:b@127.0.0.1/c")  # fmt: skip
        before, old = sealed.secrets(), sealed.keys()
        assert len(before) == 4 and len(old) == 1

        with reading(ragdb, tmp_path / "log"):
            assert refresh(one, "ships")["added"] == 3
            made = ragdb.json("source", "rotate-key")
            assert not made["is_finished"] and Path(made["file"]) == sealed.file
            assert [job["organization"] for job in made["jobs"]] == ["default", "one", "two"]
            new = sealed.keys()[0]
            assert sealed.keys() == [new, *old]
            # The worker was there before the new key, and takes it up.
            done = ragdb.json("source", "rotate-key", "--finish")
            assert done["is_finished"] and sealed.keys() == [new]
            assert sealed.file.stat().st_mode & 0o777 == 0o600
            after = sealed.secrets()
            assert after.keys() == before.keys()
            assert all(after[place] != secrets for place, secrets in before.items())
            for member in (one, two):
                assert refresh(member, "ships")["seen"] == 3
            assert refresh(two, "own")["seen"] == 3

            # Whoever has kept what was sealed before has nothing.
            for (org, source), secrets in before.items():
                sealed.ask("update ragdb_data.source_setup set secrets = %s where org_no = %s"
                           " and source_no = %s", secrets, org, source)  # fmt: skip
            assert refresh(one, "ships", code=1)["error"] == "secrets_unreadable"
            refused = ragdb.json("source", "rotate-key", "--finish", code=1)
            assert not refused["is_finished"] and sealed.keys() == [new]
            assert {job["organization"]: job["error"] for job in refused["jobs"]} == {
                "default": None, "one": "secrets_unreadable", "two": "secrets_unreadable",
            }  # fmt: skip
            # Given anew, they are read again.
            add(one, "ships", "api", config, token="b3arer")
            assert refresh(one, "ships")["seen"] == 3


def test_old_keys_stay_while_something_needs_them(sealed: Sealed, tmp_path: Path) -> None:
    """Rotated twice while no worker runs, the key has three; then one worker does it all."""
    one, two = sealed.members
    service = Records([record(1)], sign={"Authorization": "Bearer b3arer"})
    with serving(service) as base:
        config = {
            "url": f"{base}/records", "items": "data.items", "fields": RECORD_FIELDS,
            "auth": {"type": "bearer"},
        }  # fmt: skip
        add(one, "ships", "api", config, token="b3arer")
        sealed.ragdb.text("source", "rotate-key")
        add(two, "ships", "api", config, token="b3arer")
        sealed.ragdb.text("source", "rotate-key")
        assert len(sealed.keys()) == 3
        jobs = sealed.ask("select id from ragdb_data.job where kind = 'reseal_secrets'")
        assert len(jobs) == 6
        with reading(sealed.ragdb, tmp_path / "log"):
            until(lambda: sealed.ask("select from ragdb_data.job where kind = 'reseal_secrets'"
                                     " and status <> 'succeeded'") == [])  # fmt: skip
            said = sealed.ragdb.text("source", "rotate-key", "--finish")
            assert "has one key" in said and len(sealed.keys()) == 1
            for member in (one, two):
                assert refresh(member, "ships")["seen"] == 1


def test_a_key_that_is_kept_elsewhere(sealed: Sealed, tmp_path: Path) -> None:
    """Is nobody's to rotate here; and of two, the first one seals."""
    one = sealed.members[0]
    old = sealed.keys()[0]
    new = "A" * 43 + "="
    elsewhere = sealed.ragdb.having(RAGDB_SECRET_KEY=old)
    assert elsewhere.problem("source", "rotate-key") == (1, "secret_key_elsewhere")
    assert sealed.keys() == [old]
    add(one, "ships", "api", {"url": "http://127.0.0.1:1", "fields": RECORD_FIELDS,
                              "auth": {"type": "bearer"}}, token="b3arer")  # fmt: skip
    before = sealed.secrets()
    with working(sealed.ragdb.having(RAGDB_SECRET_KEY=f"{new},{old}"), tmp_path / "log"):
        job = one.text("jobs", "enqueue", "reseal_secrets").strip()
        assert one.json("jobs", "watch", job)["status"] == "succeeded"
    assert sealed.secrets() != before
    with working(sealed.ragdb.having(RAGDB_SECRET_KEY=new), tmp_path / "log"):
        job = one.text("jobs", "enqueue", "reseal_secrets").strip()
        assert one.json("jobs", "watch", job)["status"] == "succeeded"
    with working(sealed.ragdb, tmp_path / "log"):
        job = one.text("jobs", "enqueue", "reseal_secrets").strip()
        failed = one.json("jobs", "watch", job, code=1)
        assert (failed["error"], failed["attempt"]) == ("secrets_unreadable", 1)
