"""Jobs over REST: enqueued, watched live, cancelled, tried again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from rest import Service, Tenant, problem, running, worker

from sample_files import pdf

JOBS = "/api/v1/jobs"


@pytest.fixture
def work(worker_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker at work."""
    with worker(worker_url, tmp_path) as process:
        yield process


def enqueue(tenant: Tenant, **fields: object) -> str:
    response = tenant.http.post(JOBS, json={"kind": "maintain", **fields})
    assert response.status_code == 202, response.text
    return response.json()["job_id"]


def events(response: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_documents_as_a_job(acme: Tenant, work: subprocess.Popen[bytes]) -> None:
    documents = [{"external_id": f"d{n}", "content": f"Ship {n} sails."} for n in range(450)]
    response = acme.http.post(
        "/api/v1/documents/batch",
        json={"documents": documents, "source": "fleet"},
        headers={"Prefer": "wait=10, Respond-Async; x=1", "Idempotency-Key": "fleet-1"},
    )
    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "respond-async")
    location = response.headers["Location"]
    assert location == f"{JOBS}/{response.json()['job_id']}"

    with acme.http.stream("GET", f"{location}/events") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["X-Accel-Buffering"] == "no"
        said = list(events(stream))
    assert [name for name, _ in said[:-1]] == ["progress"] * (len(said) - 1)
    name, last = said[-1]
    assert (name, last["status"], last["progress"]) == ("end", "succeeded", 1.0)
    assert last["result"] == {"documents": {"ingested": 450}, "failed": []}
    progress = [job["progress"] for _, job in said]
    assert progress == sorted(progress)
    assert acme.http.get(location).json() == last
    listed = acme.http.get("/api/v1/documents", params={"source": "fleet", "limit": 1000}).json()
    assert len(listed["documents"]) == 450

    again = acme.http.post(
        "/api/v1/documents/batch", json={"documents": []},
        headers={"Prefer": "respond-async", "Idempotency-Key": "fleet-1"},
    ).json()  # fmt: skip
    assert (again["job_id"], again["is_new"]) == (last["job_id"], False)
    single = acme.http.post(
        "/api/v1/documents", json={"content": "One ship.", "source": "other", "title": "One"},
        headers={"Prefer": "respond-async"},
    )  # fmt: skip
    with acme.http.stream("GET", f"{single.headers['Location']}/events") as stream:
        assert list(events(stream))[-1][1]["result"]["documents"] == {"ingested": 1}
    assert acme.search("one ship")[0]["title"] == "One"


def test_files_as_a_job(acme: Tenant, globex: Tenant, work: subprocess.Popen[bytes]) -> None:
    long = "".join(f"Ship {n} sails from port {n % 7} at dawn. " for n in range(40_000)).encode()
    files = [
        ("long.txt", long), ("report.pdf", pdf("Lemons on page one", "Limes on page two")),
        ("twice.txt", b"The first of two."), ("twice.txt", b"The second of two."), ("no.txt", b""),
    ]  # fmt: skip

    def send(**headers: str) -> httpx.Response:
        return acme.http.post(
            "/api/v1/ingest/files", files=[("files", file) for file in files],
            data={"source": "mail", "labels": ["a", "b"], "keep_original": "true"},
            headers={"Prefer": "respond-async", **headers},
        )  # fmt: skip

    response = send(**{"Idempotency-Key": "mail-1"})
    assert (response.status_code, response.headers["Preference-Applied"]) == (202, "respond-async")
    location = response.headers["Location"]
    with acme.http.stream("GET", f"{location}/events") as stream:
        said = [job for _, job in events(stream)]
    assert said[-1]["status"] == "succeeded"
    progress = [job["progress"] for job in said]
    assert progress == sorted(progress) and progress[-1] == 1
    result = said[-1]["result"]
    assert result["documents"] == {"ingested": 4, "failed": 2}
    errors = {failed["file"]: failed["code"] for failed in result["failed"]}
    assert errors == {"twice.txt": "duplicate_external_id", "no.txt": "empty_file"}
    assert acme.search("limes")[0]["page"] == 2
    assert acme.search("the first of two")[0]["title"] == "twice"
    documents = {
        document["external_id"]: document
        for document in acme.http.get("/api/v1/documents").json()["documents"]
    }
    assert documents.keys() == {"long.txt#part-1", "long.txt#part-2", "report.pdf", "twice.txt"}
    report = documents["report.pdf"]
    assert (report["source"], report["labels"]) == ("mail", ["a", "b"])
    original = acme.http.get(f"/api/v1/documents/{report['document_id']}/original")
    assert original.content == files[1][1]

    again = send(**{"Idempotency-Key": "mail-1"})
    assert again.json() == {"job_id": response.json()["job_id"], "status": "succeeded",
                            "is_new": False}  # fmt: skip
    problem(globex.http.get(location), 404, "job_not_found")


def test_whoever_comes_back_is_told_nothing_twice(acme: Tenant) -> None:
    job = enqueue(acme)

    def watched(**headers: str) -> httpx.Response:
        return acme.http.get(f"{JOBS}/{job}/events", headers=headers)

    with acme.http.stream("GET", f"{JOBS}/{job}/events") as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if line.startswith("id: ")).removeprefix("id: ")
    acme.http.post(f"{JOBS}/{job}/cancel")
    ended = watched(**{"Last-Event-ID": first})
    [(name, last)] = events(ended)
    assert (name, last["status"]) == ("end", "cancelled")
    [seen] = [line for line in ended.text.splitlines() if line.startswith("id: ")]
    assert watched(**{"Last-Event-ID": seen.removeprefix("id: ")}).status_code == 204
    assert watched(**{"Last-Event-ID": "anything"}).text == watched().text == ended.text


