"""What the tests of embedding models share: an operator, and a worker that drains."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from ragdb import settings
from ragdb.db import Caller, Database, Pool
from ragdb.errors import RagdbError
from ragdb.handlers import HANDLERS
from ragdb.job import Claimed, Job, TryLater

if TYPE_CHECKING:
    from conftest import Organization, TestDatabase
    from embedding_server import Models

WORKER = Caller(role="ragdb_worker")

SHIPS = [{"content": f"Ship {n} sails to harbour {n % 7}.", "external_id": str(n)}
         for n in range(60)]  # fmt: skip


def refusal(call: Any, *arguments: Any, **named: Any) -> tuple[int, str]:
    """Status and code with which a call is refused."""
    with pytest.raises(RagdbError) as refused:
        call(*arguments, **named)
    return refused.value.problem.status, refused.value.problem.code


def cosine(a: list[float], b: list[float]) -> float:
    def dot(x: list[float], y: list[float]) -> float:
        return sum(p * q for p, q in zip(x, y, strict=True))

    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5



@dataclass
class Desk:
    """An operator who registers models, and a worker, for an organization."""

    database: TestDatabase
    org: Organization
    models: Models
    worker_url: str

    def register(self, name: str = "small", protocol: str = "openai", **arguments: Any) -> None:
        path = "/v1" if protocol == "openai" else ""
        given = {
            "p_url": self.models.url(path), "p_model": "m", "p_dimensions": self.models.dimensions,
        }  # fmt: skip
        self.operate("register_embedding_model", p_name=name, p_protocol=protocol,
                     **given | arguments)  # fmt: skip

    def operate(self, function: str, **arguments: Any) -> list[DictRow]:
        with Database.connect(self.database.superuser_url) as operator:
            return operator.call(Caller(role="ragdb_admin"), function, **arguments)

    def used(self, name: str = "small", **arguments: Any) -> Desk:
        """The same, with a model registered and in use."""
        self.register(name, **arguments)
        self.org.call("use_embedding_model", p_name=name)
        return self

    def drain(self, *, most: int = 20) -> list[Any]:
        """Do what jobs there are, as `ragdb worker` would; what each came to."""
        return asyncio.run(self._drain(most))

    async def _drain(self, most: int) -> list[Any]:
        results: list[Any] = []
        pool = Pool(self.worker_url, max_size=4)
        async with pool.opened():
            for _ in range(most):
                claimed = await pool.call(
                    WORKER, "claim_jobs", returning=Claimed, p_queues=["embedding"]
                )
                if not claimed:
                    break
                job = Job(claimed[0], pool, settings.load(Path("/nonexistent"), {}))
                try:
                    result = await HANDLERS[job.claimed.kind](job)
                except TryLater as later:
                    await job.report("release_job", p_after=f"{later.seconds} seconds")
                    results.append(later)
                    break
                told = msgspec.to_builtins(result)
                await job.report("finish_job", p_result=Jsonb(told))
                results.append(told)
        return results

    def model(self, name: str = "small") -> DictRow:
        """How far a model is."""
        return next(row for row in self.org.read("embedding_models") if row["name"] == name)
