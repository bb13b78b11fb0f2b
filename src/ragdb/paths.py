"""Where ragdb keeps its files.

Everything lives in one private directory, RAGDB_HOME. A file that holds a secret is replaced
whole or not at all, and belongs to the directory's owner even when root writes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

CREDENTIALS = "credentials"
SECRET_KEY = "secret.key"  # noqa: S105

_LONGEST_SOCKET_PATH = 103 if os.uname().sysname == "Darwin" else 107


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """RAGDB_HOME, else /var/lib/ragdb for root and the XDG data directory for anyone else."""
    if configured := environ.get("RAGDB_HOME"):
        return Path(configured).expanduser().resolve()
    if os.geteuid() == 0:
        return Path("/var/lib/ragdb")
    data = Path(environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG specification: a relative path is to be ignored
        data = Path.home() / ".local" / "share"
    return (data / "ragdb").resolve()


def write_private(path: Path, text: str) -> None:
    """Replace `path` atomically by a 0600 file that belongs to the owner of its directory."""
    owner = path.parent.stat()
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.unlink(missing_ok=True)
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o600)
            if os.geteuid() == 0:
                os.fchown(handle, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(handle)
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def socket_dir(home: Path, port: int) -> Path:
    """The directory of the server's socket: `run` inside `home` wherever that is possible.

    A socket's path has a length limit, and the server's list of directories knows separators.
    Where `home` breaks either rule, the socket is in a 0700 directory below /tmp whose name is
    derived from `home`, so that every process finds the same one.
    """
    inside = home / "run"
    length = len(os.fsencode(inside / f".s.PGSQL.{port}"))
    if length <= _LONGEST_SOCKET_PATH and not set(str(home)) & set(",\"'\\\n"):
        return inside
    return Path("/tmp") / f"ragdb-{sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108
