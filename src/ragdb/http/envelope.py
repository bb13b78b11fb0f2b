"""What every response gets and every request leaves behind: an id, security headers, a log line.

It wraps the whole application, because Litestar's own middleware does not see requests that match
no route.
"""

from __future__ import annotations

import logging
import re
import time
from uuid import uuid4

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"

_GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Server": "ragdb",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class Envelope:
    """The outermost application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and say afterwards how it went."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers.from_scope(scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope["state"]["request_id"] = request_id
        fields: dict[str, object] = {
            "request_id": request_id, "method": scope["method"], "path": scope["path"]
        }  # fmt: skip

        async def send_enveloped(message: Message) -> None:
            if message["type"] == "http.response.start":
                fields["status"] = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers[REQUEST_ID] = request_id
                for name, value in _HEADERS.items():
                    if name not in headers:
                        headers[name] = value
            await send(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                fields["duration_ms"] = round(1000 * (time.perf_counter() - began), 2)
                _log.info("request", extra={"fields": fields})

        await self._app(scope, receive, send_enveloped)
