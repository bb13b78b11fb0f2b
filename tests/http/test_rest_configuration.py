"""Schedules, queues and chunk profiles over REST."""

from __future__ import annotations

from rest import Tenant, problem

SCHEDULES, CHUNKING = "/api/v1/schedules", "/api/v1/chunking"


def test_a_schedule_is_stored_changed_listed_and_deleted(acme: Tenant, globex: Tenant) -> None:
    nightly = {"name": "nightly", "cron": "0 3 * * *", "kind": "maintain"}
    stored = acme.http.put(SCHEDULES, json=nightly)
    assert stored.status_code == 200, stored.text
    changed = acme.http.put(
        SCHEDULES, json={**nightly, "time_zone": "Europe/Berlin", "is_enabled": False}
    )
    assert changed.json()["schedule_id"] == stored.json()["schedule_id"]

    [schedule] = acme.http.get(SCHEDULES).json()["schedules"]
    assert (schedule["name"], schedule["time_zone"]) == ("nightly", "Europe/Berlin")
    assert not schedule["is_enabled"]
    assert schedule["email"] == f"admin@{acme.slug}.test"
    assert globex.http.get(SCHEDULES).json() == {"schedules": []}

    gone = {"name": "nightly"}
    problem(globex.http.delete(SCHEDULES, params=gone), 404, "schedule_not_found")
    assert acme.http.delete(SCHEDULES, params=gone).status_code == 204
    problem(acme.http.delete(SCHEDULES, params=gone), 404, "schedule_not_found")


def test_a_schedule_that_makes_no_sense_is_refused(acme: Tenant) -> None:
    fields = {"name": "x", "cron": "99 * * * *", "kind": "maintain"}
    problem(acme.http.put(SCHEDULES, json=fields), 422, "invalid_cron")
    fields |= {"cron": "@daily", "time_zone": "Mars/Olympus"}
    problem(acme.http.put(SCHEDULES, json=fields), 422, "unknown_time_zone")


def test_queues_tell_what_waits(acme: Tenant) -> None:
    acme.http.post("/api/v1/jobs", json={"kind": "maintain"})
    queues = {queue["queue"]: queue for queue in acme.http.get("/api/v1/queues").json()["queues"]}
    assert set(queues) == {"ingestion", "embedding", "maintenance", "sync"}
    assert queues["maintenance"]["queued"] == 1
    assert queues["maintenance"]["oldest_waits"].startswith("P")
    assert queues["sync"]["oldest_waits"] is None


def test_a_chunk_profile_is_used_until_it_is_deleted(acme: Tenant) -> None:
    def chunks(external_id: str) -> int:
        content = " ".join(f"Sentence {n} is {external_id} it." for n in range(30))
        put = acme.http.post(
            "/api/v1/documents", json={"external_id": external_id, "content": content}
        )
        return put.json()["chunks"]

    assert chunks("before") == 1
    profile = {"chunker": "recursive", "size": 100, "unit": "characters"}
    stored = acme.http.put(CHUNKING, json={"mime": "text/*", "profile": profile})
    assert stored.status_code == 204, stored.text
    assert chunks("with it") > 1
    listed = acme.http.get(CHUNKING).json()
    assert [(p["workspace"], p["mime"]) for p in listed["profiles"]] == [("default", "text/*")]
    assert "sentences" in {preset["preset"] for preset in listed["presets"]}

    assert acme.http.delete(CHUNKING, params={"mime": "text/*"}).status_code == 204
    assert chunks("after") == 1
    problem(acme.http.delete(CHUNKING, params={"mime": "text/*"}), 404, "chunk_profile_not_found")


def test_a_chunk_profile_that_makes_no_sense_is_refused(acme: Tenant) -> None:
    fields = {"mime": "text/plain", "profile": "by-magic"}
    problem(acme.http.put(CHUNKING, json=fields), 422, "unknown_chunk_preset")
    fields = {"mime": "plain", "profile": "sentences"}
    problem(acme.http.put(CHUNKING, json=fields), 422, "invalid_media_type")
