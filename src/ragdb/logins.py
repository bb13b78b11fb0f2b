"""Which login does what: the application's, the operator's, and how ragdb makes its own.

A login is named after its purpose and marked, in a comment on the role, with the database and the
RAGDB_HOME it was made for. Only a login with that mark is given a new password when the old one is
lost; where the name is taken by somebody else's, the next name is tried.
"""

from __future__ import annotations

import re
import secrets
import socket
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ragdb.db import Caller, Database
from ragdb.embedded import SUPERUSER, Server
from ragdb.paths import socket_dir
from ragdb.settings import Settings

DATABASE = "ragdb"

_LONGEST_NAME = 63

# Parts of a connection string that are the login's own, or were resolved into others.
_OWN_PARTS = frozenset(
    {"user", "dbname", "hostaddr", "service", "passfile", "options", "client_encoding",
     "application_name", "fallback_application_name"}
)  # fmt: skip


def is_embedded(settings: Settings) -> bool:
    """Whether the configured database is on the embedded server of this RAGDB_HOME."""
    if settings.database_url is None:
        return True
    try:
        parts = conninfo_to_dict(settings.database_url)
    except psycopg.ProgrammingError:
        return False
    host, port = str(parts.get("host", "")), str(parts.get("port", ""))
    return port.isdecimal() and Path(host) == socket_dir(settings.home, int(port))


def server(settings: Settings) -> Server:
    """The embedded server as the settings describe it."""
    return Server(settings.home, settings.listen_addresses, settings.port)


def operator_url(settings: Settings) -> str:
    """The login that may act for every organization, which no credentials file holds.

    On the embedded server it is the superuser, whose password only the owner of RAGDB_HOME reads.
    """
    if settings.operator_url is not None:
        return settings.operator_url
    if is_embedded(settings):
        name = conninfo_to_dict(settings.database_url or "").get("dbname", DATABASE)
        return superuser_url(server(settings), str(name))
    return settings.database_url or ""


def superuser_url(server: Server, database: str) -> str:
    """The superuser's connection string for one of the embedded server's databases."""
    return make_conninfo(server.superuser_url(), dbname=database, user=SUPERUSER)


def url_of(database: Database, login: str, password: str) -> str:
    """The URL by which a login reaches the database that this one is connected to."""
    info = database.connection.info
    options = {
        name: str(value)
        for name, value in conninfo_to_dict(info.dsn).items()
        if name not in _OWN_PARTS and (name, value) != ("sslcertmode", "allow")  # a default
    }
    options = {"host": info.host, "port": str(info.port)} | options
    host = options["host"]
    address = ""
    if not re.search(r"[/,:]", host):
        address = f"{host}:{options['port']}"
        del options["host"], options["port"]
    query = f"?{urlencode(options, quote_via=quote)}" if options else ""
    user, secret, name = (quote(part, safe="") for part in (login, password, info.dbname))
    return f"postgresql://{user}:{secret}@{address}/{name}{query}"


def mark(database: Database, home: Path, *, embedded: bool) -> str:
    """What the comment on a login says of where it belongs."""
    name = database.connection.info.dbname
    place = "" if embedded else f" {sha256(f'{socket.gethostname()}:{home}'.encode()).hexdigest()}"
    return f"ragdb: database {name}{place}"


def choose_name(database: Database, purpose: str, mark: str) -> tuple[str, bool]:
    """A name for a login, and whether it exists already and is ours."""
    suffix = re.sub(r"[^a-z0-9]+", "_", database.connection.info.dbname.lower())
    names = [purpose, f"{purpose}_{suffix}", f"{purpose}_{secrets.token_hex(4)}"]
    for name in (name[:_LONGEST_NAME] for name in names):
        found = database.connection.execute(
            "select shobj_description(r.oid, 'pg_authid') as mark"
            " from pg_catalog.pg_roles r where r.rolname = %s",
            (name,),
        ).fetchone()
        if found is None or found["mark"] == mark:
            return name, found is not None
    raise AssertionError("a random name is free")


def make_service_login(database: Database, mark: str) -> str:
    """Create the login that the application connects as, or give it a new password; its URL.

    It is a member of ragdb_service alone and so bound by row level security.
    """
    return _make_login(database, "ragdb_app", mark, "ragdb_service")


def make_worker_login(database: Database, mark: str) -> str:
    """Create the login that workers connect as, or give it a new password; its URL.

    It does jobs as a service would, and as ragdb_worker it says whose they are.
    """
    return _make_login(database, "ragdb_jobs", mark, "ragdb_service", "ragdb_worker")


def _make_login(database: Database, purpose: str, mark: str, *roles: str) -> str:
    name, exists = choose_name(database, purpose, mark)
    if not exists:
        groups = sql.SQL(", ").join(map(sql.Identifier, roles))
        database.connection.execute(
            sql.SQL("create role {} login in role {}").format(sql.Identifier(name), groups)
        )
        set_mark(database, name, mark)
    return url_of(database, name, new_password(database, name))


def make_analyst_login(database: Database, organization: str, mark: str) -> str:
    """Create the SQL login that reads one organization, or give it a new password; its URL."""
    purpose = f"ragdb_sql_{organization.replace('-', '_')}"
    name, exists = choose_name(database, purpose, mark)
    if not exists:
        create_analyst(database, name, organization)
        set_mark(database, name, mark)
    return url_of(database, name, new_password(database, name))


def create_analyst(database: Database, name: str, organization: str) -> str:
    """Create an SQL login that reads one organization; its URL."""
    password = secrets.token_urlsafe(24)
    database.call(
        Caller(role=None), "create_analyst",
        p_login=name, p_org=organization, p_password=database.encrypt_password(name, password),
    )  # fmt: skip
    return url_of(database, name, password)


def from_elsewhere(url: str, settings: Settings) -> str:
    """The URL by which others reach the embedded server, where it listens for them."""
    if not (is_embedded(settings) and settings.listen_addresses):
        return url
    host = settings.listen_addresses.split(",")[0].strip()
    if host in ("*", "0.0.0.0", "::"):  # noqa: S104
        host = socket.gethostname()
    address = f"[{host}]" if ":" in host else host
    login, _, rest = url.partition("@")
    name = rest.partition("?")[0].removeprefix("/")
    return f"{login}@{address}:{settings.port}/{name}"


def new_password(database: Database, login: str) -> str:
    """Give a login a random password, of which the server is told no more than it keeps."""
    password = secrets.token_urlsafe(24)
    database.connection.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(login), sql.Literal(database.encrypt_password(login, password))
        )
    )
    return password


def set_mark(database: Database, login: str, mark: str) -> None:
    """Write down where a login belongs."""
    database.connection.execute(
        sql.SQL("comment on role {} is {}").format(sql.Identifier(login), sql.Literal(mark))
    )
