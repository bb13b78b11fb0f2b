"""Everything between installed packages and the first document: what `ragdb init` does.

Start the embedded server unless another database is configured, bring the schema to this version,
and make what is missing: a login for the application, an organization with its administrator, an
API key, a login for psql. The outcome is the credentials file; run again, nothing is left to do.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

from ragdb import __version__, install, logins
from ragdb.db import Caller, Database
from ragdb.embedded.errors import explained
from ragdb.errors import Problem, RagdbError
from ragdb.paths import CREDENTIALS, SECRET_KEY
from ragdb.sealing import make_key_file
from ragdb.settings import Settings, read_credentials, write_credentials

INSTALLER = "ragdb_installer"
ORGANIZATION = "default"

Progress = Callable[[str], None]

_OPERATOR = Caller(role="ragdb_admin")


@dataclass(frozen=True)
class Wishes:
    """What the operator asks for; without an organization, that of a working key stays."""

    organization: str | None = None
    name: str | None = None
    email: str = "admin@localhost"


@dataclass
class InitReport:
    """What there is now, and what had to be done for it."""

    home: Path
    embedded: bool
    database: str
    server: str
    organization: str
    email: str
    sql_login: str | None
    changes: list[str]
    version: str = __version__
    notes: list[str] = field(default_factory=list[str])

    @property
    def credentials(self) -> Path:
        return self.home / CREDENTIALS


def init(settings: Settings, wishes: Wishes, progress: Progress) -> InitReport:
    """Set up, or bring up to date; raises InstallError, EmbeddedError or RagdbError."""
    with _one_at_a_time(settings.home):
        changes: list[str] = []
        embedded = logins.is_embedded(settings)
        if embedded:
            url = _prepare_embedded(settings, changes, progress)
        else:
            url = settings.operator_url or settings.database_url or ""
        with Database.connect(url) as database:
            if not embedded and not _may_upgrade(database):
                return _verify(settings, database)
        report = install.upgrade(url, progress=progress)
        if report.changed:
            if report.previous is None:
                changes.append(f"Installed the schema of ragdb {report.version}")
            else:
                changes.append(f"Brought the schema from {report.previous} to {report.version}")
        with Database.connect(url) as database:
            return _complete(settings, wishes, database, changes)


def schema(database: Database) -> install.Check:
    """How the schema of the database compares with this code."""
    try:
        found = database.call(Caller(), "version", read_only=True)[0]
    except RagdbError as error:
        if error.problem.code != "not_installed":
            raise
        return install.Check("missing", None)
    return install.compare(found["version"], found["migrations"], found["repeatable"])


@contextmanager
def _one_at_a_time(home: Path) -> Generator[None]:
    with explained(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _prepare_embedded(settings: Settings, changes: list[str], progress: Progress) -> str:
    """Do what takes a superuser; the rest is left to the installer, whose URL is returned.

    The installer's password lives as long as one run.
    """
    server = logins.server(settings)
    if not server.status().ready:
        changes.append("Started PostgreSQL")
    server.start(progress)
    name = str(conninfo_to_dict(settings.database_url or "").get("dbname", logins.DATABASE))
    with Database.connect(server.superuser_url()) as postgres:
        execute = postgres.connection.execute
        installer, database = sql.Identifier(INSTALLER), sql.Identifier(name)
        if not execute("select from pg_roles where rolname = %s", (INSTALLER,)).fetchall():
            execute(sql.SQL("create role {} login createrole").format(installer))
        if not execute("select from pg_database where datname = %s", (name,)).fetchall():
            execute(sql.SQL("create database {} owner {}").format(database, installer))
            changes.append(f"Created the database {name}")
        password = logins.new_password(postgres, INSTALLER)
    with Database.connect(logins.superuser_url(server, name)) as superuser:
        superuser.connection.execute("create extension if not exists vector with schema public")
        superuser.connection.execute("alter extension vector update")
    return server.url(name, INSTALLER, password)


def _may_upgrade(database: Database) -> bool:
    found = database.connection.execute(
        "select r.rolsuper or r.rolcreaterole"
        " or coalesce(pg_has_role(to_regrole('ragdb_owner')::oid, 'set'), false) as may_upgrade"
        " from pg_catalog.pg_roles r where r.rolname = current_user"
    ).fetchone()
    return bool(found and found["may_upgrade"])


def _verify(settings: Settings, database: Database) -> InitReport:
    """With a login that may only use the database: everything has to be there already."""
    login = database.connection.info.user
    try:
        found = schema(database)
    except RagdbError as error:
        if error.problem.status not in (403, 422):
            raise
        found = None  # not even a login of the service, or a server without its roles
    if found and found.state == "newer":
        raise install.VersionMismatch(found.message)
    if not (found and found.ok):
        raise RagdbError(
            Problem(
                403, "no_upgrade_rights", f"The login {login} may not install or upgrade ragdb.",
                "Give one with CREATEROLE that owns the database: ragdb init --operator-url URL",
            )
        )  # fmt: skip
    caller = _caller_of(database, settings.api_key)
    if caller is None:
        raise RagdbError(
            Problem(
                403, "no_operator_rights",
                f"There is no valid API key, and the login {login} may not create one.",
                "Set RAGDB_API_KEY, or give an operator's login: ragdb init --operator-url URL",
            )
        )  # fmt: skip
    return _report(settings, database, caller, None, [])


def _complete(
    settings: Settings, wishes: Wishes, database: Database, changes: list[str]
) -> InitReport:
    """Make every credential that is missing or no longer works, and write them down."""
    kept = read_credentials(settings.home)
    embedded = logins.is_embedded(settings)
    mark = logins.mark(database, settings.home, embedded=embedded)
    url = kept.get("RAGDB_DATABASE_URL")
    if url is None or not _is_login_of(url, database):
        url = logins.make_service_login(database, mark)
        changes.append(f"Made the login {conninfo_to_dict(url)['user']} for the application")

    with Database.connect(url) as application:
        key = kept.get("RAGDB_API_KEY")
        caller = _caller_of(application, key)
        wanted = wishes.organization or (caller["organization"] if caller else ORGANIZATION)
        if key is None or caller is None or caller["organization"] != wanted:
            _make_organization(database, wanted, wishes, changes)
            key = _make_key(database, wanted)
            caller = database.call(Caller(api_key=key), "whoami")[0]
            changes.append(f"Created an API key for {caller['email']}")

    notes: list[str] = []
    analyst = kept.get("RAGDB_ANALYST_URL")
    if analyst is None or not _is_analyst_of(analyst, wanted, database):
        try:
            with Database.connect(logins.operator_url(settings)) as operator:
                analyst = logins.make_analyst_login(operator, wanted, mark)
            changes.append(f"Made the login {conninfo_to_dict(analyst)['user']} for psql")
        except RagdbError as error:
            if error.problem.status != 403:
                raise
            analyst = None
            notes.append(
                "No login for ragdb psql: this one may not create analysts. Make one with:"
                f" ragdb analyst create NAME --org {wanted}"
            )
    worker = kept.get("RAGDB_WORKER_URL")
    if worker is None or not _is_login_of(worker, database):
        worker = logins.make_worker_login(database, mark)
        changes.append(f"Made the login {conninfo_to_dict(worker)['user']} for workers")
    if (url, key, analyst, worker) != tuple(map(kept.get, _KEPT)):
        write_credentials(settings.home, url, key, analyst, worker)
        changes.append(f"Wrote {settings.home / CREDENTIALS}")
    if not settings.secret_key and make_key_file(settings.home):
        changes.append(f"Made a key for the secrets of data sources: {settings.home / SECRET_KEY}")
    report = _report(settings, database, caller, analyst, changes)
    report.notes = notes
    return report


_KEPT = ("RAGDB_DATABASE_URL", "RAGDB_API_KEY", "RAGDB_ANALYST_URL", "RAGDB_WORKER_URL")


def _is_login_of(url: str, database: Database) -> bool:
    """Whether the URL logs in to the same database."""
    try:
        with Database.connect(url) as other:
            return _identity(other) == _identity(database)
    except RagdbError:
        return False


def _is_analyst_of(url: str, organization: str, database: Database) -> bool:
    try:
        with Database.connect(url) as analyst:
            found = analyst.call(Caller(role=None), "whoami", read_only=True)
            version = analyst.call(Caller(role=None), "version", read_only=True)
    except RagdbError:
        return False
    same = version[0]["upgraded_at"] == _identity(database)[1]
    return same and bool(found) and found[0]["organization"] == organization


def _identity(database: Database) -> tuple[str, object]:
    """The moment of the last upgrade tells databases apart that have the same name."""
    found = database.call(Caller(), "version", read_only=True)[0]
    return database.connection.info.dbname, found["upgraded_at"]


def _caller_of(database: Database, key: str | None) -> DictRow | None:
    """Who the key stands for; None when it is not valid."""
    if not key:
        return None
    try:
        return database.call(Caller(api_key=key), "whoami", read_only=True)[0]
    except RagdbError as error:
        if error.problem.status != 401:
            raise
        return None


def _make_organization(database: Database, slug: str, wishes: Wishes, changes: list[str]) -> None:
    if any(row["slug"] == slug for row in database.call(_OPERATOR, "organizations")):
        return
    database.call(
        _OPERATOR, "create_organization",
        p_name=wishes.name or slug, p_slug=slug, p_admin_email=wishes.email,
    )  # fmt: skip
    changes.append(f"Created the organization {slug} with the administrator {wishes.email}")


def _make_key(database: Database, organization: str) -> str:
    operator = Caller(role="ragdb_admin", organization=organization)
    return database.call(operator, "create_api_key", p_name="init")[0]["key"]


def _report(
    settings: Settings,
    database: Database,
    caller: DictRow,
    analyst: str | None,
    changes: list[str],
) -> InitReport:
    version = database.connection.info.server_version
    return InitReport(
        home=settings.home,
        embedded=logins.is_embedded(settings),
        database=database.connection.info.dbname,
        server=f"PostgreSQL {version // 10000}.{version % 10000}",
        organization=caller["organization"],
        email=caller["email"],
        sql_login=str(conninfo_to_dict(analyst)["user"]) if analyst else None,
        changes=changes,
    )
