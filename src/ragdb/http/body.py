"""The body of a request: JSON, whatever happens to be sent."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State

from ragdb.db import Caller
from ragdb.errors import Problem, RagdbError

MAX_BODY = 256_000
"""Bytes; operations that take documents take more."""


class JsonRequest(Request[None, Caller, State]):
    """A request whose body is refused clearly where it is not JSON."""

    async def json(self) -> Any:
        """The decoded body."""
        media_type, _ = self.content_type
        if media_type not in ("", "application/json"):
            raise RagdbError(
                Problem(
                    415, "unsupported_media_type", f"The body is {media_type}, not JSON.",
                    "Send the header 'Content-Type: application/json'.",
                )
            )  # fmt: skip
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RagdbError(
                Problem(400, "invalid_json", f"The body is not JSON in UTF-8: {error}.")
            ) from error
