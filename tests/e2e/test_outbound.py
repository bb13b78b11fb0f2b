"""Fetching from the web: what is out of bounds, and what no server can do to the one that asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ragdb.extraction.result import ExtractError
from ragdb.outbound import Guard, fetch

PAGE = b"<title>Lemons</title><p>Lemons are sour."


class Site(BaseHTTPRequestHandler):
    """Pages, and what misbehaves."""

    hosts: list[str]

    def do_GET(self) -> None:
        type(self).hosts.append(self.headers["Host"])
        port = self.server.server_port  # pyright: ignore[reportAttributeAccessIssue]
        place = {
            "/moved": "/page",
            "/inside": f"http://127.0.0.2:{port}/page",
            "/metadata": "http://169.254.169.254/latest/meta-data/",
            "/file": "file:///etc/passwd",
            "/round": "/round",
        }.get(self.path)
        if place:
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()
        elif self.path == "/page":
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(PAGE)
        elif self.path == "/named":
            self.send_response(200)
            self.send_header("Content-Disposition", 'attachment; filename="../../a b.csv"')
            self.end_headers()
            self.wfile.write(b"a,b\n1,2\n")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65_536))
            except OSError:
                pass
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            try:
                while not stopped.wait(0.05):
                    self.wfile.write(b"x")
            except OSError:
                pass
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


stopped = threading.Event()


@pytest.fixture
def site() -> Iterator[str]:
    Site.hosts = []
    stopped.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        stopped.set()
        server.shutdown()


def refusal(url: str, guard: Guard, **limits: float) -> str:
    with pytest.raises(ExtractError) as caught, fetch(url, guard, **limits):  # pyright: ignore[reportArgumentType]
        pass
    return caught.value.code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "2130706433",
        "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "0x7f.1", "::1", "::",
        "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "ff02::1",
    ],
)  # fmt: skip
def test_addresses_out_of_bounds(host: str) -> None:
    with pytest.raises(ExtractError) as caught:
        Guard().resolve(host, 80)
    assert caught.value.code == "address_not_allowed"
    assert "RAGDB_ALLOW_HOSTS" in str(caught.value.hint)


def test_addresses_that_may_be_reached() -> None:
    assert Guard().resolve("93.184.215.14", 443) == "93.184.215.14"
    assert Guard().resolve("2606:2800:21f:cb07:6820:80da:af6b:8b2c", 443)
    assert Guard(["10.0.0.0/8"]).resolve("10.1.2.3", 80) == "10.1.2.3"
    assert Guard(["LOCALHOST"]).resolve("localhost", 80)
    assert Guard(["::1"]).resolve("::1", 80) == "::1"
    with pytest.raises(ExtractError):
        Guard(["10.0.0.0/8"]).resolve("127.0.0.1", 80)
    with pytest.raises(ExtractError) as caught:
        Guard().resolve("no-such-host.invalid", 80)
    assert caught.value.code == "host_not_found"


def test_a_page_is_fetched_by_the_name_it_was_asked_for(site: str) -> None:
    guard = Guard(["localhost"])
    url = site.replace("127.0.0.1", "localhost")
    with fetch(f"{url}/moved", guard) as found:
        assert found.file.read() == PAGE
        assert found.name == "page.html"
    assert {host.partition(":")[0] for host in Site.hosts} == {"localhost"}
    with fetch(f"{url}/named", guard) as found:
        assert found.name == "a b.csv"


def test_redirects_are_checked(site: str) -> None:
    guard = Guard(["127.0.0.1"])
    for path, code in (
        ("/inside", "address_not_allowed"),
        ("/metadata", "address_not_allowed"),
        ("/file", "address_not_allowed"),
        ("/round", "fetch_failed"),
        ("/missing", "fetch_failed"),
    ):
        assert refusal(site + path, guard) == code
    assert refusal(f"{site}/page", Guard()) == "address_not_allowed"


def test_size_and_time_are_bounded(site: str) -> None:
    guard = Guard(["127.0.0.1"])
    assert refusal(f"{site}/endless", guard, max_bytes=1_000_000) == "file_too_large"
    assert refusal(f"{site}/slow", guard, seconds=1) == "fetch_failed"


def test_a_proxy_of_the_environment_is_not_asked(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with fetch(f"{site}/page", Guard(["127.0.0.1"])) as found:
        assert found.file.read() == PAGE
