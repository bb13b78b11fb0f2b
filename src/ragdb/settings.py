"""The settings of a process: read once from the environment and the credentials file.

Plain dataclasses, because every command pays for this import. A secret can also be given as a
file: RAGDB_API_KEY_FILE names a file that holds what RAGDB_API_KEY would. An empty variable
counts as unset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragdb.paths import CREDENTIALS, SECRET_KEY, default_home, write_private

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
_CREDENTIAL_KEYS = (
    "RAGDB_DATABASE_URL", "RAGDB_API_KEY", "RAGDB_ANALYST_URL", "RAGDB_WORKER_URL"
)  # fmt: skip


class SettingsError(Exception):
    """A setting has a value that cannot be used; the message names the setting."""


@dataclass(frozen=True)
class Settings:
    """What the environment says, and in `sources` where each value came from."""

    home: Path
    database_url: str | None = field(repr=False)
    """A URL; an empty string for libpq's own PG* variables; None for the embedded server."""
    api_key: str | None = field(repr=False)
    analyst_url: str | None = field(repr=False)
    """The URL of an SQL login that reads one organization, for psql."""
    worker_url: str | None = field(repr=False)
    """The URL of the login that `ragdb worker` connects as."""
    operator_url: str | None = field(repr=False)
    """The URL of a login that may act for every organization; never kept in the file."""
    llm_url: str | None
    llm_model: str | None
    llm_key: str | None = field(repr=False)
    llm_timeout: float
    rerank_url: str | None
    rerank_model: str | None
    rerank_api_key: str | None = field(repr=False)
    rerank_timeout: float
    embedding_threads: int | None
    """Of the local model; by default half of the processors."""
    listen_addresses: str
    port: int
    http_host: str
    http_port: int
    allow_hosts: tuple[str, ...]
    """Hosts and networks of one's own that may be fetched from."""
    source_folders: tuple[str, ...]
    """Folders that data sources may be read from; `slug=/path` for those of one organization."""
    secret_key: str | None = field(repr=False)
    """The keys that secrets of data sources are sealed with."""
    sources: Mapping[str, str]

    def current_secret_key(self) -> str | None:
        """The keys as they are at this moment: rotation changes the file beside its readers."""
        if self.sources["secret_key"] in ("RAGDB_SECRET_KEY", "RAGDB_SECRET_KEY_FILE"):
            return self.secret_key
        return read_key_file(self.home)


