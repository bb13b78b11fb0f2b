"""Bad input gets an exit code, a sentence and the machine name of the problem."""

from __future__ import annotations

import time
import uuid

from runner import Ragdb


def test_queries(installation: Ragdb) -> None:
    for command in ("search", "ask"):
        assert installation.problem(command, "") == (1, "empty_query")
        assert installation.problem(command, " \n ") == (1, "empty_query")
        assert installation.problem(command, "-", input=b"x " * 1_000_000) == (1, "query_too_long")
        assert installation.problem(command, "-", input=b"NUL \0 inside") == (1, "nul_character")
        assert installation.problem(command, "-", input=b"caf\xe9") == (1, "not_utf8")
        assert installation.problem(command, b"caf\xe9") == (1, "not_utf8")


def test_search_arguments(installation: Ragdb) -> None:
    for options, code in (
        (["--filter", '{"colour": "red"}'], "unknown_filter_key"),
        (["--filter", '{"lang": {"like": "e%"}}'], "unknown_filter_operator"),
        (["--filter", '{"date": "someday"}'], "invalid_filter"),
        (["--limit", "0"], "invalid_limit"),
        (["--language", "klingon"], "unknown_language"),
    ):
        assert installation.problem("search", "x", *options) == (1, code)
    assert installation.problem("search", "x", "--mode", "magic") == (2, "usage")
    assert installation.problem("search", "x", "--workspace", "none") == (4, "workspace_not_found")


def test_names_that_are_no_names(installation: Ragdb) -> None:
    told = installation.json("add", "-", "--source", "", input=b"Said once.", code=1)
    error = told["files"][0]["error"]
    assert error["code"] == "data_source_name_check"
    assert error["message"].startswith("The name of the data source is empty, too long")
    assert installation.problem("schedule", "put", "", "@daily", "maintain") == (
        1, "schedule_name_check",
    )  # fmt: skip


def test_unknown_ids(installation: Ragdb) -> None:
    nobody = str(uuid.uuid4())
    assert installation.problem("doc", "show", nobody) == (4, "document_not_found")
    assert installation.problem("doc", "rm", nobody) == (4, "document_not_found")
    assert installation.problem("doc", "list", "--after", nobody) == (1, "invalid_cursor")
    assert installation.problem("key", "revoke", nobody) == (4, "api_key_not_found")


def test_keys(installation: Ragdb) -> None:
    made = installation.json("key", "create", "short", "--expires", "1m")["key"]
    assert installation.having(RAGDB_API_KEY=made).json("doc", "list")
    assert installation.problem("key", "create", "past", "--expires", "2020-01-01") == (
        1, "invalid_expiry",
    )  # fmt: skip
    assert installation.having(RAGDB_API_KEY="rdb_wrong").problem("doc", "list") == (
        5, "invalid_api_key",
    )  # fmt: skip
    assert installation.problem("key", "create", "x", "--permission", "fly") == (
        1, "unknown_permission",
    )  # fmt: skip


def test_expired_key(installation: Ragdb) -> None:
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3))
    key = installation.having(
        RAGDB_API_KEY=installation.json("key", "create", "gone", "--expires", soon)["key"]
    )
    while key.run("doc", "list").returncode == 0:
        time.sleep(0.2)
    assert key.problem("doc", "list") == (5, "expired_api_key")


def test_unreachable_databases(installation: Ragdb) -> None:
    for url, outcome in (
        ("postgresql://u:p@127.0.0.1:9/x", (6, "database_unavailable")),
        ("postgresql://u:p@nowhere.invalid/x", (6, "database_unavailable")),
        ("host=/nowhere", (6, "database_unavailable")),
        ("nonsense", (2, "invalid_database_url")),
        (f"postgresql://ragdb_app:wrong@/ragdb?host={installation.home}/run",
         (6, "database_login_refused")),
        ("postgresql://u:%zzhunter2@host/x", (2, "invalid_database_url")),
    ):  # fmt: skip
        broken = installation.having(RAGDB_DATABASE_URL=url)
        assert broken.problem("search", "x") == outcome
        assert "hunter2" not in broken.run("search", "x").stderr


def test_database_without_ragdb(installation: Ragdb, superuser_url: str) -> None:
    broken = installation.having(RAGDB_DATABASE_URL=superuser_url)
    assert broken.problem("search", "x") == (3, "not_installed")
    assert broken.json("status", code=3)["database"]["state"] == "missing"
