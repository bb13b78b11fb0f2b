"""Fetching what somebody else named: addresses of this machine and its network are out of bounds.

A host name is resolved once, what it resolves to is checked, and the connection goes to that very
address, so that a second answer of the name server changes nothing. Every redirect is checked like
the first address. Hosts and networks that are meant to be reached are allowed by RAGDB_ALLOW_HOSTS.
Proxies of the environment are not used: they would resolve the name again.
"""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

import httpx

from ragdb import __version__
from ragdb.extraction.result import ExtractError

MAX_BYTES = 64_000_000
SECONDS = 120.0

_REDIRECTS = 5
_CONNECT_SECONDS = 15.0
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_SUFFIXES = {"text/html": ".html", "text/markdown": ".md", "text/csv": ".csv",
             "application/json": ".json", "application/xhtml+xml": ".xhtml",
             "message/rfc822": ".eml", "application/x-ndjson": ".jsonl"}  # fmt: skip

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Fetched:
    """What was behind a URL, in a file that goes when the block ends."""

    file: IO[bytes]
    name: str
    """What to call it: its suffix is what the server says of the format."""


class Guard:
    """Decides which addresses may be reached."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._hosts = {entry.lower() for entry in allowed if not _is_network(entry)}
        self._networks = [
            ipaddress.ip_network(entry, strict=False) for entry in allowed if _is_network(entry)
        ]

    def resolve(self, host: str, port: int) -> str:
        """The address to connect to; raises ExtractError for one that is out of bounds."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ExtractError(
                "host_not_found", f"The host {host} is not known.", "Check the address."
            ) from error
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        for address in addresses:
            if not self._allows(host, ipaddress.ip_address(address)):
                raise ExtractError(
                    "address_not_allowed",
                    f"{host} is at {address}, an address inside this machine's own network.",
                    "If it is meant to be reached, name host or network in RAGDB_ALLOW_HOSTS.",
                )
        return addresses[0]

    def allows(self, host: str, address: str) -> bool:
        """Whether a connection to this address may be made on behalf of the host."""
        return self._allows(host, ipaddress.ip_address(address))

    def _allows(self, host: str, address: Address) -> bool:
        if host.lower().rstrip(".") in self._hosts or any(
            address in network for network in self._networks
        ):
            return True
        embedded = _embedded(address)
        if embedded is not None and not self._allows("", embedded):
            return False
        return address.is_global and not address.is_multicast


@contextmanager
def fetch(
    url: str, guard: Guard, *, max_bytes: int = MAX_BYTES, seconds: float = SECONDS
) -> Generator[Fetched]:
    """Fetch a document; raises ExtractError."""
    until = time.monotonic() + seconds
    with tempfile.TemporaryFile() as file, httpx.Client(trust_env=False) as client:
        try:
            name = _follow(client, url, guard, file, max_bytes, until)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise ExtractError(
                "fetch_failed", f"{url} cannot be fetched: {type(error).__name__}: {error}."
            ) from error
        file.seek(0)
        yield Fetched(file, name)


def _follow(
    client: httpx.Client, url: str, guard: Guard, file: IO[bytes], max_bytes: int, until: float
) -> str:
    for _ in range(_REDIRECTS + 1):
        request = request_to(client, url, guard, until)
        response = client.send(request, stream=True)
        try:
            if response.is_redirect:
                # The request's own address is a number.
                url = str(httpx.URL(url).join(response.headers["Location"]))
                continue
            if response.status_code != 200:
                raise ExtractError(
                    "fetch_failed", f"{url} answers with the status {response.status_code}."
                )
            save(response, url, file, max_bytes, until)
            return name_of(response.headers, url)
        finally:
            response.close()
    raise ExtractError("fetch_failed", f"{url} is behind more than {_REDIRECTS} redirects.")


def request_to(
    client: httpx.Client, url: str, guard: Guard, until: float, method: str = "GET",
    headers: Mapping[str, str] | None = None, content: bytes | None = None,
) -> httpx.Request:  # fmt: skip
    """A request that goes to the address which was checked; raises ExtractError."""
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ExtractError(
            "address_not_allowed", f"{url} is no address of the web.",
            "It must begin with https:// or http://.",
        )  # fmt: skip
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    address = guard.resolve(parsed.host, port)
    left = until - time.monotonic()
    if left <= 0:
        raise _too_slow(url)
    return client.build_request(
        method,
        parsed.copy_with(host=address),
        content=content,
        headers={
            **(headers or {}),
            "Host": parsed.netloc.decode("ascii").rpartition("@")[2],
            "User-Agent": f"ragdb/{__version__}",
            "Accept-Encoding": "identity",
        },
        extensions={"sni_hostname": parsed.raw_host.decode("ascii")},
        timeout=httpx.Timeout(left, connect=min(left, _CONNECT_SECONDS)),
    )


def save(response: httpx.Response, url: str, file: IO[bytes], max_bytes: int, until: float) -> None:
    """Write a body to a file; raises ExtractError when it is too large or too slow."""
    saved = 0
    for piece in response.iter_bytes():
        saved += len(piece)
        if saved > max_bytes:
            raise ExtractError(
                "file_too_large", f"{url} has more than {max_bytes} bytes.",
                "Fetch it yourself and divide it.",
            )  # fmt: skip
        if time.monotonic() > until:
            raise _too_slow(url)
        file.write(piece)


def name_of(headers: httpx.Headers, url: str) -> str:
    """What to call what was fetched: its suffix is what the server says of the format."""
    said = EmailMessage()
    said["Content-Type"] = headers.get("Content-Type", "application/octet-stream")
    said["Content-Disposition"] = headers.get("Content-Disposition", "inline")
    path = PurePosixPath(unquote(urlsplit(url).path)).name
    name = PurePosixPath(said.get_filename() or path or urlsplit(url).hostname or "page").name
    suffix = _SUFFIXES.get(said.get_content_type())
    return name if suffix is None or name.lower().endswith(suffix) else name + suffix


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def _is_network(entry: str) -> bool:
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return True


def _too_slow(url: str) -> ExtractError:
    return ExtractError("fetch_failed", f"Fetching {url} took too long.")
