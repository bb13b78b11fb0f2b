"""The embedded server through its whole life: real processes, real crashes, real permissions."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from places import roomy_memory
from ragdb import settings
from ragdb.embedded import EmbeddedError, Server
from ragdb.settings import SettingsError

START = """\
import sys
from pathlib import Path
from ragdb.embedded import Server
Server.default(Path(sys.argv[1])).start()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")


@pytest.fixture(scope="module", autouse=True)
def own_environment() -> Iterator[None]:
    """No setting of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("PG", "RAGDB_")) or name == "DATABASE_URL":
                patch.delenv(name)
        yield


@contextmanager
def short_directory() -> Generator[Path]:
    """A directory with a short name, for a socket's path must stay below 108 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/tmp")).resolve()
    directory.chmod(0o755)
    yield directory
    for lock in (*directory.glob("*/lock"), *directory.glob("*/*/lock")):
        Server(lock.parent).stop()
    shutil.rmtree(directory)


@pytest.fixture
def place() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory


@pytest.fixture
def fresh(place: Path) -> Server:
    """A server that was never started."""
    return Server.default(place / "home")


@pytest.fixture(scope="module")
def kept(own_environment: None) -> Iterator[Server]:
    with short_directory() as directory:
        yield Server.default(directory / "home")


@pytest.fixture
def server(kept: Server) -> Server:
    """A running server that has seen other tests."""
    kept.start()
    return kept


def run(server: Server, statement: str) -> object:
    with psycopg.connect(server.superuser_url()) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def eventually(condition: Callable[[], object]) -> None:
    for _ in range(12_000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("It never happened.")


def kill(server: Server) -> int:
    pid = server.status().pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not server.status().running)
    return pid