def test_upkeep_as_jobs(acme: Tenant, member: Tenant, work: subprocess.Popen[bytes]) -> None:
    for name in ("one", "two"):
        acme.http.post("/api/v1/documents", json={"content": "Said twice.", "external_id": name})
    for name, body, result in (
        ("rebuild", {"workspace": "default"}, {"texts": 1, "chunks": 1}),
        ("dedupe", None, {"deleted": 1}),
    ):
        response = (
            acme.http.post(f"/api/v1/{name}", json=body)
            if body
            else acme.http.post(f"/api/v1/{name}")
        )
        assert response.status_code == 202, response.text
        with acme.http.stream("GET", f"{response.headers['Location']}/events") as stream:
            assert list(events(stream))[-1][1]["result"] == result
    assert len(acme.http.get("/api/v1/documents").json()["documents"]) == 1
    problem(acme.http.post("/api/v1/dedupe", json={"where": 1}), 422, "invalid_request")


def test_all_that_failed_is_tried_again(acme: Tenant, work: subprocess.Popen[bytes]) -> None:
    job = enqueue(acme, kind="put_documents", payload={"documents": "none"})
    with acme.http.stream("GET", f"{JOBS}/{job}/events") as stream:
        assert list(events(stream))[-1][1]["error"] == "invalid_payload"
    assert acme.http.post(f"{JOBS}/retry", json={"kind": "embed"}).json() == {"retried": 0}
    assert acme.http.post(f"{JOBS}/retry").json() == {"retried": 1}


def test_without_asking_for_a_job_there_is_none(acme: Tenant) -> None:
    for prefer in ("", "wait=5", "respond-asynchronously"):
        response = acme.http.post(
            "/api/v1/documents", json={"content": f"x {prefer}"}, headers={"Prefer": prefer}
        )
        assert response.status_code == 201
    # But for the upkeep that every write asks for.
    [upkeep] = acme.http.get(JOBS).json()["jobs"]
    assert (upkeep["kind"], upkeep["status"]) == ("maintain", "scheduled")


def test_pages(acme: Tenant) -> None:
    ids = [enqueue(acme) for _ in range(5)]
    first = acme.http.get(JOBS, params={"limit": 3}).json()
    second = acme.http.get(JOBS, params={"limit": 3, "after": first["next"]}).json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["next"] is None
    assert acme.http.get(JOBS, params={"status": "failed"}).json()["jobs"] == []
    problem(acme.http.get(JOBS, params={"status": "x"}), 422, "invalid_request")


def test_cancel_and_retry(acme: Tenant) -> None:
    job = enqueue(acme, priority=0, run_at="2100-01-01T00:00:00Z")
    assert acme.http.get(f"{JOBS}/{job}").json()["status"] == "scheduled"
    assert acme.http.post(f"{JOBS}/{job}/cancel").json()["status"] == "cancelled"
    assert acme.http.post(f"{JOBS}/{job}/retry").json()["status"] == "queued"
    problem(acme.http.post(f"{JOBS}/{job}/retry"), 409, "job_not_failed")
    with acme.http.stream("GET", f"{JOBS}/{job}/events") as stream:
        said = events(stream)
        assert next(said)[1]["status"] == "queued"
        acme.http.post(f"{JOBS}/{job}/cancel")
        assert next(said) == ("end", acme.http.get(f"{JOBS}/{job}").json())


def test_what_is_refused(acme: Tenant, globex: Tenant, rest: Service) -> None:
    problem(acme.http.post(JOBS, json={"kind": "x"}), 422, "unknown_job_kind")
    problem(
        acme.http.post(JOBS, json={"kind": "maintain", "priority": 10}), 422, "invalid_priority"
    )
    job = enqueue(acme)
    with rest.client() as nobody:
        for path in (JOBS, f"{JOBS}/{job}", f"{JOBS}/{job}/events"):
            problem(nobody.get(path), 401, "missing_api_key")
    for path in (f"{JOBS}/{job}", f"{JOBS}/{job}/events"):
        problem(globex.http.get(path), 404, "job_not_found")
    for action in ("cancel", "retry"):
        problem(globex.http.post(f"{JOBS}/{job}/{action}"), 404, "job_not_found")
    assert globex.http.get(JOBS).json()["jobs"] == []


def test_members_see_jobs_and_not_what_they_are_about(
    acme: Tenant, member: Tenant, operator: Callable[..., list[dict[str, Any]]]
) -> None:
    email = f"editor@{acme.slug}.test"
    operator(acme.slug, "add_member", p_email=email, p_role="editor")
    [created] = operator(acme.slug, "create_api_key", p_name="editor", p_email=email)
    job = enqueue(acme)
    headers = {"X-API-Key": created["key"]}
    seen = acme.http.get(f"{JOBS}/{job}", headers=headers).json()
    assert (seen["status"], seen["email"]) == ("queued", f"admin@{acme.slug}.test")
    problem(acme.http.post(f"{JOBS}/{job}/cancel", headers=headers), 403, "permission_denied")
    assert member.http.post(f"{JOBS}/{job}/cancel").json()["status"] == "cancelled"


def test_the_service_ends_while_somebody_watches(
    shared: SimpleNamespace, acme: Tenant, tmp_path: Path
) -> None:
    job = enqueue(acme)
    with (
        running(shared.url, tmp_path) as service,
        service.client(acme.key) as client,
        client.stream("GET", f"{JOBS}/{job}/events") as stream,
    ):
        said = events(stream)
        assert next(said)[1]["status"] == "queued"
        assert service.stop() == 0
        assert list(said) == []
