"""Services that sources are read from, over real HTTP: a list of records, and Microsoft Graph."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, dict[str, str], bytes]


def as_json(value: object, status: int = 200, **headers: str) -> Answer:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


@dataclass
class Request:
    """What a service was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str]


@contextmanager
def serving(answer: Callable[[Request], Answer]) -> Iterator[str]:
    """A server for as long as the block runs; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            url = urlsplit(self.path)
            asked = Request(
                self.command, url.path, _first(url.query), dict(self.headers.items()),
                _first(self.rfile.read(size).decode()),
            )  # fmt: skip
            status, headers, body = answer(asked)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _first(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


@dataclass
class Records:
    """A service that lists records, in every way in which services do."""

    records: list[dict[str, Any]]
    size: int = 7
    sign: dict[str, str] = field(default_factory=dict)
    """Headers without which it answers 401."""
    token: str = ""
    """What its sign-in hands out next."""
    busy: int = 0
    """How many requests it refuses before it answers again."""
    on_page: Callable[[int], None] = lambda page: None
    asked: list[Request] = field(default_factory=list)

    def __call__(self, asked: Request) -> Answer:
        self.asked.append(asked)
        if asked.path == "/token":
            secret = base64.b64encode(b"app:hunter2").decode()
            if asked.headers.get("Authorization") != f"Basic {secret}":
                return as_json({"error": "invalid_client"}, 401)
            self.sign = {"Authorization": f"Bearer {self.token}"}
            return as_json({"access_token": self.token, "expires_in": 3600})
        if any(asked.headers.get(name) != value for name, value in self.sign.items()):
            return as_json({"error": "who are you"}, 401)
        if self.busy > 0:
            self.busy -= 1
            return as_json({}, 429, **{"Retry-After": "0"})
        if asked.path.startswith("/files/"):
            return 200, {"Content-Type": "text/html"}, b"<h1>Ferries</h1><p>They leave at noon."
        return self._page(asked) if asked.path == "/records" else as_json({}, 404)

    def _page(self, asked: Request) -> Answer:
        query = asked.query
        since = query.get("since", "")
        found = [one for one in self.records if one.get("modified", "") >= since]
        if "page" in query:
            start = (int(query["page"]) - 1) * self.size
        else:
            start = int(query.get("offset") or query.get("cursor") or 0)
        self.on_page(start // self.size)
        held, end = found[start : start + self.size], start + self.size
        more = str(end) if end < len(found) else None
        headers = {}
        if more:
            before, after = '</records?cursor=0>; rel="prev"', f"</records?cursor={end}>"
            headers["Link"] = f'{before}, {after}; rel="next"'
        answer = {
            "data": {"items": held}, "cursor": more,
            "next": more and f"/records?cursor={more}",
        }  # fmt: skip
        return as_json(answer, **headers)


@dataclass
class Graph:
    """Microsoft Graph, as far as delta queries of libraries go; every change has a number."""

    files: dict[str, tuple[int, str, bytes | None]] = field(default_factory=dict)
    """By id: the number of the last change, the path, the content or None once deleted."""
    number: int = 0
    oldest: int = 0
    """Links that are older are not known any more."""
    page: int = 3
    tokens: int = 0
    busy: int = 0
    refused: set[str] = field(default_factory=set)
    """Ids whose download fails."""
    downloads: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    """Credentials that reached the server of downloads, which is none of theirs."""
    base: str = ""
    elsewhere: str = ""

    def put(self, name: str, path: str, content: bytes | None) -> None:
        self.number += 1
        self.files[name] = (self.number, path, content)

    def __call__(self, asked: Request) -> Answer:
        if asked.path == "/contoso/oauth2/v2.0/token":
            if asked.form.get("client_secret") != "s3cr3t-of-contoso":
                return as_json({"error": "invalid_client"}, 401)
            self.tokens += 1
            return as_json({"access_token": f"token{self.tokens}", "expires_in": "3599"})
        if asked.headers.get("Authorization") != f"Bearer token{self.tokens}":
            return as_json({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        if self.busy > 0:
            self.busy -= 1
            return as_json({"error": {"code": "activityLimitReached"}}, 429, **{"Retry-After": "0"})
        parts = asked.path.split("/")[2:]
        if parts[0] == "sites":
            return as_json({"value": [{"id": "b!lib"}]})
        if parts[-1] == "content":
            if parts[3] in self.refused:
                return as_json({}, 404)
            location = f"{self.elsewhere}/{parts[3]}?tempauth=t0p"
            return 302, {"Location": location}, b""
        return self._delta(asked)

    def _delta(self, asked: Request) -> Answer:
        since, _, at = asked.query.get("token", "0").partition("-")
        if int(since) and int(since) < self.oldest:
            return as_json({"error": {"code": "resyncRequired"}}, 410)
        changed = sorted(
            (number, name) for name, (number, _, content) in self.files.items()
            if number > int(since) and (content is not None or int(since))
        )  # fmt: skip
        start = int(at or 0)
        page = changed[start : start + self.page]
        link = "/".join((self.base, "v1.0", "drives", "b!lib", "root", "delta?token="))
        answer: dict[str, Any] = {"value": [self._item(name) for _, name in page]}
        if start == 0:
            answer["value"].insert(0, {"id": "root", "name": "root", "root": {}, "folder": {}})
        if start + self.page < len(changed):
            answer["@odata.nextLink"] = f"{link}{since}-{start + self.page}"
        else:
            answer["@odata.deltaLink"] = f"{link}{self.number}"
        return as_json(answer)

    def _item(self, name: str) -> dict[str, Any]:
        number, path, content = self.files[name]
        if content is None:
            return {"id": name, "deleted": {"state": "deleted"}}
        folder, _, last = path.rpartition("/")
        return {
            "id": name, "name": last, "eTag": f'"{name},{number}"', "size": len(content),
            "webUrl": f"https://contoso.sharepoint.test/{path}",
            "lastModifiedDateTime": "2026-01-02T03:04:05Z",
            "parentReference": {"path": f"/drives/b!lib/root:/{folder}"},
            "file": {"mimeType": "text/plain"},
        }  # fmt: skip

    def download(self, asked: Request) -> Answer:
        """The server that redirects lead to."""
        if "Authorization" in asked.headers:
            self.leaked.append(asked.headers["Authorization"])
        name = asked.path.strip("/")
        self.downloads.append(name)
        return 200, {"Content-Type": "application/octet-stream"}, self.files[name][2] or b""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Reachable for as long as the block runs."""
        with serving(self) as self.base, serving(self.download) as self.elsewhere:
            yield
