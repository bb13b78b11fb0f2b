"""An embedding model behind an endpoint: OpenAI's `/v1/embeddings`, Ollama's or TEI's.

The endpoint is what an operator registered, and is not followed elsewhere: texts and key go to no
other host. What it says of an error is told in a few words at most, for it may quote the text.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from ragdb.embeddings.local import SHARED
from ragdb.errors import RagdbError

_MOST_BYTES_OF_A_NUMBER = 32
_OVERHEAD = 1_000_000
_PAUSE = 10.0
"""Seconds to leave a provider alone that has asked for it and not said how long."""
_LONG = 300.0
"""The same where an operator has to mend something first."""


class Provider(msgspec.Struct):
    """How to ask a model: ragdb_data._endpoint()."""

    model_no: int
    name: str
    protocol: str
    url: str
    model: str
    dimensions: int
    batch_size: int
    concurrency: int
    timeout: float
    limited: bool
    shorten: bool
    api_key_name: str | None = None


@dataclass(frozen=True)
class Embedded:
    """A vector for each text, as pgvector writes them, and how many tokens the provider counted."""

    vectors: list[str]
    tokens: int


class ProviderError(Exception):
    """There are no vectors; the message says why. `seconds`: how long it is sure to stay so."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class TextRefused(ProviderError):
    """It is one of the texts that the model does not take."""


class Busy(ProviderError):
    """The provider asks to be left alone for `wait` seconds."""

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message, wait)
        self.wait = wait


class _Place(msgspec.Struct):
    index: int
    embedding: list[float]


class _Usage(msgspec.Struct):
    total_tokens: int = 0
    prompt_tokens: int = 0


class _OpenAI(msgspec.Struct):
    data: list[_Place]
    usage: _Usage | None = None