def start_elsewhere(home: Path, path: str = "") -> subprocess.Popen[bytes]:
    """Start the server from a process of its own, which leads a process group."""
    packages = os.pathsep.join(filter(None, [path, *sys.path]))
    return subprocess.Popen(
        [sys.executable, "-c", START, str(home)],
        env={**os.environ, "PYTHONPATH": packages},
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def modes(*paths: Path) -> dict[Path, int]:
    everything = {place for path in paths for place in (path, *path.parents) if place.exists()}
    return {path: path.stat().st_mode for path in everything}


def test_start_and_stop_repeat(fresh: Server) -> None:
    before = fresh.status()
    assert (before.running, before.ready, before.pid, before.version) == (False,) * 2 + (None,) * 2
    fresh.stop()

    fresh.start()
    first = fresh.status()
    fresh.start()
    assert first.running and first.ready and first.pid == fresh.status().pid
    assert first.version and first.uptime is not None
    assert str(run(fresh, "show server_version")) in first.version
    assert Path(str(run(fresh, "show data_directory"))) == first.data == fresh.home / "data"

    fresh.stop()
    fresh.stop()
    assert not fresh.status().running
    fresh.start()
    assert fresh.status().pid != first.pid


def test_cluster_is_private_checked_and_folds_umlauts(server: Server) -> None:
    for path in (server.home, server.data, server.status().socket_dir, server.home / "log"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for name in ("superuser", "ragdb.conf", "pg_hba.conf", "custom.conf"):
        assert stat.S_IMODE((server.home / name).stat().st_mode) == 0o600
    expected = {
        "data_checksums": "on",
        "jit": "off",
        "listen_addresses": "",
        "server_encoding": "UTF8",
        "password_encryption": "scram-sha-256",
    }
    assert {name: run(server, f"show {name}") for name in expected} == expected
    assert run(server, "select datlocale from pg_database where datname = 'template1'") == "C.UTF-8"
    assert run(server, "select lower('ÄÖÜ')") == "äöü"
    assert run(server, "select count(*) from pg_file_settings where error is not null") == 0
    buffers = run(server, "select pg_size_bytes(current_setting('shared_buffers'))")
    assert 32 << 20 <= int(str(buffers)) <= 8 << 30
    run(server, "create extension vector")


def test_no_password_no_entry(server: Server) -> None:
    run(server, "create role guest login password 'let me in'")
    with psycopg.connect(server.url("postgres", "guest", "let me in")) as connection:
        assert connection.info.user == "guest"
    for url in (
        server.url("postgres", "guest", "let me out"),
        server.url("postgres", "postgres", ""),
        server.url("postgres", "postgres", "guess"),
    ):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url)


def test_kill_9_loses_no_commit(server: Server) -> None:
    run(server, "create table kept as select generate_series(1, 1000) as n")
    connection = psycopg.connect(server.superuser_url())
    connection.execute("insert into kept values (0)")
    kill(server)
    connection.close()
    server.start()
    assert run(server, "select count(*) from kept") == 1000


def test_session_that_outlives_its_postmaster_is_ended(server: Server) -> None:
    connection = psycopg.connect(server.superuser_url())
    busy = connection.info.backend_pid
    endless = "do $$ begin loop null; end loop; end $$"
    connection.pgconn.send_query(endless.encode())
    kill(server)
    server.start()
    assert run(server, "select 1") == 1
    connection.close()
    command = Path(f"/proc/{busy}/cmdline")
    assert not command.exists() or not command.read_bytes()  # gone, or a zombie


def test_lock_files_that_name_a_stranger_are_ignored(server: Server) -> None:
    dead = kill(server)
    owner = server.data.stat()
    switch = os.geteuid() == 0
    with subprocess.Popen(
        ["/bin/sleep", "600"],
        user=owner.st_uid if switch else None,
        group=owner.st_gid if switch else None,
    ) as stranger:
        for path in (server.data / "postmaster.pid", *server.status().socket_dir.glob(".s*.lock")):
            path.write_text(path.read_text().replace(str(dead), str(stranger.pid), 1))
        assert not server.status().running
        server.stop()
        server.start()
        assert run(server, "select 1") == 1
        assert stranger.poll() is None
        stranger.kill()


def test_lost_socket_is_made_again(server: Server) -> None:
    for path in server.status().socket_dir.iterdir():
        path.unlink()
    server.start()
    assert run(server, "select 1") == 1


def test_two_first_starts_at_once(fresh: Server) -> None:
    starts = [start_elsewhere(fresh.home) for _ in range(2)]
    assert [start.communicate()[1] for start in starts] == [b"", b""]
    assert [start.returncode for start in starts] == [0, 0]
    assert run(fresh, "select 1") == 1
    assert not list(fresh.home.glob(".[dp]*-*"))


def test_first_start_killed_half_way(fresh: Server) -> None:
    for sign in (".pgsql-*", ".data-*/base", "data/postmaster.pid"):
        start = start_elsewhere(fresh.home)
        eventually(lambda sign=sign: next(fresh.home.glob(sign), None))
        os.killpg(start.pid, signal.SIGKILL)
        start.communicate()
    fresh.start()
    assert run(fresh, "select 1") == 1
    fresh.stop()
    fresh.start()
    assert not list(fresh.home.glob(".[dp]*-*"))


def test_failed_initdb_is_explained_and_leaves_nothing(fresh: Server) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 20, 12 << 20))\n"
    failed = subprocess.run(
        [sys.executable, "-c", limit + START, str(fresh.home)], capture_output=True, text=True
    )
    assert "EmbeddedError: initdb failed" in failed.stderr
    assert "File too large" in failed.stderr
    assert not fresh.data.exists()
    fresh.start()
    assert run(fresh, "select 1") == 1


def test_wheel_that_only_its_owner_can_enter(fresh: Server, place: Path) -> None:
    package = fresh.binary("postgres").parents[2]
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    sources = (package, package.with_name(f"{package.name}.libs"))
    for path in (*sources, *package.parent.glob(f"{package.name}-*.dist-info")):
        shutil.copytree(path, closed / path.name, ignore=shutil.ignore_patterns("include"))
    for path in closed.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    before = modes(fresh.home.parent, *closed.rglob("*"))

    start = start_elsewhere(fresh.home, str(closed))
    assert start.communicate()[1] == b""
    assert run(fresh, "select 1") == 1
    assert modes(fresh.home.parent, *closed.rglob("*")) == before


