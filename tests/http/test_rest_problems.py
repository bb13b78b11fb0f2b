"""Everything that can be wrong with a request, and the one shape it is reported in."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
import pytest
from rest import Service, Tenant, problem

SEARCH = "/api/v1/search"
DOCUMENTS = "/api/v1/documents"


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (SEARCH, {"query": ""}, "empty_query"),
        (SEARCH, {"query": " \n"}, "empty_query"),
        (SEARCH, {"query": "x" * 10_001}, "query_too_long"),
        (SEARCH, {"query": "a\0b"}, "nul_character"),
        (SEARCH, {"query": "a", "filters": {"title": "a\0b"}}, "nul_character"),
        (SEARCH, {"query": "a", "limit": 0}, "invalid_limit"),
        (SEARCH, {"query": "a", "limit": 1001}, "invalid_limit"),
        (SEARCH, {"query": "a", "offset": -1}, "invalid_limit"),
        (SEARCH, {"query": "a", "mode": "psychic"}, "unknown_search_mode"),
        (SEARCH, {"query": "a", "language": "klingon"}, "unknown_language"),
        (SEARCH, {"query": "a", "filters": {"colour": "red"}}, "unknown_filter_key"),
        (SEARCH, {"query": "a", "filters": {"lang": {"near": "en"}}}, "unknown_filter_operator"),
        (SEARCH, {"query": "a", "filters": {"date": "soon"}}, "invalid_filter"),
        ("/api/v1/ask", {"question": ""}, "empty_query"),
        (DOCUMENTS, {"content": " "}, "empty_content"),
        (DOCUMENTS, {"content": "a\0b"}, "nul_character"),
        (DOCUMENTS, {"content": "a", "metadata": {"k": "a\0b"}}, "nul_character"),
        (DOCUMENTS, {"content": "a", "visibility": "all"}, "unknown_visibility"),
        (DOCUMENTS, {"content": "a", "language": "klingon"}, "unknown_language"),
        (DOCUMENTS, {"content": "a", "date": "soon"}, "invalid_value"),
        (DOCUMENTS, {"content": "a", "title": "x" * 2001}, "invalid_document"),
        (f"{DOCUMENTS}/batch", {"documents": [{"content": "a\0b"}]}, "nul_character"),
    ],
)
def test_the_database_names_what_is_wrong(
    acme: Tenant, path: str, body: dict[str, object], code: str
) -> None:
    problem(acme.http.post(path, json=body), 422, code)


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "body", "missing required field `query`"),
        ({"query": "a", "colour": "red"}, "body", "unknown field `colour`"),
        ({"query": 5}, "query", "Expected `str`, got `int`"),
        ({"query": "a", "limit": 2**31}, "limit", "<= 2147483647"),
        ({"query": "a", "limit": True}, "limit", "got `bool`"),
        ({"query": "a", "filters": [1]}, "filters", "got `array`"),
        ([], "body", "got `array`"),
        (None, "body", "got `null`"),
    ],
)
def test_a_body_of_another_form_is_named(
    acme: Tenant, body: object, field: str, message: str
) -> None:
    content = json.dumps(body)
    found = problem(acme.http.post(SEARCH, content=content), 422, "invalid_request")
    [error] = found["errors"]
    assert error["field"] == field
    assert message in error["message"]


@pytest.mark.parametrize(
    "body", [b"{", b'{"query": "\xff"}', b"[" * 5000, b'{"query": NaN}', b'{"query": "\\ud800"}']
)
def test_a_body_that_is_not_json(acme: Tenant, body: bytes) -> None:
    problem(acme.http.post(SEARCH, content=body), 400, "invalid_json")


def test_no_body_at_all(acme: Tenant) -> None:
    found = problem(acme.http.post(SEARCH), 422, "invalid_request")
    assert found["errors"] == [{"field": "body", "message": "It is missing"}]


def test_a_body_that_says_it_is_not_json(acme: Tenant) -> None:
    problem(acme.http.post(SEARCH, data={"query": "keys"}), 415, "unsupported_media_type")
    response = acme.http.post(
        SEARCH,
        content=b'{"query": "keys"}',
        headers={"Content-Type": "Application/JSON; charset=utf-8"},
    )
    assert response.status_code == 200


def test_filters_nested_too_deeply(acme: Tenant) -> None:
    filters: dict[str, object] = {"lang": "en"}
    for _ in range(900):
        filters = {"not": filters}
    response = acme.http.post(SEARCH, json={"query": "a", "filters": filters})
    problem(response, 422, "invalid_filter")


@pytest.mark.parametrize(
    ("path", "size"),
    [(SEARCH, 2_000_000), ("/api/v1/ask", 2_000_000), (DOCUMENTS, 33_000_000)],
)
def test_a_body_that_is_too_large(acme: Tenant, path: str, size: int) -> None:
    body = b'{"query": "' + b"a" * size + b'"}'
    problem(acme.http.post(path, content=body), 413, "body_too_large")

    def pieces() -> object:  # without a Content-Length
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    problem(acme.http.post(path, content=pieces()), 413, "body_too_large")


def test_what_does_not_exist(acme: Tenant, rest: Service) -> None:
    problem(acme.http.get("/api/v1/nothing"), 404, "not_found")
    problem(acme.http.get("/static/%2e%2e/%2e%2e/db.py"), 404, "not_found")
    problem(acme.http.get("/static/"), 404, "not_found")
    problem(acme.http.get("/schema/nothing"), 404, "not_found")
    problem(acme.http.get("/%ff%00"), 404, "not_found")
    elsewhere = acme.http.post(SEARCH, json={"query": "a", "workspace": "x"})
    problem(elsewhere, 404, "workspace_not_found")
    problem(acme.http.get(f"{DOCUMENTS}/{uuid4()}"), 404, "document_not_found")

    response = acme.http.patch(DOCUMENTS)
    problem(response, 405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "OPTIONS", "POST"}
    with rest.client() as stranger:
        problem(stranger.get("/nothing"), 404, "not_found")


@pytest.mark.parametrize("given", ["abc-123", "0af7651916cd43dd.8448_EB:1"])
def test_a_request_id_is_kept(acme: Tenant, rest: Service, given: str) -> None:
    for path, status in (("/api/v1/documents", 200), ("/nothing", 404)):
        response = acme.http.get(path, headers={"X-Request-ID": given})
        assert (response.status_code, response.headers["X-Request-ID"]) == (status, given)


@pytest.mark.parametrize("given", ["", "a b", 'a"b', "x" * 129, "ü".encode()])
def test_another_request_id_is_replaced(acme: Tenant, given: str | bytes) -> None:
    response = acme.http.get("/api/v1/documents", headers=[("X-Request-ID", given)])
    assert len(response.headers["X-Request-ID"]) == 32


def test_every_response_is_guarded(acme: Tenant) -> None:
    def check(response: httpx.Response) -> None:
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Server"] == "ragdb"
        assert "Access-Control-Allow-Origin" not in headers

    origin = {"Origin": "https://elsewhere.test"}
    check(acme.http.get("/api/v1/documents", headers=origin))
    check(acme.http.get("/nothing", headers=origin))
    check(acme.http.options("/api/v1/documents", headers=origin))
    check(acme.http.post(SEARCH, content=b"{", headers=origin))


def test_a_request_leaves_one_line_without_secrets(acme: Tenant, rest: Service) -> None:
    response = acme.http.post(f"{SEARCH}?token=hunter2", json={"query": "my salary"})
    [line] = rest.log(response.headers["X-Request-ID"])
    assert line.pop("duration_ms") > 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info", "logger": "ragdb.http.envelope", "event": "request",
        "request_id": response.headers["X-Request-ID"],
        "method": "POST", "path": SEARCH, "status": 200,
    }  # fmt: skip
    for word in (acme.key, "salary", "hunter2"):
        assert word not in rest.stderr.read_text()
