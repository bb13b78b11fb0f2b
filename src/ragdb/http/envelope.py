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
from litestar.types import ASGIApp, HTTPScope, Message, Receive, ReceiveMessage, Scope, Send

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
        """Pass a request on in an envelope."""
        if scope["type"] == ScopeType.HTTP:
            exchange = _Exchange(scope, receive, send)
            await self._app(scope, exchange.receive, exchange.send)
        else:
            await self._app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._began = time.perf_counter()
        self._scope, self._receive, self._send = scope, receive, send
        headers = Headers.from_scope(scope)
        given = headers.get(REQUEST_ID, "")
        self._id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        self._status = 0
        self._has_unread_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        scope["state"]["request_id"] = self._id

    async def receive(self) -> ReceiveMessage:
        """Pass on a part of the body."""
        message = await self._receive()
        self._has_unread_body = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the response, and log the request after the last one."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableScopeHeaders.from_message(message)
            for name in _HEADERS:
                if name not in headers:
                    headers[name] = _HEADERS[name]
            headers[REQUEST_ID] = self._id
            if self._has_unread_body and self._scope["http_version"].startswith("1"):
                headers["Connection"] = "close"
        await self._send(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            fields = {
                "request_id": self._id,
                "method": self._scope["method"],
                "path": self._scope["path"],
                "status": self._status,
                "duration_ms": round(1000 * (time.perf_counter() - self._began), 2),
            }
            _log.info("request", extra={"fields": fields})