def load(home: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; `home` wins over RAGDB_HOME."""
    try:
        reader = _Reader(environ, home.resolve() if home else default_home(environ))
    except RuntimeError as error:  # an account without a home directory
        raise SettingsError("RAGDB_HOME: set it, this account has no home directory.") from error
    reader.sources["home"] = "argument" if home else reader.origin("RAGDB_HOME")
    return Settings(
        home=reader.home,
        database_url=reader.database_url(),
        api_key=reader.secret("api_key", "RAGDB_API_KEY") or reader.credential("api_key"),
        analyst_url=reader.secret("analyst_url", "RAGDB_ANALYST_URL")
        or reader.credential("analyst_url"),
        worker_url=reader.secret("worker_url", "RAGDB_WORKER_URL")
        or reader.credential("worker_url"),
        operator_url=reader.secret("operator_url", "RAGDB_OPERATOR_URL"),
        llm_url=reader.url("llm_url", "RAGDB_LLM_URL"),
        llm_model=reader.text("llm_model", "RAGDB_LLM_MODEL"),
        llm_key=reader.secret("llm_key", "RAGDB_LLM_KEY"),
        llm_timeout=reader.seconds("llm_timeout", "RAGDB_LLM_TIMEOUT", 60.0),
        rerank_url=reader.url("rerank_url", "RAGDB_RERANK_URL"),
        rerank_model=reader.text("rerank_model", "RAGDB_RERANK_MODEL"),
        rerank_api_key=reader.secret("rerank_api_key", "RAGDB_RERANK_API_KEY"),
        rerank_timeout=reader.seconds("rerank_timeout", "RAGDB_RERANK_TIMEOUT", 10.0),
        embedding_threads=reader.threads("embedding_threads", "RAGDB_EMBEDDING_THREADS"),
        listen_addresses=reader.addresses("listen_addresses", "RAGDB_LISTEN_ADDRESSES"),
        port=reader.port("port", "RAGDB_PORT", 5432),
        http_host=reader.text("http_host", "RAGDB_HTTP_HOST") or "127.0.0.1",
        http_port=reader.port("http_port", "RAGDB_HTTP_PORT", 8000),
        allow_hosts=reader.hosts("allow_hosts", "RAGDB_ALLOW_HOSTS"),
        source_folders=reader.folders("source_folders", "RAGDB_SOURCE_FOLDERS"),
        secret_key=reader.secret("secret_key", "RAGDB_SECRET_KEY") or reader.key_file("secret_key"),
        sources=reader.sources,
    )


def read_credentials(home: Path) -> dict[str, str]:
    """The lines of the credentials file; empty when there is none."""
    path = home / CREDENTIALS
    values: dict[str, str] = {}
    for number, line in enumerate(_read(path, missing_ok=True).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or name not in _CREDENTIAL_KEYS:
            known = " or ".join(f"{key}=..." for key in _CREDENTIAL_KEYS)
            raise SettingsError(f"{path}, line {number}: expected {known}.")
        values[name] = value.strip()
    return values


def write_credentials(
    home: Path, url: str, key: str, analyst_url: str | None = None, worker_url: str | None = None
) -> None:
    """Replace the credentials file, which every command reads after flag and environment."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = dict(zip(_CREDENTIAL_KEYS, (url, key, analyst_url, worker_url), strict=True))
    if any("\n" in value or "\r" in value for value in values.values() if value):
        raise SettingsError("A credential must not contain a line break.")
    lines = (f"{name}={value}\n" for name, value in values.items() if value)
    write_private(home / CREDENTIALS, "".join(lines))


class _Reader:
    """Takes values from the environment and remembers each one's source."""

    def __init__(self, environ: Mapping[str, str], home: Path) -> None:
        self.environ = environ
        self.home = home
        self.sources: dict[str, str] = {}
        self._credentials: dict[str, str] | None = None

    def origin(self, variable: str) -> str:
        return variable if self.environ.get(variable) else "default"

    def text(self, name: str, variable: str) -> str | None:
        value = self.environ.get(variable) or None
        self.sources[name] = self.origin(variable)
        return value

    def secret(self, name: str, variable: str) -> str | None:
        value = self.text(name, variable)
        file_variable = f"{variable}_FILE"
        file = self.environ.get(file_variable)
        if not file:
            return value
        if value:
            raise SettingsError(f"{variable} and {file_variable} are both set; keep one.")
        value = _read(Path(file), variable=file_variable).strip()
        if not value:
            raise SettingsError(f"{file_variable}: {file} is empty.")
        self.sources[name] = file_variable
        return value

    def credential(self, name: str) -> str | None:
        if self._credentials is None:
            self._credentials = read_credentials(self.home)
        value = self._credentials.get(f"RAGDB_{name.upper()}")
        if value:
            self.sources[name] = str(self.home / CREDENTIALS)
        return value or None

    def database_url(self) -> str | None:
        name = "database_url"
        for variable in ("RAGDB_DATABASE_URL", "DATABASE_URL"):
            if value := self.secret(name, variable):
                return value
        if variable := next((v for v in _LIBPQ if self.environ.get(v)), None):
            self.sources[name] = variable
            return ""
        if value := self.credential(name):
            return value
        self.sources[name] = "embedded"
        return None

    def url(self, name: str, variable: str) -> str | None:
        value = self.text(name, variable)
        if value and not re.match(r"https?://[^/\s]+", value):
            raise SettingsError(f"{variable} must be an http:// or https:// URL.")
        return value

    def seconds(self, name: str, variable: str, default: float) -> float:
        value = self.text(name, variable)
        if value is None:
            return default
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 86_400:
            raise SettingsError(f"{variable} must be a number of seconds above 0, not {value!r}.")
        return seconds

    def threads(self, name: str, variable: str) -> int | None:
        value = self.text(name, variable)
        if value is None:
            return None
        if not re.fullmatch(r"[0-9]{1,3}", value) or not 0 < int(value) <= 256:
            raise SettingsError(f"{variable} must be a number from 1 to 256, not {value!r}.")
        return int(value)

    def port(self, name: str, variable: str, default: int) -> int:
        value = self.text(name, variable)
        if value is None:
            return default
        if not re.fullmatch(r"[0-9]{1,5}", value) or not 0 < int(value) < 65_536:
            raise SettingsError(f"{variable} must be a port from 1 to 65535, not {value!r}.")
        return int(value)

    def addresses(self, name: str, variable: str) -> str:
        value = self.text(name, variable) or ""
        if not re.fullmatch(r"[A-Za-z0-9.:*_, -]*", value):
            raise SettingsError(
                f"{variable} must be host names or addresses with commas between, not {value!r}."
            )
        return value

    def hosts(self, name: str, variable: str) -> tuple[str, ...]:
        value = self.text(name, variable) or ""
        if not re.fullmatch(r"[A-Za-z0-9.:_/, -]*", value):
            raise SettingsError(
                f"{variable} must be host names, addresses or networks like 10.0.0.0/8 with commas"
                f" between, not {value!r}."
            )
        return tuple(entry for entry in re.split(r"[, ]+", value) if entry)

    def folders(self, name: str, variable: str) -> tuple[str, ...]:
        value = self.text(name, variable) or ""
        entries = tuple(entry for entry in value.split(os.pathsep) if entry)
        if not all(re.match(r"([a-z0-9-]+=)?/", entry) for entry in entries):
            raise SettingsError(
                f"{variable} must be absolute paths with {os.pathsep} between, or slug=/path for"
                f" those of one organization, not {value!r}."
            )
        return entries

    def key_file(self, name: str) -> str | None:
        value = read_key_file(self.home)
        if value:
            self.sources[name] = str(self.home / SECRET_KEY)
        return value


def read_key_file(home: Path) -> str | None:
    """The keys in the file of a home; None where there are none."""
    return _read(home / SECRET_KEY, missing_ok=True).strip() or None


def _read(path: Path, variable: str | None = None, missing_ok: bool = False) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if missing_ok:
            return ""
        raise SettingsError(f"{variable}: {path} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsError(
            f"{variable or 'RAGDB_HOME'}: {path} cannot be read ({reason}). Run this as the "
            f"file's owner, or choose another."
        ) from error
