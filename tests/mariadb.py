"""A real MariaDB for tests: of the system's packages, in a directory of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from places import roomy_memory

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
_ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class MariaDB:
    """A server that listens on this machine."""

    port: int
    socket: Path

    def run(self, *statements: str, database: str | None = None) -> None:
        """As its administrator."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        return pymysql.connect(
            unix_socket=str(self.socket), user=_ADMINISTRATOR, database=database, autocommit=True,
            charset="utf8mb4",
        )  # fmt: skip

    def url(self, database: str, user: str, password: str, **options: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/{database}?{query}"


@contextmanager
def mariadb(*options: str) -> Generator[MariaDB]:
    """Start one, and clear it away at the end; skips where the programs are not installed."""
    programs = ("mariadb-install-db", "mariadbd", "my_print_defaults")
    install, server, defaults = (shutil.which(name, path=_PATH) for name in programs)
    if install is None or server is None or defaults is None:
        pytest.skip(
            "MariaDB is not installed: apt-get install mariadb-server-core mariadb-client-core"
        )
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    # mariadbd refuses to run as root.
    account = ["--user=nobody"] if os.geteuid() == 0 else []
    if account:
        shutil.chown(place, "nobody")
    data, listens = place / "data", place / "socket"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    begin = place / "begin.sql"
    begin.write_text(
        f"create user {_ADMINISTRATOR}@localhost;\n"
        f"grant all on *.* to {_ADMINISTRATOR}@localhost with grant option;\n"
    )
    try:
        with (place / "log").open("wb") as log:
            subprocess.run(
                [install, "--no-defaults", f"--datadir={data}", "--skip-test-db", *account],
                stdout=log, stderr=log, check=True,
            )  # fmt: skip
            running = subprocess.Popen(
                [
                    server, "--no-defaults", f"--datadir={data}", f"--socket={listens}",
                    f"--port={port}", "--bind-address=127.0.0.1", f"--pid-file={place / 'pid'}",
                    f"--init-file={begin}", "--skip-log-bin", "--skip-name-resolve", *account,
                    "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0", *options,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        try:
            _wait(running, place / "log", listens)
            yield MariaDB(port, listens)
        finally:
            running.terminate()
            running.wait(60)
    finally:
        shutil.rmtree(place)


def _wait(running: subprocess.Popen[bytes], log: Path, listens: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        assert running.poll() is None and time.monotonic() < deadline, log.read_text()
        # PyMySQL leaves a socket behind when nobody listens yet.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(listens)) == 0:
                return
        time.sleep(0.05)