class _Ollama(msgspec.Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int = 0


def client(url: str = "https:") -> httpx.AsyncClient:
    """A client for any endpoint, or that of a URL; its connections are used again."""
    return httpx.AsyncClient(follow_redirects=False, verify=_trust(url.startswith("https:")))


@functools.cache
def _trust(is_needed: bool) -> ssl.SSLContext:
    """Whom to trust: read once, for that takes longer than to embed a query; else nobody."""
    return httpx.create_ssl_context() if is_needed else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def embed(http: httpx.AsyncClient, provider: Provider, texts: Sequence[str]) -> Embedded:
    """The vectors of texts; raises TextRefused, Busy or another ProviderError."""
    if provider.protocol == "local":
        return await _local(provider, texts)
    try:
        async with asyncio.timeout(provider.timeout):
            response = await _post(http, provider, texts)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise ProviderError(f"no answer in {provider.timeout:g} s") from error
    except httpx.InvalidURL as error:
        raise ProviderError("its URL cannot be read", _LONG) from error
    except httpx.HTTPError as error:
        raise ProviderError(f"it cannot be reached ({type(error).__name__})") from error
    status, retry_after, body = response
    if status != 200:
        raise _refused(status, retry_after)
    return _read(provider, texts, body)


def endpoint(protocol: str, base: str) -> str:
    """The URL of a protocol below a base URL."""
    scheme, host, path, query, _ = urlsplit(base)
    path = path.rstrip("/")
    if protocol == "openai":
        path, last = path or "/v1", "/embeddings"
    else:
        last = "/api/embed" if protocol == "ollama" else "/embed"
    if not path.endswith(last):
        path += last
    return urlunsplit((scheme, host, path, query, ""))


def api_key(name: str | None) -> str | None:
    """A key from the environment; raises ProviderError where it should be there and is not."""
    if name is None:
        return None
    if key := os.environ.get(name):
        return key
    if file := os.environ.get(f"{name}_FILE"):
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderError(f"{name}_FILE: {file} cannot be read", _LONG) from error
    raise ProviderError(f"the environment variable {name} is not set here", _LONG)


async def _local(provider: Provider, texts: Sequence[str]) -> Embedded:
    """The transformer of this very process: nothing leaves it."""
    try:
        vectors, tokens = await SHARED.embed(texts, provider.model, provider.dimensions)
    except RagdbError as error:
        if error.problem.retry_after is not None:
            raise Busy(error.problem.message, error.problem.retry_after) from error
        raise ProviderError(error.problem.message, _LONG) from error
    return Embedded([_written(vector) for vector in vectors], tokens)


async def _post(
    http: httpx.AsyncClient, provider: Provider, texts: Sequence[str]
) -> tuple[int, str | None, bytes]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key := api_key(provider.api_key_name):
        headers["Authorization"] = f"Bearer {key}"
    most = _OVERHEAD + len(texts) * provider.dimensions * _MOST_BYTES_OF_A_NUMBER
    async with http.stream(
        "POST", endpoint(provider.protocol, provider.url), headers=headers,
        content=msgspec.json.encode(_request(provider, texts)), timeout=provider.timeout,
    ) as response:  # fmt: skip
        received = bytearray()
        async for part in response.aiter_bytes():
            received += part
            if len(received) > most:
                raise ProviderError("it answered with more than vectors of its dimensions", _LONG)
        return response.status_code, response.headers.get("Retry-After"), bytes(received)


def _request(provider: Provider, texts: Sequence[str]) -> dict[str, object]:
    if provider.protocol == "tei":
        return {"inputs": texts, "truncate": True, "normalize": True}
    request: dict[str, object] = {"model": provider.model, "input": texts}
    if provider.shorten:
        request["dimensions"] = provider.dimensions
    if provider.protocol == "openai":
        request["encoding_format"] = "float"
    else:
        request["truncate"] = True
    return request


def _refused(status: int, retry_after: str | None) -> ProviderError:
    said = f"it answered with HTTP status {status}"
    if status == 429 or (status == 503 and retry_after):
        return Busy(said, _seconds(retry_after))
    if status in (400, 413, 422):
        return TextRefused(said)
    return ProviderError(said, _LONG if 300 <= status < 500 and status != 408 else None)


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header says, a number or a date."""
    try:
        if retry_after is None:
            return _PAUSE
        if retry_after.strip().isdecimal():
            return max(1.0, float(retry_after))
        left = parsedate_to_datetime(retry_after) - datetime.now(UTC)
        return max(1.0, left.total_seconds())
    except (TypeError, ValueError):
        return _PAUSE


def _read(provider: Provider, texts: Sequence[str], body: bytes) -> Embedded:
    try:
        vectors, tokens = _decoded(provider.protocol, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError("its answer is not a list of vectors", _LONG) from error
    if len(vectors) != len(texts):
        raise ProviderError(f"it gave {len(vectors)} vectors for {len(texts)} texts", _LONG)
    for vector in vectors:
        if len(vector) != provider.dimensions:
            raise ProviderError(
                f"its vectors have {len(vector)} dimensions, not {provider.dimensions}", _LONG
            )
        if not any(vector):
            raise TextRefused("it gave no direction")
    estimate = sum(len(text) for text in texts) // 4 + 1
    return Embedded([_written(vector) for vector in vectors], tokens or estimate)


def _decoded(protocol: str, body: bytes) -> tuple[list[list[float]], int]:
    if protocol == "openai":
        answer = msgspec.json.decode(body, type=_OpenAI)
        places = sorted(answer.data, key=lambda place: place.index)
        if [place.index for place in places] != list(range(len(places))):
            raise ProviderError("its answer numbers the vectors wrongly", _LONG)
        usage = answer.usage or _Usage()
        return [place.embedding for place in places], usage.total_tokens or usage.prompt_tokens
    if protocol == "ollama":
        found = msgspec.json.decode(body, type=_Ollama)
        return found.embeddings, found.prompt_eval_count
    return msgspec.json.decode(body, type=list[list[float]]), 0


def _written(vector: list[float]) -> str:
    """At unit length, for half precision holds no large numbers."""
    length = sum(value * value for value in vector) ** 0.5
    return "[" + ",".join(f"{value / length:.5g}" for value in vector) + "]"
