"""The account that owns RAGDB_HOME and runs the server.

It is the caller, or, when root is the caller, the owner of the directory or else the system user
`ragdb`, because PostgreSQL refuses to run as root. Root writes nothing below the first level of
that directory and runs no program from it, so an intruder in the server cannot use either to
become root. No directory above RAGDB_HOME is ever changed.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ragdb.embedded.errors import EmbeddedError, advice
from ragdb.paths import CREDENTIALS

SYSTEM_USER = "ragdb"

# A directory that holds something, but none of these, was not made by ragdb.
_OURS = frozenset({"lock", "data", "superuser", "custom.conf", CREDENTIALS})


@dataclass(frozen=True)
class Account:
    """An operating system account."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)

    def run(self, *command: str | Path, text: str = "") -> str:
        """Run a program as this account with `text` as its input, and return what it prints."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
        switch = os.geteuid() == 0
        done = subprocess.run(  # noqa: S603
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env=environ | {"TZ": "UTC"},
            umask=0o077,
            start_new_session=True,
            user=self.uid if switch else None,
            group=self.gid if switch else None,
            extra_groups=[] if switch else None,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise EmbeddedError(f"{Path(command[0]).name} failed: {said}\n{advice(said)}")
        return done.stdout


def claim_home(home: Path) -> Account:
    """Create `home` when it is missing, make it 0700 and return the account it belongs to."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    account = Account(found.st_uid, found.st_gid)
    caller = os.geteuid()
    if caller not in (0, account.uid):
        raise EmbeddedError(
            f"{home} belongs to the user {account.name}. Run this as that user or as root, "
            f"or choose another RAGDB_HOME."
        )
    held = set(os.listdir(home)) - {"lost+found"}
    if held and not held & _OURS:
        raise EmbeddedError(
            f"{home} holds files that are not ragdb's. Set RAGDB_HOME to an empty directory."
        )
    if account.uid == 0:
        account = _system_account()
        os.chown(home, account.uid, account.gid)
    if stat.S_IMODE(found.st_mode) != 0o700:
        home.chmod(0o700)
    if caller == 0:
        _require_passage(home, account)
    return account


def private_dir(path: Path, account: Account) -> Path:
    """Create `path` as a 0700 directory of `account`; refuse one that belongs to someone else."""
    path.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(handle).st_uid not in (account.uid, os.geteuid()):
            raise EmbeddedError(f"{path} belongs to another user. Remove it, then start again.")
        if os.geteuid() == 0:
            os.fchown(handle, account.uid, account.gid)
        os.fchmod(handle, 0o700)
    finally:
        os.close(handle)
    return path


def _system_account() -> Account:
    """The account of the system user, created when there is none yet."""
    refusal = "useradd is not installed"
    for _ in range(20):
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            pass
        else:
            return Account(entry.pw_uid, entry.pw_gid)
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if useradd is None:
            break
        try:
            group = f"--gid={grp.getgrnam(SYSTEM_USER).gr_gid}"
        except KeyError:
            group = "--user-group"
        options = ["--system", "--no-create-home", "--home-dir=/var/lib/ragdb"]
        made = subprocess.run(  # noqa: S603
            [useradd, *options, "--shell=/usr/sbin/nologin", group, SYSTEM_USER],
            capture_output=True,
            text=True,
            check=False,
        )
        refusal = made.stderr.strip()
        if made.returncode:  # another useradd may hold the lock, or have made the user just now
            time.sleep(0.1)
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made: "
        f"{refusal}. Make it, for example with 'adduser --system --group {SYSTEM_USER}', or run "
        f"this as an ordinary user."
    )


def _require_passage(home: Path, account: Account) -> None:
    """Raise unless the account can reach `home`."""
    try:
        account.run("/bin/sh", "-c", 'cd -- "$1"', "sh", home)
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and root may not become {account.name} here: "
            f"{error}. Run this as an ordinary user."
        ) from error
    except EmbeddedError as error:
        above = reversed(home.parents)
        closed = next((path for path in above if not path.stat().st_mode & stat.S_IXOTH), home)
        raise EmbeddedError(
            f"The server runs as the user {account.name}, which may not enter {closed}. "
            f"Set RAGDB_HOME to a directory that it can reach, such as /var/lib/ragdb."
        ) from error
