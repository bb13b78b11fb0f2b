"""The data directory: made once, whole or not at all, and never mistaken for another version's."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from ragdb.embedded.account import Account, private_dir
from ragdb.embedded.errors import EmbeddedError
from ragdb.paths import write_private

SUPERUSER = "postgres"

_INITDB = (
    "--auth=scram-sha-256",
    "--data-checksums",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
)
_INCLUDES = "\ninclude '../ragdb.conf'\ninclude_if_exists '../custom.conf'\n"


def password_file(home: Path) -> Path:
    """Where the bootstrap superuser's password is."""
    return home / "superuser"


def create_cluster(home: Path, programs: Path, account: Account) -> None:
    """Build `data` under another name first, so that half a cluster is never taken for one."""
    for unfinished in home.glob(".data-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    secret = password_file(home)
    if not secret.exists():
        write_private(secret, secrets.token_urlsafe(32) + "\n")
    staged = private_dir(home / f".data-{os.getpid()}", account)
    account.run(
        programs / "initdb", "-D", staged, f"--username={SUPERUSER}", f"--pwfile={secret}", *_INITDB
    )
    conf = staged / "postgresql.conf"
    account.run("/bin/sh", "-c", 'cat >>"$1"', "sh", conf, text=_INCLUDES)
    os.sync()
    staged.rename(home / "data")
    os.sync()


def require_same_major(data: Path, programs: Path, account: Account) -> None:
    """Raise when these programs cannot serve this cluster."""
    brought = account.run(programs / "postgres", "--version").split()[-1].partition(".")[0]
    try:
        found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError as error:
        raise EmbeddedError(
            f"{data} is not a PostgreSQL cluster. Restore it from a backup, or move it away to "
            f"start with an empty one."
        ) from error
    if found != brought:
        raise EmbeddedError(
            f"{data} was made by PostgreSQL {found}; this ragdb brings {brought}. Dump the "
            f"database with the ragdb that made it, move {data} away, start, and restore the dump."
        )


def renew_password(home: Path, programs: Path, account: Account) -> None:
    """Give the superuser a new password when the file with the old one is lost."""
    password = secrets.token_urlsafe(32)
    account.run(
        programs / "postgres", "--single", "-D", home / "data", "postgres",
        text=f"alter role {SUPERUSER} password '{password}'\n",
    )  # fmt: skip
    write_private(password_file(home), password + "\n")
