"""Connection strings: postgresql://user:password@host:5432/name?tls=verify and the like.

What drivers would otherwise take from a connection string, such as files to read, sockets of this
machine or further hosts to try, is no part of it here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from ragdb.sources.driver import SourceError

Kind = Literal["postgresql", "mysql", "oracle"]
Tls = Literal["off", "prefer", "require", "verify"]

KINDS: dict[str, Kind] = {
    "postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql",
    "oracle": "oracle",
}  # fmt: skip
"""What kind of server a scheme means."""

_PORTS: dict[Kind, int] = {"postgresql": 5432, "mysql": 3306, "oracle": 1521}
_TLS: dict[str, Tls] = {
    "off": "off", "disable": "off", "prefer": "prefer", "require": "require", "verify": "verify",
    "verify-full": "verify",
}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where a database is, and as whom to connect."""

    kind: Kind
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    """Of Oracle the service name, or the SID."""
    tls: Tls
    is_sid: bool = False


def parse(url: str) -> Address:
    """Read a connection string; raises SourceError, which quotes none of it but option names."""
    if not url.strip():
        raise _invalid("there is none; it is the secret url")
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _invalid(
            "host or port cannot be read; a / or [ in a password is %2F or %5B"
        ) from None
    kind = KINDS.get(parts.scheme)
    if kind is None:
        raise _invalid(f"it does not begin with one of {', '.join(f'{s}://' for s in KINDS)}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not host or "," in host:
        raise _invalid("it names no host, or more than one")
    if not user:
        raise _invalid("it names no user")
    tls = options.pop("tls", None) or options.pop("sslmode", None)
    sid = options.pop("sid", None) if kind == "oracle" else None
    if options:
        raise _invalid(f"the option {sorted(options)[0]} is not known; there are tls, sid")
    if tls is not None and tls not in _TLS:
        raise _invalid("tls is one of off, prefer, require, verify")
    if kind == "oracle" and tls == "prefer":
        raise _invalid("Oracle has no tls=prefer: its encrypted port is another one")
    database = sid or unquote(parts.path.removeprefix("/"))
    if not database:
        raise _invalid("it names no database")
    if any("\0" in text for text in (host, user, password, database)):
        raise _invalid("it contains a NUL character")
    default: Tls = "off" if kind == "oracle" else "prefer"
    return Address(
        kind, host, port or _PORTS[kind], user, password, database,
        _TLS[tls] if tls else default, sid is not None,
    )  # fmt: skip


def _invalid(why: str) -> SourceError:
    return SourceError("invalid_connection", f"The connection string cannot be used: {why}.")
