"""Chunks embedded by a model: what waits for it is drained, batch by batch.

A round takes as many texts as the model may have under way at once, sends them in its batches, and
stores what came back in one transaction. Nothing is taken out of the queue before that, so that a
worker killed anywhere leaves everything to the next. A batch in which a text is refused is halved
until the text stands alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx
import msgspec

from ragdb.db import Caller
from ragdb.embeddings.provider import (
    Busy,
    Provider,
    ProviderError,
    TextRefused,
    client,
    embed,
)
from ragdb.job import Job, JobFailed, TryLater

_WORKER = Caller(role="ragdb_worker")
# Shorter waits are slept through; for longer ones somebody else gets the slot.
_SHORT = 5.0
_CHARACTERS_OF_A_TOKEN = 4


class Embed(msgspec.Struct, forbid_unknown_fields=True):
    """Which model's queue to drain."""

    model: str


class _Work(msgspec.Struct):
    """A row of ragdb.begin_embedding()."""

    state: str
    wait_seconds: float
    model: Provider
    cached: int
    waiting: int
    chunk_nos: list[int] | None
    hashes: list[str] | None
    texts: list[str] | None
    alone: list[bool] | None


class _Restored(msgspec.Struct):
    """A row of ragdb.restore_table_vectors()."""

    restored: int
    remaining: int


@dataclass(frozen=True)
class _Text:
    chunk_no: int
    hash: str
    text: str


@dataclass
class _Round:
    """What became of a round's texts."""

    done: list[tuple[_Text, str]] = field(default_factory=list[tuple[_Text, str]])
    refused: list[tuple[_Text, str]] = field(default_factory=list[tuple[_Text, str]])
    failed: list[tuple[list[_Text], ProviderError]] = field(
        default_factory=list[tuple[list[_Text], ProviderError]]
    )
    requests: int = 0
    tokens: int = 0
    wait: float = 0.0


async def drain(job: Job) -> object:
    """Embed until nothing waits any more; told later when the model is to be left alone."""
    try:
        name = msgspec.convert(job.payload, Embed).model
    except msgspec.ValidationError as error:
        raise JobFailed("invalid_payload", str(error)) from error
    told = {"embedded": 0, "from_cache": 0, "given_up": 0, "restored": 0}
    async with client() as http:
        while True:
            [work] = await job.call("begin_embedding", returning=_Work, p_name=name)
            told["from_cache"] += work.cached
            if work.state == "done":
                return told
            if work.state == "wait":
                raise TryLater(work.wait_seconds)
            if work.state == "restore":
                if not await _restore(job, name, told):
                    return told
                continue
            texts = _texts(work)
            await _reserve(job, work.model, texts)
            ended = await _ask(http, work.model, _batches(work, texts))
            await _store(job, name, ended, told)
            left = max(work.waiting - len(texts), 0)
            done = told["embedded"] + told["from_cache"] + told["given_up"]
            await job.progress(done / (done + left) if done + left else 1, f"{left} chunks wait")
            if ended.wait:
                # All workers share the limits of a provider, and keep away from it together.
                await job.pool.call(
                    _WORKER, "block_embedding", returning=dict[str, object],
                    p_model_no=work.model.model_no, p_seconds=ended.wait,
                )  # fmt: skip
                raise TryLater(ended.wait)


def _texts(work: _Work) -> list[_Text]:
    columns = (work.chunk_nos or [], work.hashes or [], work.texts or [])
    return [_Text(*row) for row in zip(*columns, strict=True)]


def _batches(work: _Work, texts: list[_Text]) -> list[list[_Text]]:
    """Batches of the model's size, and those that go alone."""
    alone = work.alone or []
    together = [text for text, is_alone in zip(texts, alone, strict=True) if not is_alone]
    size = work.model.batch_size
    batches = [together[first : first + size] for first in range(0, len(together), size)]
    return batches + [[text] for text, is_alone in zip(texts, alone, strict=True) if is_alone]


async def _reserve(job: Job, model: Provider, texts: list[_Text]) -> None:
    """Wait for one's share of the provider's limits."""
    tokens = sum(len(text.text) // _CHARACTERS_OF_A_TOKEN + 1 for text in texts)
    while True:
        [row] = await job.pool.call(
            _WORKER, "reserve_embedding", returning=dict[str, float], p_model_no=model.model_no,
            p_requests=-(-len(texts) // model.batch_size), p_tokens=tokens,
        )  # fmt: skip
        wait = row["reserve_embedding"]
        if not wait:
            return
        if wait > _SHORT:
            raise TryLater(wait)
        await asyncio.sleep(wait)


async def _ask(http: httpx.AsyncClient, model: Provider, batches: Iterable[list[_Text]]) -> _Round:
    ended = _Round()
    slots = asyncio.Semaphore(model.concurrency)

    async def one(batch: list[_Text]) -> None:
        async with slots:
            await _embed(http, model, batch, ended)

    await asyncio.gather(*(one(batch) for batch in batches))
    return ended


async def _embed(
    http: httpx.AsyncClient, model: Provider, batch: list[_Text], ended: _Round
) -> None:
    """Ask for one batch, and for its halves when the model refuses some text of it."""
    if ended.wait:
        return
    try:
        ended.requests += 1
        found = await embed(http, model, [text.text for text in batch])
    except Busy as error:
        ended.wait = max(ended.wait, error.wait)
    except TextRefused as error:
        if len(batch) == 1:
            ended.refused.append((batch[0], str(error)))
            return
        half = len(batch) // 2
        await _embed(http, model, batch[:half], ended)
        await _embed(http, model, batch[half:], ended)
    except ProviderError as error:
        ended.failed.append((batch, error))
    else:
        ended.tokens += found.tokens
        ended.done += zip(batch, found.vectors, strict=True)


async def _store(job: Job, name: str, ended: _Round, told: dict[str, int]) -> None:
    """First what succeeded: that the model answers at all tells whom a failure is to be laid to."""
    if ended.done:
        [row] = await job.call(
            "finish_embedding", p_name=name,
            p_chunks=[text.chunk_no for text, _ in ended.done],
            p_hashes=[text.hash for text, _ in ended.done],
            p_embeddings=[vector for _, vector in ended.done],
            p_requests=ended.requests, p_tokens=ended.tokens,
        )  # fmt: skip
        told["embedded"] += row["finish_embedding"]
    for text, reason in ended.refused:
        told["given_up"] += await _fail(job, name, [text], reason, is_text=True)
    for batch, error in ended.failed:
        told["given_up"] += await _fail(job, name, batch, str(error), seconds=error.seconds)


async def _restore(job: Job, name: str, told: dict[str, int]) -> bool:
    """Put some of the table's vectors back where the model, left now, wrote over them."""
    [step] = await job.call("restore_table_vectors", returning=_Restored, p_name=name)
    told["restored"] += step.restored
    if step.remaining:
        done = told["restored"]
        await job.progress(done / (done + step.remaining), f"{step.remaining} vectors to put back")
    return step.remaining > 0


async def _fail(
    job: Job, name: str, texts: list[_Text], reason: str, *,
    is_text: bool = False, seconds: float | None = None,
) -> int:  # fmt: skip
    [row] = await job.call(
        "fail_embedding", p_name=name, p_chunks=[text.chunk_no for text in texts],
        p_error=reason, p_is_text=is_text, p_seconds=seconds,
    )  # fmt: skip
    return row["fail_embedding"]
