"""The JSON that scripts rely on, and what people read instead."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from runner import Ragdb

RESULT = {
    "rank", "title", "snippet", "score", "url", "heading_path", "page", "document_id", "chunk_id",
    "char_start", "char_end", "lexical_score", "lexical_rank", "vector_score", "vector_rank",
    "content",
}  # fmt: skip


@pytest.fixture
def filled(member: Ragdb, docs: Path) -> Ragdb:
    member.text("add", docs)
    return member


def test_search(filled: Ragdb) -> None:
    found = filled.json("search", "rotate keys")
    assert set(found) == {"query", "took_ms", "results"}
    assert found["query"] == "rotate keys" and found["took_ms"] > 0
    first = found["results"][0]
    assert set(first) >= RESULT
    assert first["rank"] == 1 and "**rotate**" in first["snippet"]
    assert len(filled.json("search", "rotate keys", "-n", "2")["results"]) == 2
    page = filled.json("search", "rotate keys", "-n", "1", "--offset", "1")["results"]
    assert [row["rank"] for row in page] == [2] or page[0]["chunk_id"] != first["chunk_id"]
    assert (
        filled.json("search", "rotate", "--mode", "keyword")["results"][0]["vector_score"] is None
    )

    text = filled.text("search", "rotate keys")
    assert "rotate" in text and "Keys" in text and "\x1b" not in text


def test_explain(filled: Ragdb) -> None:
    explained = filled.json("search", "rotate keys", "--explain")
    assert explained["trace"]["chunks_in_scope"] == 3
    assert [row["rank"] for row in explained["results"]] == [1, 2, 3]
    assert explained["results"][0]["confidence"] > 0.5
    told = filled.text("search", "rotate zebras", "--explain")
    assert "confidence" in told
    assert "has rotate" in told
    assert "lacks zebras" in told
    told = filled.run("search", '"purple zebras"')
    assert "searched for as words" in told.stderr
    assert filled.problem("search", "x", "--explain", "--offset", "1") == (2, "usage")


def test_ask(filled: Ragdb) -> None:
    answer = filled.json("ask", "How often do API keys rotate?")
    assert set(answer) >= {
        "answer", "confidence", "citations", "found", "model", "fallback_used", "answer_id",
        "took_ms",
    }  # fmt: skip
    assert answer["found"] and "90 days" in answer["answer"]
    citation = answer["citations"][0]
    assert set(citation) >= {"document_id", "title", "heading", "quote", "start", "end"}
    text = filled.json("doc", "show", citation["document_id"])["content"]
    assert text[citation["start"] : citation["end"]] == citation["quote"]

    shown = filled.text("ask", "How often do API keys rotate?")
    assert "90 days" in shown and "[1]" in shown and citation["document_id"] in shown


def test_ask_when_nothing_is_known(member: Ragdb) -> None:
    answer = member.json("ask", "Who won?")
    assert (answer["found"], answer["citations"]) == (False, [])


def test_ask_with_a_model_that_cannot_be_reached(filled: Ragdb) -> None:
    broken = filled.having(RAGDB_LLM_URL="http://127.0.0.1:9", RAGDB_LLM_MODEL="some-model")
    answer = broken.json("ask", "How often do API keys rotate?")
    assert answer["fallback_used"] and "90 days" in answer["answer"]


class Model(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that answers every question alike."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = {"role": "assistant", "content": "Every 90 days the API keys rotate [1]."}
        body = json.dumps({"choices": [{"message": said}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_ask_with_a_model(filled: Ragdb) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        asking = filled.having(RAGDB_LLM_URL=url, RAGDB_LLM_MODEL="some-model")
        answer = asking.json("ask", "How often do API keys rotate?")
    finally:
        server.shutdown()
        server.server_close()
    assert answer["answer"] == "Every 90 days the API keys rotate [1]."
    assert (answer["model"], answer["fallback_used"]) == ("some-model", False)
    assert "90 days" in answer["citations"][0]["quote"]


def test_documents(filled: Ragdb) -> None:
    listed = filled.json("doc", "list")["documents"]
    assert len(listed) == 3
    page = filled.json("doc", "list", "-n", "1", "--after", listed[0]["cursor"])["documents"]
    assert page == listed[1:2]
    assert filled.text("doc", "list").count("\n") == 4

    document = filled.json("doc", "show", listed[0]["document_id"])
    assert document["content"]
    shown = filled.text("doc", "show", listed[0]["document_id"])
    assert document["content"] in shown and document["external_id"] in shown

    identifiers = [document["document_id"] for document in listed]
    assert filled.json("doc", "rm", identifiers[0]) == {"deleted": 1}
    assert filled.problem("doc", "rm", identifiers[0]) == (4, "document_not_found")
    assert filled.json("doc", "rm", *identifiers) == {"deleted": 2}
    assert filled.json("doc", "list") == {"documents": []}
    assert filled.json("maintain")["tasks"]


def test_people_keys_and_workspaces(member: Ragdb) -> None:
    added = member.json("user", "add", "bo@example.org", "--role", "editor", "--name", "Bo")
    assert (added["email"], added["role"]) == ("bo@example.org", "editor")
    assert [row["role"] for row in member.json("user", "list")["users"]] == ["admin", "editor"]
    assert member.problem("user", "add", "x@example.org", "--role", "king") == (1, "unknown_role")

    made = member.json("workspace", "create", "hr", "--closed", "--language", "de")
    assert made["slug"] == "hr"
    assert member.problem("workspace", "create", "hr") == (1, "workspace_exists")
    member.text("workspace", "add-member", "hr", "bo@example.org")
    slugs = [row["slug"] for row in member.json("workspace", "list")["workspaces"]]
    assert sorted(slugs) == ["default", "hr"]

    key = member.json("key", "create", "bo's", "--user", "bo@example.org", "--expires", "90d")
    assert set(key) == {"key_id", "key", "prefix"} and key["key"].startswith("rdb_")
    limited = member.text("key", "create", "ci", "--permission", "rag:read", "--workspace", "hr")
    keys = member.json("key", "list")["keys"]
    assert {row["name"] for row in keys} == {"test", "bo's", "ci"}
    assert key["key"] not in str(keys)

    bo = member.having(RAGDB_API_KEY=key["key"])
    assert bo.json("doc", "list") == {"documents": []}
    assert bo.problem("user", "add", "x@example.org") == (5, "permission_denied")
    ci = member.having(RAGDB_API_KEY=limited.strip())
    assert [row["slug"] for row in ci.json("workspace", "list")["workspaces"]] == ["hr"]
    assert ci.problem("add", "-", input=b"text") == (5, "permission_denied")

    assert member.json("key", "revoke", key["key_id"])["revoked"] is True
    assert bo.problem("doc", "list") == (5, "invalid_api_key")


def test_operators(installation: Ragdb, member: Ragdb) -> None:
    slug = member.environ["TEST_ORG"]
    rows = {row["slug"]: row for row in installation.json("org", "list")["organizations"]}
    assert rows[slug]["members"] == 1
    assert installation.problem("org", "create", slug, "--email", "x@y.z") == (
        1, "organization_exists",
    )  # fmt: skip
    assert installation.problem("key", "create", "x", "--org", "nobody") == (
        4, "organization_not_found",
    )  # fmt: skip
    installation.text("user", "add", "eve@example.org", "--org", slug)
    assert len(installation.json("user", "list", "--org", slug)["users"]) == 2
    assert installation.json("key", "list", "--org", slug)["keys"]


def test_analyst(installation: Ragdb, filled: Ragdb) -> None:
    slug = filled.environ["TEST_ORG"]
    name = f"anna_{slug.replace('-', '_')}"
    made = installation.json("analyst", "create", name, "--org", slug)
    assert (made["login"], made["organization"]) == (name, slug)
    with psycopg.connect(made["url"]) as connection:
        rows = connection.execute(
            "select title, score, snippet from ragdb.search('rotate keys')"
        ).fetchall()
        assert len(rows) == 3
    listening = installation.having(RAGDB_LISTEN_ADDRESSES="localhost, 10.0.0.5", RAGDB_PORT="6543")
    other = listening.json("analyst", "create", f"{name}_tcp", "--org", slug)["url"]
    assert other.endswith("@localhost:6543/ragdb")
    assert installation.problem("analyst", "create", name, "--org", slug) == (1, "login_exists")
    assert installation.problem("analyst", "create", "No Name", "--org", slug) == (
        1, "invalid_login",
    )  # fmt: skip
    assert installation.problem("analyst", "create", "new", "--org", "x") == (
        4, "organization_not_found",
    )  # fmt: skip


def test_psql(installation: Ragdb) -> None:
    assert installation.text("psql", "-XAtc", "select 6 * 7") == "42\n"
    query = "select title, score, snippet from ragdb.search('anything')"
    assert "title" in installation.text("psql", "-c", query)
    done = installation.run("psql", "-XAtc", "delete from ragdb.documents")
    assert done.returncode == 1 and "ERROR" in done.stderr
    login = installation.text("psql", "-XAt", input=b"select session_user;")
    assert login == "ragdb_sql_default\n"


def test_doctor(installation: Ragdb) -> None:
    report = installation.json("doctor")
    assert report["healthy"] is True
    states = {check["check"]: check["state"] for check in report["checks"]}
    assert set(states) >= {
        "ragdb", "home", "credentials", "server", "authentication", "disk", "database", "login",
        "postgresql", "schema", "extension", "roles", "isolation", "embedding", "key", "model",
    } - {"database"}  # fmt: skip
    assert set(states.values()) <= {"ok", "warn"}

    (installation.home / "credentials").chmod(0o644)
    try:
        done = installation.run("doctor")
        assert done.returncode == 1
        assert "fail  credentials" in done.stdout
    finally:
        (installation.home / "credentials").chmod(0o600)


def test_config_shows_sources_and_no_secrets(installation: Ragdb) -> None:
    configured = installation.having(RAGDB_LLM_KEY="sk-secret", RAGDB_HTTP_PORT="8123")
    rows = {row["setting"]: row for row in configured.json("config", "show")["settings"]}
    assert rows["RAGDB_HTTP_PORT"]["value"] == 8123
    assert rows["RAGDB_HTTP_PORT"]["source"] == "RAGDB_HTTP_PORT"
    assert rows["RAGDB_DATABASE_URL"]["source"] == f"{installation.home}/credentials"
    text = configured.text("config", "show")
    kept = (installation.home / "credentials").read_text()
    secrets = [line.partition("=")[2] for line in kept.splitlines()]
    assert not any(secret in text for secret in [*secrets, "sk-secret"])
    assert "ragdb_app" in text


def test_version(installation: Ragdb) -> None:
    shown = installation.json("version")
    assert shown["schema"] == shown["ragdb"]
    assert shown["postgresql"] and shown["pgvector"] and shown["python"]


def test_search_options(filled: Ragdb) -> None:
    every = filled.json("search", "rotate keys")["results"]
    assert filled.json("search", '+"no such phrase" keys')["results"] == []
    chosen = filled.json(
        "search", "rotate keys", "--also", "change keys", "--also", "key policy",
        "--diversity", "0.2", "--per-document", "1", "--distinct", "--min-score", "0.01",
        "--boosts", '{"recency": {}}', "--neighbours", "1", "--section", "--correct",
    )["results"]  # fmt: skip
    assert set(chosen[0]) >= RESULT
    assert len({row["document_id"] for row in chosen}) == len(chosen)
    problem = filled.problem("search", "x", "--boosts", '{"age": 1}')
    assert problem == (1, "invalid_boosts")
    assert filled.problem("search", "x", "--chunk", "1") == (2, "usage")

    last = every[-1]
    told = filled.text(
        "search", "rotate keys", "-n", "1", "--explain", "--chunk", str(last["chunk_id"])
    )
    assert f"chunk {last['chunk_id']}:" in told and "score higher" in told
    assert "vector leg: exact" in told and "rotate" in told


def test_did_you_mean(filled: Ragdb) -> None:
    found = filled.json("search", "rotaet", "--mode", "keyword")
    assert (found["results"], found["corrected_query"]) == ([], "rotate")
    assert filled.json("search", "rotaet", "--mode", "keyword", "--correct")["results"]


def test_synonyms(filled: Ragdb) -> None:
    assert filled.json("search", "revolve", "--mode", "keyword")["results"] == []
    assert filled.json("synonym", "put", "revolve", "rotate", "--weight", "0.5") == {"stored": 2}
    assert filled.json("search", "revolve", "--mode", "keyword")["results"]
    pairs = filled.json("synonym", "list")["synonyms"]
    assert {(pair["word"], pair["synonym"], pair["weight"]) for pair in pairs} == {
        ("revolve", "rotate", 0.5), ("rotate", "revolve", 0.5),
    }  # fmt: skip
    assert "Deleted 2 pairs." in filled.text("synonym", "rm", "revolve")


def test_reranking_that_fails_says_so(filled: Ragdb) -> None:
    found = filled.json("search", "rotate keys", "--rerank")
    assert found["reranked"] is False and "RAGDB_RERANK_URL" in found["rerank_reason"]
    assert [row["rank"] for row in found["results"]] == [1, 2, 3]
    answer = filled.json("ask", "How often do API keys rotate?", "--rerank")
    assert answer["found"] and "RAGDB_RERANK_URL" in answer["rerank_reason"]
