"""HTTP as sources need it: signed in, patient, and never with a credential to somebody else.

Every address goes through the guard. What signs requests in is sent to one origin alone; a redirect
away from there goes without it. A server that asks to be left alone is, and one that has trouble is
asked again a few times. Messages name hosts, never whole addresses: those may hold tokens.
"""

from __future__ import annotations

import base64
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO
from urllib.parse import urlencode

import httpx
import msgspec

from ragdb.extraction.result import ExtractError
from ragdb.outbound import MAX_BYTES, name_of, request_to, save
from ragdb.sources.driver import SourceError, Tools

_ATTEMPTS = 5
_REDIRECTS = 5
_SECONDS = 120.0
_LONGEST_WAIT = 60.0
_TOO_MANY, _UNAUTHORIZED = frozenset({429, 503}), 401

Sign = Callable[[bool], Mapping[str, str]]
"""The headers that sign a request in; asked for anew (True) when they were refused."""


class Refused(SourceError):
    """An answer that is none: its status."""

    def __init__(self, host: str, status: int) -> None:
        code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 410: "gone"}
        message = f"{host} answers with the status {status}."
        super().__init__(code.get(status, "refused"), message, may_retry=status >= 500)
        self.status = status


@dataclass(frozen=True)
class Got:
    """An answer, its body in a file."""

    file: IO[bytes]
    headers: httpx.Headers
    url: str

    @property
    def name(self) -> str:
        return name_of(self.headers, self.url)

    def json(self) -> object:
        """The body; raises SourceError when it is no JSON."""
        with self.file as file:
            try:
                return msgspec.json.decode(file.read())
            except msgspec.DecodeError as error:
                host = httpx.URL(self.url).host
                raise SourceError("invalid_answer", f"{host} answers with no JSON.") from error


class Web:
    """A client for one source."""

    def __init__(self, tools: Tools, origin: str, sign: Sign | None = None) -> None:
        self._tools, self._origin, self._sign = tools, _origin(origin), sign
        self._client = httpx.Client(trust_env=False)

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Got:
        """Fetch, with the credential where it belongs; raises SourceError."""
        try:
            return self._patiently("GET", url, headers or {}, None)
        except Refused as error:
            if error.status != _UNAUTHORIZED or self._sign is None:
                raise
            self._sign(True)
            return self._patiently("GET", url, headers or {}, None)

    def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> object:
        """Send a form, for what is JSON."""
        content = urlencode(form).encode()
        typed = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
        return self._patiently("POST", url, typed, content).json()

    def _patiently(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Got:
        host = httpx.URL(url).host
        attempt = 0
        while True:
            self._tools.check()
            attempt += 1
            pause = 0.25 * 2**attempt * random.uniform(0.5, 1)  # noqa: S311
            problem: SourceError
            try:
                return self._follow(method, url, headers, content)
            except _Busy as busy:
                after = busy.seconds or pause
                problem = SourceError(
                    "rate_limited", f"{host} asks for fewer requests.", may_retry=True, after=after
                )
                if after > _LONGEST_WAIT:
                    raise problem from busy
                pause = after
            except Refused as refused:
                if refused.status < 500:
                    raise
                problem = refused
            except (httpx.HTTPError, OSError) as error:
                problem = SourceError(
                    "unreachable", f"{host} cannot be read: {type(error).__name__}.",
                    may_retry=True,
                )  # fmt: skip
            if attempt >= _ATTEMPTS:
                raise problem
            self._tools.wait(pause)

    def _follow(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> Got:
        until = time.monotonic() + _SECONDS
        for _ in range(_REDIRECTS + 1):
            signed = dict(headers)
            if self._sign is not None and _origin(url) == self._origin:
                signed |= self._sign(False)
            try:
                request = request_to(
                    self._client, url, self._tools.guard, until, method, signed, content
                )
                response = self._client.send(request, stream=True)
                try:
                    if not response.is_redirect:
                        return self._got(response, url, until)
                    url = str(httpx.URL(url).join(response.headers["Location"]))
                    method, content = "GET", None
                    if _origin(url) != self._origin:
                        headers = {}
                finally:
                    response.close()
            except httpx.InvalidURL as error:
                raise SourceError("invalid_address", "An address cannot be read.") from error
            except ExtractError as error:
                host = httpx.URL(url).host
                raise SourceError(error.code, error.message.replace(url, host)) from error
        raise SourceError("refused", f"{httpx.URL(url).host} redirects too often.")

    def _got(self, response: httpx.Response, url: str, until: float) -> Got:
        if response.status_code in _TOO_MANY:
            raise _Busy(_seconds(response.headers.get("Retry-After", "")))
        if response.status_code != 200:
            raise Refused(httpx.URL(url).host, response.status_code)
        file = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            save(response, httpx.URL(url).host, file, MAX_BYTES, until)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return Got(file, response.headers, url)


class _Busy(Exception):
    """A server that asks to be left alone for a while."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds


class ClientCredentials:
    """Signs in as an application (OAuth 2.0), and again shortly before a token ends."""

    def __init__(
        self, tools: Tools, token_url: str, client_id: str, secret: str, scope: str | None,
        *, in_form: bool = False,
    ) -> None:  # fmt: skip
        self._tools, self._url, self._until = tools, token_url, 0.0
        self._headers: Mapping[str, str] = {}
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._asking: Mapping[str, str] = {}
        if in_form:
            self._form |= {"client_id": client_id, "client_secret": secret}
        else:
            self._asking = basic(client_id, secret)

    def __call__(self, anew: bool) -> Mapping[str, str]:
        if anew or time.monotonic() > self._until:
            web = Web(self._tools, self._url)
            try:
                given = web.post_form(self._url, self._form, self._asking)
                token = msgspec.convert(given, _Token, strict=False)
            except Refused as error:
                raise SourceError("unauthorized", "The sign-in was refused.") from error
            except msgspec.ValidationError as error:
                raise SourceError("invalid_answer", "The sign-in returned no token.") from error
            finally:
                web.close()
            self._headers = {"Authorization": f"Bearer {token.access_token}"}
            self._until = time.monotonic() + max(token.expires_in - 60, 30)
        return self._headers


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 300.0


def basic(user: str, password: str) -> Mapping[str, str]:
    """The header that signs in with a password."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def _seconds(retry_after: str) -> float | None:
    """What a Retry-After header says: seconds, or a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max((moment - datetime.now(UTC)).total_seconds(), 0.1)
