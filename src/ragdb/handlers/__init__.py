"""What workers can do: the handler of each kind of job.

A kind stands here and in sql/seed/20_job_kinds.sql, which says who may ask for it. A handler may be
called again for a job that it has done in part or in whole: what it does twice must be as if done
once.
"""

from __future__ import annotations

from collections.abc import Mapping

from ragdb.handlers import (
    documents,
    embedding,
    files,
    maintenance,
    secrets,
    sources,
    upkeep,
)
from ragdb.job import Handler

HANDLERS: Mapping[str, Handler] = {
    "put_documents": documents.put_documents,
    "ingest_files": files.ingest_files,
    "maintain": maintenance.maintain,
    "delete_old_jobs": maintenance.delete_old_jobs,
    "rebuild": upkeep.rebuild,
    "dedupe": upkeep.dedupe,
    "sync_source": sources.sync_source,
    "reseal_secrets": secrets.reseal_secrets,
    "embed": embedding.drain,
}
