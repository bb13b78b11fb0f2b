"""A last look at the best passages, by a reranking model behind any `/rerank` endpoint.

RAGDB_RERANK_URL is the endpoint or its base, to which `/rerank` is appended:
https://api.jina.ai/v1, https://api.cohere.com/v2 and http://localhost:8080 all work. The model
reads the passages while no transaction is open. When it fails, the database's order stands.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from ragdb.settings import Settings

READ = 32
"""How many passages a model reads: what servers take at once as they are shipped."""

NOT_READ = f"A reranker orders the best {READ} results alone."
MAX_RESPONSE = 4_000_000
_MOST = 1000
_LONGEST = 8_000
_NAMED_REASON = 200

_log = logging.getLogger(__name__)


class RerankError(Exception):
    """There is no order; the message says why."""


@dataclass(frozen=True)
class Order:
    """Places in the list given, best first, with the model's scores; or why there are none."""

    places: list[int]
    scores: dict[int, float]
    reason: str | None


class _Scored(msgspec.Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None


class _Results(msgspec.Struct):
    results: list[_Scored] | None = None
    data: list[_Scored] | None = None


async def reorder(settings: Settings, query: str, texts: Sequence[str]) -> Order:
    """The order a model puts texts in; theirs, with a reason, when it fails.

    What the model does not mention stays behind what it does, in the order given.
    """
    places = list(range(len(texts)))
    if not texts:
        return Order(places, {}, None)
    try:
        scores = await _scores(settings, query, [text[:_LONGEST] for text in texts[:READ]])
    except RerankError as error:
        _log.warning("%s", error)
        return Order(places, {}, str(error))
    places.sort(key=lambda place: -scores.get(place, -math.inf))
    return Order(places, scores, None)


def is_read(limit: int, offset: int) -> bool:
    """Whether a page is among what a model reads, and can be asked for at all."""
    return 1 <= limit <= _MOST and 0 <= offset < READ


def to_fetch(limit: int, offset: int) -> int:
    """How many of the best passages a page is cut from, once the first READ are in order."""
    return min(_MOST, max(READ, limit + offset))


def endpoint(base: str) -> str:
    """The URL of the reranker below a base URL."""
    scheme, host, path, query, _ = urlsplit(base)
    path = path.rstrip("/")
    if not path.endswith("/rerank"):
        path += "/rerank"
    return urlunsplit((scheme, host, path, query, ""))


async def _scores(settings: Settings, query: str, texts: list[str]) -> dict[int, float]:
    if settings.rerank_url is None:
        raise RerankError("RAGDB_RERANK_URL is not set.")
    request: dict[str, object] = {"query": query, "documents": texts, "top_n": len(texts)}
    if settings.rerank_model is not None:
        request["model"] = settings.rerank_model
    try:
        async with asyncio.timeout(settings.rerank_timeout):
            status, body = await _post(settings, settings.rerank_url, request)
            if status in (400, 422) and b"texts" in body:
                # So says Text Embeddings Inference, which has other names for the same.
                request = {"query": query, "texts": texts, "truncate": True}
                status, body = await _post(settings, settings.rerank_url, request)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise RerankError(
            f"The reranker did not answer in {settings.rerank_timeout:g} s."
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        _log.warning("%s", error or type(error).__name__)
        raise RerankError("The reranker cannot be reached.") from error
    if status != 200:
        # For the log alone: nobody knows what a server says of a key it refuses.
        _log.warning("%s", " ".join(body.decode("utf-8", "replace").split())[:_NAMED_REASON])
        raise RerankError(f"The reranker answered with HTTP status {status}.")
    return _read(body, len(texts))


async def _post(settings: Settings, base: str, request: dict[str, object]) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if settings.rerank_api_key is not None:
        headers["Authorization"] = f"Bearer {settings.rerank_api_key}"
    # Redirects are not followed: texts and key go to the host that was configured, and no other.
    async with (
        httpx.AsyncClient(timeout=settings.rerank_timeout) as client,
        client.stream(
            "POST", endpoint(base), content=msgspec.json.encode(request), headers=headers
        ) as response,
    ):
        received = bytearray()
        async for part in response.aiter_bytes():
            received += part
            if len(received) > MAX_RESPONSE:
                raise RerankError(f"The reranker answered with more than {MAX_RESPONSE} bytes.")
        return response.status_code, bytes(received)


def _read(body: bytes, texts: int) -> dict[int, float]:
    """The scores by place, of any of the shapes that servers answer in."""
    try:
        if body.lstrip().startswith(b"["):
            found = msgspec.json.decode(body, type=list[_Scored])
        else:
            answer = msgspec.json.decode(body, type=_Results)
            found = answer.results or answer.data or []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RerankError("The reranker's answer is not a list of scores.") from error
    scores: dict[int, float] = {}
    for one in found:
        score = one.score if one.relevance_score is None else one.relevance_score
        if not 0 <= one.index < texts or one.index in scores or score is None:
            raise RerankError("The reranker's answer names a passage that it was not given.")
        scores[one.index] = score
    if not scores:
        raise RerankError("The reranker's answer is empty.")
    return scores
