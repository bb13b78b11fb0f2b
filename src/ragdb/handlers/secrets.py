"""Secrets of data sources, where they are opened; and sealing them anew, as a job.

Only here, under the lease of a job, do sealed secrets and the key come together.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from ragdb.db import Caller
from ragdb.errors import RagdbError
from ragdb.job import Job, JobFailed
from ragdb.sealing import Keys, SealError
from ragdb.sources.secrets import Bound, opened


class Opened(msgspec.Struct):
    """A row of ragdb.open_source()."""

    type: str
    name: str
    organization: str
    organization_id: UUID
    config: dict[str, Any]
    places: list[str]
    secrets: bytes | None


class Sealed(msgspec.Struct):
    """A row of ragdb.sealed_sources()."""

    source_id: UUID


async def open_source(job: Job, source_id: UUID) -> Opened:
    """How a source is read, with its secrets as they are sealed; raises RagdbError."""
    [source] = await job.pool.call(
        _worker(job), "open_source", returning=Opened, p_source_id=source_id
    )
    return source


async def secrets_of(job: Job, source_id: UUID, source: Opened) -> tuple[dict[str, str], bool]:
    """The secrets, and whether they are sealed with the current key now; raises SealError.

    They are unless somebody has given others meanwhile.
    """
    if source.secrets is None:
        return {}, True
    keys = Keys.read(job.settings.current_secret_key())
    bound = Bound(source.organization_id, source.name, source.type, source.config, source.places)
    secrets, resealed = opened(keys, source.secrets, bound)
    if resealed is None:
        return secrets, True
    [row] = await job.pool.call(
        _worker(job), "reseal_source", returning=dict[str, Any], p_source_id=source_id,
        p_old_secrets=source.secrets, p_new_secrets=resealed,
    )  # fmt: skip
    return secrets, row["reseal_source"]


async def reseal_secrets(job: Job) -> object:
    """Seal all secrets of the organization with the current key.

    Neither names nor numbers are told where that succeeds: it covers sources of others.
    """
    unreadable = 0
    for sealed in await job.pool.call(_worker(job), "sealed_sources", returning=Sealed):
        is_current = False
        while not is_current:
            try:
                source = await open_source(job, sealed.source_id)
                _, is_current = await secrets_of(job, sealed.source_id, source)
            except SealError:
                unreadable += 1
                break
            except RagdbError as error:
                if error.problem.code != "source_not_found":  # deleted meanwhile
                    raise
                break
    if unreadable:
        raise JobFailed(
            "secrets_unreadable",
            f"The secrets of {unreadable} source{'' if unreadable == 1 else 's'} open with none of"
            " the keys: they have to be given again.",
        )
    return None


def _worker(job: Job) -> Caller:
    return Caller(lease=job.lease, role="ragdb_worker")