@as_root
def test_root_runs_the_server_as_the_homes_account(fresh: Server) -> None:
    fresh.start()
    owner = fresh.home.stat().st_uid
    assert owner != 0
    assert Path(f"/proc/{fresh.status().pid}").stat().st_uid == owner
    assert (fresh.home / "superuser").stat().st_uid == owner


@as_root
def test_root_respects_the_owner_of_an_existing_home(fresh: Server) -> None:
    fresh.home.mkdir(mode=0o700)
    owner = pwd.getpwnam("nobody")
    os.chown(fresh.home, owner.pw_uid, owner.pw_gid)
    fresh.start()
    assert Path(f"/proc/{fresh.status().pid}").stat().st_uid == owner.pw_uid
    assert run(fresh, "select 1") == 1


@as_root
def test_home_below_a_closed_directory_is_refused(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match=f"may not enter {closed}. Set RAGDB_HOME"):
        Server.default(closed / "home").start()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_full_disk_is_explained(place: Path) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(EmbeddedError, match=r"32 MB left.* Free some disk space"):
            Server.default(place / "home").start()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_directory_of_something_else_is_left_alone(fresh: Server) -> None:
    fresh.home.mkdir(mode=0o755)
    (fresh.home / "thesis.tex").touch()
    before = fresh.home.stat()
    with pytest.raises(EmbeddedError, match="not ragdb's"):
        fresh.start()
    after = fresh.home.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_long_home_has_its_socket_elsewhere(place: Path) -> None:
    server = Server.default(place / ("long" * 30) / "it's, a home")
    server.start()
    sockets = server.status().socket_dir
    try:
        assert sockets == Server.default(server.home).status().socket_dir
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert run(server, "select 1") == 1
    finally:
        server.stop()
        shutil.rmtree(sockets)


def test_cluster_of_another_major_is_refused(server: Server) -> None:
    server.stop()
    version = server.data / "PG_VERSION"
    true_version = version.read_text()
    version.write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 16; .* Dump the database"):
        server.start()
    version.unlink()
    with pytest.raises(EmbeddedError, match="Restore it from a backup"):
        server.start()
    version.write_text(true_version)
    version.chmod(0o644)


def test_lost_password_is_renewed(server: Server) -> None:
    lost = server.superuser_url()
    server.stop()
    (server.home / "superuser").unlink()
    with pytest.raises(EmbeddedError, match="Start the server first"):
        server.superuser_url()
    server.start()
    assert run(server, "select 1") == 1
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(lost)


def test_custom_conf_wins_and_its_faults_are_quoted(server: Server) -> None:
    server.stop()
    custom = server.home / "custom.conf"
    untouched = custom.read_text()
    with custom.open("a") as file:
        file.write("work_mem = 7MB\n")
    server.start()
    assert run(server, "show work_mem") == "7MB"
    server.stop()
    with custom.open("a") as file:
        file.write("wrok_mem = 7MB\n")
    with pytest.raises(EmbeddedError, match=r"(?s)Correct that line of custom\.conf.*wrok_mem"):
        server.start()
    assert not server.status().running
    custom.write_text(untouched)


