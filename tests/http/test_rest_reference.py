"""The description of the API, and the page that shows it on a machine without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
from rest import Service

OPERATIONS = {
    "search", "explainSearch", "suggest", "listSynonyms", "putSynonyms", "deleteSynonyms", "ask",
    "putDocument", "putDocuments", "listDocuments", "getDocument", "replaceDocument",
    "deleteDocument", "recordFeedback", "whoami", "live", "ready",
    "enqueueJob", "listJobs", "getJob", "cancelJob", "retryJob", "watchJob",
    "retryJobs", "dedupe", "rebuild", "exportChunks", "importChunks",
    "uploadDocument", "ingestFiles", "getOriginal",
    "listSchedules", "putSchedule", "deleteSchedule", "listQueues",
    "listChunkProfiles", "putChunkProfile", "deleteChunkProfile",
    "listDataSources", "putDataSource", "listSourceTypes", "getDataSource", "deleteDataSource",
    "refreshDataSource", "listSyncRuns", "listSyncErrors", "listSources", "deleteSource",
    "listServiceDesks", "putServiceDesk",
}  # fmt: skip


@pytest.fixture
def description(rest: Service) -> dict[str, Any]:
    response = httpx.get(f"{rest.url}/schema/openapi.json")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/vnd.oai.openapi+json"
    return response.json()


def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in description["paths"].values()
        for operation in path.values()
    }


def test_every_operation_is_described(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    found = operations(description)
    assert found.keys() == OPERATIONS
    tags = {tag["name"] for tag in description["tags"]}
    for operation in found.values():
        assert operation["summary"]
        assert operation["description"]
        assert set(operation["tags"]) <= tags


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set[str]()
            return own.union(*map(references, node.values()))
        return set[str]().union(*map(references, node)) if isinstance(node, list) else set[str]()

    schemas = description["components"]["schemas"]
    assert references(description) <= {f"#/components/schemas/{name}" for name in schemas}


def test_problems_are_described_as_such(description: dict[str, Any]) -> None:
    for name, operation in operations(description).items():
        failures = {status: r for status, r in operation["responses"].items() if status >= "4"}
        assert failures or name == "live"
        for response in failures.values():
            content = response["content"]["application/problem+json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ProblemDocument"}


def test_fields_have_limits_and_examples(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    query = schemas["SearchRequest"]["properties"]["query"]
    assert (query["minLength"], query["maxLength"]) == (1, 10_000)
    limit = schemas["SearchRequest"]["properties"]["limit"]
    assert (limit["minimum"], limit["maximum"]) == (1, 1000)
    for name in ("SearchRequest", "AskRequest", "PutDocument", "PutDocuments"):
        for field, schema in schemas[name]["properties"].items():
            assert schema["description"]
            assert schema.get("examples") or field == "chunking"


def test_keys_are_described(description: dict[str, Any]) -> None:
    assert description["security"] == [{"bearer": []}, {"apiKey": []}]
    assert description["components"]["securitySchemes"].keys() == {"bearer", "apiKey"}


@pytest.mark.parametrize("path", ["/schema", "/schema/"])
def test_the_page_asks_nobody_else(rest: Service, path: str) -> None:
    with rest.client() as browser:
        page = browser.get(path)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "http" not in policy

        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        files = [browser.get(url) for url in loaded if not url.startswith("data:")]
        assert len(files) == 4
        for file in files:
            assert file.status_code == 200
            assert file.url.host == "127.0.0.1"
        settings = next(file for file in files if file.url.path.endswith("reference.js"))
        assert "http" not in settings.text
        assert "validatorUrl: null" in settings.text
        style = next(file for file in files if file.url.path.endswith(".css"))
        assert set(re.findall(r"url\(\"?(\w+:)", style.text)) == {"data:"}
        assert browser.get("/static/swagger-ui/LICENSE").text.strip().startswith("Apache License")


def test_importing_ragdb_imports_no_web_framework() -> None:
    script = "import ragdb, sys; print(sorted({'litestar', 'granian', 'psycopg'} & {*sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
