"""Data sources of the two organizations: put, read once, and being read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from world import Party

if TYPE_CHECKING:
    from population import Populator

# The same in both organizations, as no two sealed texts are.
SEALED_ALIKE = b"sealed alike" * 3


def add_sources(populator: Populator, party: Party) -> None:
    """One of the admin's for everybody, and one of carol's own, whose run has become stale."""
    for member, visibility in (("admin", "workspace"), ("carol", "private")):
        domain = party.domain if visibility == "workspace" else f"{party.domain}/{member}"
        key = party.keys[member]

        def word(domain: str = domain) -> str:
            return populator.word(domain)

        config = {
            "url": f"https://{word()}.test/", "fields": {"external_id": word(), "content": word()}
        }  # fmt: skip
        setup = {
            "p_name": word(), "p_type": "api", "p_config": json.dumps(config),
            "p_visibility": visibility, "p_cron": "0 4 * * *" if member == "admin" else None,
        }  # fmt: skip
        secrets = f"sealed {word()} {'.' * 30}".encode()
        source = populator.call(
            key, "put_source", **setup, p_secrets=secrets, p_labels=[word()]
        )[0]["source_id"]  # fmt: skip
        desk = populator.call(
            key, "put_sd_connection", p_name=word(), p_db_type="mysql",
            p_table_mappings=json.dumps([{"table": word(), "id": word()}]),
            p_connection_string=SEALED_ALIKE,
            p_options=json.dumps({"encoding": word()}), p_visibility=visibility,
        )[0]["connection_id"]  # fmt: skip
        if member == "admin" and party.domain == "globex":
            # The numbers of runs drift from here on.
            early = _begun(populator, key, source)
            populator.call(key, "end_sync", **early)
            known = populator.vocabulary.domains[domain]
            known |= {str(early["p_run_id"]), str(early["p_job_id"])}
        ended = _begun(populator, key, source)
        _store(populator, key, ended, word)
        populator.call(key, "end_sync", **ended, p_error=word(), p_message=word())
        running = _begun(populator, key, source, is_swept=party.domain == "acme")
        _store(populator, key, running, word)
        known = populator.vocabulary.domains[domain]
        known |= {str(source), str(desk), *(str(run["p_run_id"]) for run in (ended, running))}
        populator.vocabulary.domains[party.domain] |= {
            str(run["p_job_id"]) for run in (ended, running)
        }
        if member == "admin":
            _store_common(populator, key, running, "1" if party.domain == "acme" else "2")
            party.ids |= {
                "source": str(source), "source_name": setup["p_name"], "desk": str(desk),
                "run": str(running["p_run_id"]), "sync_job": str(running["p_job_id"]),
            }  # fmt: skip
        else:
            if party.domain == "acme":
                populator.call(key, "put_source", **setup, p_labels=[word()])
            party.ids |= {
                "stale": str(source), "stale_run": str(running["p_run_id"]),
                "stale_job": str(running["p_job_id"]),
            }  # fmt: skip


def _begun(
    populator: Populator, key: str, source: Any, is_swept: bool = False
) -> dict[str, Any]:
    job = populator.call(
        key, "refresh_source", p_source_id=source, p_full=True, p_sweep_limit=1.0
    )[0]["job_id"]  # fmt: skip
    # What has gone here is deleted, and refused there.
    limit = 1.0 if is_swept else None
    run = populator.call(
        key, "begin_sync", p_source_id=source, p_job_id=job, p_sweep_limit=limit
    )[0]["run_id"]  # fmt: skip
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


def _store_common(populator: Populator, key: str, run: dict[str, Any], fingerprint: str) -> None:
    """An item that has the same name in both organizations, as it was when it was seen there."""
    document = {"external_id": "common", "title": "Common", "content": "It is common."}
    item = {"external_id": "common", "fingerprint": fingerprint, "first": 1, "last": 1}
    populator.call(
        key, "store_sync", **run, p_documents=json.dumps([document]),
        p_items=json.dumps([item | {"keep": ["common"]}]),
    )  # fmt: skip
