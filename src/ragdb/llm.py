"""A language model behind an OpenAI-compatible endpoint.

RAGDB_LLM_URL is the endpoint's base: `/chat/completions` is appended to it, after `/v1` where the
URL has no path of its own. So http://localhost:11434, http://localhost:11434/v1/ and
https://example.com/openai/v1 all work, and so does a URL that already ends in /chat/completions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from ragdb.settings import Settings

MAX_RESPONSE = 4_000_000
_NAMED_REASON = 200


class LlmError(Exception):
    """The model gave no answer; the message says why."""


class Message(msgspec.Struct):
    """One turn of the conversation that the model continues."""

    role: str
    content: str


class _Choice(msgspec.Struct):
    message: Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


class _Refusal(msgspec.Struct):
    message: str


class _Refused(msgspec.Struct):
    error: _Refusal


async def complete(settings: Settings, messages: Sequence[Message]) -> str:
    """What the model says next; raises LlmError, within RAGDB_LLM_TIMEOUT seconds."""
    if settings.llm_url is None:
        raise LlmError("RAGDB_LLM_URL is not set.")
    request: dict[str, object] = {"messages": messages}
    if settings.llm_model is not None:
        request["model"] = settings.llm_model
    try:
        async with asyncio.timeout(settings.llm_timeout):
            status, body = await _post(settings, settings.llm_url, msgspec.json.encode(request))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise LlmError(f"The model did not answer in {settings.llm_timeout:g} s.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise LlmError(f"The model cannot be reached: {error or type(error).__name__}.") from error
    if status != 200:
        raise LlmError(f"The model answered with HTTP status {status}{_reason(body)}.")
    return _text(body)


def endpoint(base: str) -> str:
    """The URL of chat completions below a base URL."""
    scheme, host, path, query, _ = urlsplit(base)
    path = path.rstrip("/") or "/v1"
    if not path.endswith("/chat/completions"):
        path += "/chat/completions"
    return urlunsplit((scheme, host, path, query, ""))


async def _post(settings: Settings, base: str, body: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if settings.llm_key is not None:
        headers["Authorization"] = f"Bearer {settings.llm_key}"
    # Redirects are not followed: prompt and key go to the host that was configured, and no other.
    async with (
        httpx.AsyncClient(timeout=settings.llm_timeout) as client,
        client.stream("POST", endpoint(base), content=body, headers=headers) as response,
    ):
        received = bytearray()
        async for part in response.aiter_bytes():
            received += part
            if len(received) > MAX_RESPONSE:
                raise LlmError(f"The model answered with more than {MAX_RESPONSE} bytes.")
        return response.status_code, bytes(received)


def _text(body: bytes) -> str:
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LlmError("The model's answer is not a chat completion.") from error
    # A NUL character is the one thing PostgreSQL cannot store.
    text = completion.choices[0].message.content.replace("\0", "") if completion.choices else ""
    if not text.strip():
        raise LlmError("The model's answer is empty.")
    return text


def _reason(body: bytes) -> str:
    """What an OpenAI-compatible server says of an error."""
    try:
        said = msgspec.json.decode(body, type=_Refused).error.message
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return f" ({' '.join(said.split())[:_NAMED_REASON]})"