def test_tcp_is_opened_by_a_setting_and_not_to_the_superuser(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("RAGDB_PORT", str(port))
    tcp = f"postgresql://analyst:secret@127.0.0.1:{port}/postgres"
    server.stop()
    Server.default(server.home).start()
    run(server, "create role analyst login password 'secret'")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(tcp)

    monkeypatch.setenv("RAGDB_LISTEN_ADDRESSES", "127.0.0.1")
    server.stop()
    server = Server.default(server.home)
    server.start()
    assert server.status().port == port
    with psycopg.connect(tcp) as connection:
        assert connection.info.host == "127.0.0.1"
    password = (server.home / "superuser").read_text().strip()
    with pytest.raises(psycopg.OperationalError, match="rejects"):
        psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(tcp.replace("secret", "wrong"))

    monkeypatch.delenv("RAGDB_LISTEN_ADDRESSES")
    server.stop()
    Server.default(server.home).start()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(tcp)


def test_client_programs_reach_it(server: Server) -> None:
    said = subprocess.run(
        [server.binary("psql"), server.superuser_url(), "-XAtc", "select 6 * 7"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "42\n"
    with pytest.raises(EmbeddedError, match="no program"):
        server.binary("psqll")


def test_database_url_precedence(place: Path) -> None:
    settings.write_credentials(place, "postgresql://file", "rdb_file")
    secret = place / "secret"
    secret.write_text("postgresql://from-a-file\n")
    environ = {
        "RAGDB_DATABASE_URL": "postgresql://ours",
        "DATABASE_URL": "postgresql://theirs",
        "PGHOST": "db.example.org",
    }
    assert settings.load(place, environ).database_url == "postgresql://ours"
    environ["RAGDB_DATABASE_URL"] = ""
    assert settings.load(place, environ).database_url == "postgresql://theirs"
    del environ["DATABASE_URL"]
    assert settings.load(place, environ).database_url == ""
    assert settings.load(place, environ).sources["database_url"] == "PGHOST"
    del environ["PGHOST"]
    found = settings.load(place, environ)
    assert (found.database_url, found.api_key) == ("postgresql://file", "rdb_file")
    assert found.sources["api_key"] == str(place / "credentials")
    environ = {"RAGDB_DATABASE_URL_FILE": str(secret), "RAGDB_API_KEY": "rdb_env"}
    found = settings.load(place, environ)
    assert (found.database_url, found.api_key) == ("postgresql://from-a-file", "rdb_env")
    assert "rdb_env" not in repr(found) and "from-a-file" not in repr(found)
    assert stat.S_IMODE((place / "credentials").stat().st_mode) == 0o600

    (place / "credentials").unlink()
    found = settings.load(place, {})
    assert found.database_url is None and found.sources["database_url"] == "embedded"


@pytest.mark.parametrize(
    "environ",
    [
        {"RAGDB_PORT": "0"},
        {"RAGDB_PORT": "٣٣"},
        {"RAGDB_HTTP_PORT": "http"},
        {"RAGDB_LLM_TIMEOUT": "nan"},
        {"RAGDB_LLM_URL": "localhost:11434"},
        {"RAGDB_LISTEN_ADDRESSES": "*' port = '1"},
        {"RAGDB_API_KEY_FILE": "/nowhere/key"},
        {"RAGDB_API_KEY": "rdb_1", "RAGDB_API_KEY_FILE": "/etc/hostname"},
    ],
)
def test_bad_setting_is_named(place: Path, environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(environ))):
        settings.load(place, environ)


def test_bad_credentials_file_is_named(place: Path) -> None:
    (place / "credentials").write_text("RAGDB_API_KEY=a\n\nnonsense\n")
    with pytest.raises(SettingsError, match="credentials, line 3"):
        settings.load(place, {})
    with pytest.raises(SettingsError, match="line break"):
        settings.write_credentials(place, "postgresql://x\nRAGDB_API_KEY=y", "z")


def test_home_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load(environ={"RAGDB_HOME": "/srv/rag"}).home == Path("/srv/rag")
    assert settings.load(Path("/srv/flag"), {"RAGDB_HOME": "/srv/rag"}).home == Path("/srv/flag")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert settings.load(environ={}).home == Path("/var/lib/ragdb")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert settings.load(environ={"XDG_DATA_HOME": "/srv/xdg"}).home == Path("/srv/xdg/ragdb")
    home = Path.home() / ".local/share/ragdb"
    assert settings.load(environ={"XDG_DATA_HOME": "relative"}).home == home.resolve()
