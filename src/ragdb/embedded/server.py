"""Starting, stopping and describing the server of one RAGDB_HOME."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ragdb import settings
from ragdb.embedded import cluster, conf, processes, programs
from ragdb.embedded.account import Account, claim_home, private_dir
from ragdb.embedded.errors import EmbeddedError, advice, explained
from ragdb.paths import socket_dir, write_private

SUPERUSER = cluster.SUPERUSER

_START_SECONDS = 600.0
_STOP_SECONDS = 60.0
_ABORT_SECONDS = 10.0
_ORPHAN_SECONDS = 2.0
_LEAST_ROOM = 64 << 20


@dataclass(frozen=True)
class Status:
    """What is known of the server without logging in."""

    running: bool
    ready: bool
    """False while it starts, recovers or shuts down."""
    pid: int | None
    version: str | None
    """The version of the wheel whose programs it runs; None before the first start."""
    data: Path
    socket_dir: Path
    port: int
    started: float | None
    """When it started, in seconds since 1970."""

    @property
    def uptime(self) -> float | None:
        """Seconds since it started."""
        return None if self.started is None else max(0.0, time.time() - self.started)


@dataclass(frozen=True)
class Server:
    """The embedded server of one home."""

    home: Path
    listen_addresses: str = ""
    """For clients over TCP, as PostgreSQL understands it; empty for the socket alone."""
    port: int = 5432

    @classmethod
    def default(cls, home: Path | None = None) -> Server:
        """The server of `home`, or else of RAGDB_HOME, as the settings describe it."""
        found = settings.load(home)
        return cls(found.home, found.listen_addresses, found.port)

    @property
    def data(self) -> Path:
        """The cluster's directory."""
        return self.home / "data"

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Bring the server up, from nothing or after a crash, and return when it answers.

        Does nothing when it already does. `progress` is told in words about whatever is slow.
        """
        with explained(self.home):
            account = claim_home(self.home)
            with processes.exclusively(self.home):
                pid = self._postmaster() or self._end_orphans()
                if pid and self._ready() and not self._answers():
                    self._shut_down(pid)
                    pid = None
                self._wait_until_ready(pid or self._launch(account, progress), progress)

    def stop(self) -> None:
        """Shut down fast: sessions end, committed data is safe. Does nothing when stopped."""
        with explained(self.home):
            if not self.data.exists():
                return
            with processes.exclusively(self.home):
                if pid := self._postmaster():
                    self._shut_down(pid)

    def status(self) -> Status:
        """Look at the server without logging in."""
        with explained(self.home):
            pid = self._postmaster()
            lines = self._pid_file() if pid else []
            sockets, port = self._address()
            copies = programs.copies(self.home)
            return Status(
                running=pid is not None,
                ready=pid is not None and self._ready(),
                pid=pid,
                version=copies[0].name.partition("-")[2] if copies else None,
                data=self.data,
                socket_dir=sockets,
                port=port,
                started=float(lines[2]) if len(lines) > 2 else None,
            )

    def superuser_url(self) -> str:
        """The bootstrap superuser's URL, for whoever may read the password file."""
        path = cluster.password_file(self.home)
        with explained(self.home):
            try:
                password = path.read_text(encoding="ascii").strip()
            except FileNotFoundError as error:
                raise EmbeddedError(f"{path} does not exist. Start the server first.") from error
            return self.url("postgres", SUPERUSER, password)

    def url(self, dbname: str, user: str, password: str) -> str:
        """A libpq URL for the server's socket."""
        sockets, port = self._address()
        name, who, secret, host = (
            quote(part, safe="") for part in (dbname, user, password, str(sockets))
        )
        return f"postgresql://{who}:{secret}@/{name}?host={host}&port={port}"

    def binary(self, name: str) -> Path:
        """A client program for the server, such as psql or pg_dump."""
        return programs.program(name)

    def _launch(self, account: Account, progress: Callable[[str], None]) -> int:
        progress("Starting PostgreSQL")
        self._require_room()
        binaries = programs.copy_programs(self.home)
        sockets = private_dir(socket_dir(self.home, self.port), account)
        for left in (*sockets.glob(".s.PGSQL.*"), self.data / "postmaster.pid"):
            left.unlink(missing_ok=True)
        log = private_dir(self.home / "log", account) / "startup.log"
        self._configure(sockets)
        if not self.data.exists():
            progress("Creating the database cluster")
            cluster.create_cluster(self.home, binaries, account)
        cluster.require_same_major(self.data, binaries, account)
        if not cluster.password_file(self.home).exists():
            cluster.renew_password(self.home, binaries, account)
        script = 'log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!'
        command = (binaries / "postgres", "-D", self.data)
        return int(account.run("/bin/sh", "-c", script, "sh", log, *command))

    def _require_room(self) -> None:
        """Refuse a full disk: there PostgreSQL would crash, recover and crash again for ever."""
        disk = os.statvfs(self.home)
        room = disk.f_bavail * disk.f_frsize
        if room < _LEAST_ROOM:
            raise EmbeddedError(
                f"{self.home} has {room >> 20} MB left, and PostgreSQL needs {_LEAST_ROOM >> 20} "
                f"to recover. Free some disk space, then start again."
            )

    def _configure(self, sockets: Path) -> None:
        text = conf.server_conf(self.home, sockets, self.listen_addresses, self.port)
        write_private(self.home / "ragdb.conf", text)
        write_private(self.home / "pg_hba.conf", conf.hba_conf(self.listen_addresses))
        custom = self.home / "custom.conf"
        if not custom.exists():
            write_private(custom, conf.CUSTOM)

    def _wait_until_ready(self, pid: int, progress: Callable[[str], None]) -> None:
        began = told = time.monotonic()
        while not (self._ready() and self._answers()):
            now = time.monotonic()
            if not processes.alive(pid):
                log = self._log_tail()
                raise EmbeddedError(f"PostgreSQL did not start. {advice(log)}\n{log}")
            if now - began > _START_SECONDS:
                raise EmbeddedError(
                    f"PostgreSQL has been starting for {now - began:.0f} s. It goes on; "
                    f"try again later.\n{self._log_tail()}"
                )
            if now - told > 3:
                told = now
                progress(f"Waiting for PostgreSQL to recover ({now - began:.0f} s)")
            time.sleep(0.02)

    def _end_orphans(self) -> int | None:
        """Clear away what outlived a crash; a postmaster that is on its way is returned instead.

        A session sees at its next wait that its postmaster is gone. One that is computing is
        killed after a moment: its transaction was lost with the postmaster.
        """

        def settled() -> bool:
            return self._postmaster() is not None or not processes.server_processes(self.home)

        if not processes.within(_ORPHAN_SECONDS, settled):
            for pid in processes.server_processes(self.home):
                _send(pid, signal.SIGKILL)
            if not processes.within(_ABORT_SECONDS, settled):
                left = ", ".join(map(str, processes.server_processes(self.home)))
                raise EmbeddedError(
                    f"Processes of a crashed server do not end: {left}. End them, then start again."
                )
        return self._postmaster()

    def _shut_down(self, pid: int) -> None:
        def gone() -> bool:
            return not processes.alive(pid)

        for kind, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, _ABORT_SECONDS)):
            _send(pid, kind)
            if processes.within(seconds, gone):
                return
        raise EmbeddedError(f"PostgreSQL does not stop. Run 'kill -9 {pid}', then start again.")

    def _pid_file(self) -> list[str]:
        """Process, directory, start time, port, socket directory, address, memory, state."""
        try:
            return (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def _postmaster(self) -> int | None:
        """The running postmaster, by its command line or, if started by hand, by its socket."""
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal():
            return None
        pid = int(lines[0])
        if processes.is_postmaster(pid, self.data):
            return pid
        return pid if processes.alive(pid) and _listening(lines) else None

    def _ready(self) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[7].strip() == "ready"

    def _answers(self) -> bool:
        return _listening(self._pid_file())

    def _address(self) -> tuple[Path, int]:
        """Where the running server listens, else where the next one will."""
        lines = self._pid_file()
        if len(lines) > 4 and self._postmaster():
            return Path(lines[4]), int(lines[3])
        return socket_dir(self.home, self.port), self.port

    def _log_tail(self) -> str:
        logs = sorted((self.home / "log").glob("*.log"), key=lambda log: log.stat().st_mtime)
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        return "\n".join(["The log ends with:", *lines[-12:]])


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _listening(pid_file: list[str]) -> bool:
    """Whether someone listens on the socket that the lock file names."""
    if len(pid_file) < 5:
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5.0)
        try:
            probe.connect(f"{pid_file[4]}/.s.PGSQL.{pid_file[3]}")
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except TimeoutError:
            return True
    return True
