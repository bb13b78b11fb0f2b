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
from litestar.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-ID"

_GIVEN_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class Envelope:
    """The outermost application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and say afterwards how it went."""
        began = time.perf_counter()
        given = Headers.from_scope(scope).get(REQUEST_ID, "")
        request_id = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope["state"]["request_id"] = request_id
        status = 0

        async def send_enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableScopeHeaders.from_message(message)
                headers[REQUEST_ID] = request_id
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)
            if message["type"] == "http.response.body" and not message["more_body"]:
                _log_request(scope, request_id, status, began)

        await self._app(scope, receive, send_enveloped)


def _log_request(scope: Scope, request_id: str, status: int, began: float) -> None:
    fields = {
        "request_id": request_id,
        "method": scope.get("method"),
        "path": scope["path"],
        "status": status,
        "duration_ms": round(1000 * (time.perf_counter() - began), 2),
    }
    _log.info("request", extra={"fields": fields})
