"""Data sources of the two organizations: put, read once, and being read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from world import Party

if TYPE_CHECKING:
    from population import Populator


def add_sources(populator: Populator, party: Party) -> None:
    """One of the admin's for everybody, and one of carol's own."""
    for member, visibility in (("admin", "workspace"), ("carol", "private")):
        domain = party.domain if visibility == "workspace" else f"{party.domain}/{member}"
        key = party.keys[member]

        def word(domain: str = domain) -> str:
            return populator.word(domain)

        config = {
            "url": f"https://{word()}.test/", "fields": {"external_id": word(), "content": word()}
        }  # fmt: skip
        source = populator.call(
            key, "put_source", p_name=word(), p_type="api", p_config=json.dumps(config),
            p_secrets=f"sealed {word()} {'.' * 30}".encode(), p_labels=[word()],
            p_visibility=visibility, p_cron="0 4 * * *" if member == "admin" else None,
        )[0]["source_id"]  # fmt: skip
        populator.call(
            key, "put_sd_connection", p_name=word(), p_db_type="mysql",
            p_table_mappings=json.dumps([{"table": word(), "id": word()}]),
            p_connection_string=f"sealed {word()} {'.' * 30}".encode(),
            p_options=json.dumps({"encoding": word()}), p_visibility=visibility,
        )  # fmt: skip
        ended = _begun(populator, key, source)
        _store(populator, key, ended, word)
        populator.call(key, "end_sync", **ended, p_error=word(), p_message=word())
        running = _begun(populator, key, source)
        _store(populator, key, running, word)
        known = populator.vocabulary.domains[domain]
        known |= {str(source), *(str(run["p_run_id"]) for run in (ended, running))}
        populator.vocabulary.domains[party.domain] |= {
            str(run["p_job_id"]) for run in (ended, running)
        }
        if member == "admin":
            party.ids |= {
                "source": str(source), "run": str(running["p_run_id"]),
                "sync_job": str(running["p_job_id"]),
            }  # fmt: skip


def _begun(populator: Populator, key: str, source: Any) -> dict[str, Any]:
    job = populator.call(
        key, "refresh_source", p_source_id=source, p_full=True, p_sweep_limit=1.0
    )[0]["job_id"]  # fmt: skip
    run = populator.call(key, "begin_sync", p_source_id=source, p_job_id=job)[0]["run_id"]
    # Workers of these tests are to find jobs of their own only.
    populator.call(key, "cancel_job", p_job_id=job)
    return {"p_run_id": run, "p_job_id": job}


def _store(populator: Populator, key: str, run: dict[str, Any], word: Any) -> None:
    external_id = word()
    documents = [{"external_id": external_id, "title": "Common", "content": f"It is {word()}."}]
    item = {"external_id": external_id, "fingerprint": word(), "first": 1, "last": 1}
    errors = [{"external_id": word(), "error": word(), "message": word()}]
    populator.call(
        key, "store_sync", **run, p_documents=json.dumps(documents),
        p_items=json.dumps([item | {"keep": [external_id]}]), p_errors=json.dumps(errors),
        p_cursor=json.dumps({"at": word()}),
    )  # fmt: skip
