"""The embedded server's configuration files, sized for the machine.

`ragdb.conf` and `pg_hba.conf` are written anew at each start. What a user wants otherwise goes
into `custom.conf`, which the server reads after ours and ragdb never changes.
"""

from __future__ import annotations

import os
from pathlib import Path

from ragdb.embedded.processes import cluster_name

_MB = 1 << 20
_GB = 1 << 30

CUSTOM = """\
# Settings of your own for the embedded server; they win over ragdb.conf.
# They take effect at the next start: ragdb stop && ragdb start
"""


def server_conf(home: Path, sockets: Path, listen_addresses: str, port: int) -> str:
    """The text of ragdb.conf."""
    memory = available_memory()
    maintenance = _clamp(memory // 16, 64 * _MB, 1 * _GB)
    settings: dict[str, str | int] = {
        "cluster_name": cluster_name(home),
        "listen_addresses": listen_addresses,
        "port": port,
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "hba_file": str(home / "pg_hba.conf"),
        "password_encryption": "scram-sha-256",
        "max_connections": 100,
        # One upgrade touches every partition and index of every table in one transaction.
        "max_locks_per_transaction": 256,
        "shared_buffers": _megabytes(_clamp(memory // 4, 32 * _MB, 8 * _GB)),
        "effective_cache_size": _megabytes(memory * 6 // 10),
        "maintenance_work_mem": _megabytes(maintenance),
        "work_mem": _megabytes(_clamp(memory // 64, 16 * _MB, 64 * _MB)),
        "dynamic_shared_memory_type": _dynamic_shared_memory(2 * maintenance),
        "random_page_cost": "1.1",
        "jit": "off",
        # The sooner a growing table is analyzed, the sooner sessions plan for its size.
        "autovacuum_naptime": "15s",
        "max_wal_size": "2GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        # A week of logs, one file a day. Neither statements nor the values that errors quote
        # are written: a question is the asker's own.
        "logging_collector": "on",
        "log_directory": "../log",
        "log_filename": "postgresql-%a.log",
        "log_rotation_age": "1d",
        "log_rotation_size": 0,
        "log_truncate_on_rotation": "on",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
    }
    lines = [f"{name} = {_quote(str(value))}" for name, value in settings.items()]
    return "\n".join(["# Written by ragdb at each start. Use custom.conf instead.", *lines, ""])


def hba_conf(listen_addresses: str) -> str:
    """The text of pg_hba.conf: a password for everyone, and the superuser on the socket only."""
    lines = ["# Written by ragdb at each start.", "local all all scram-sha-256"]
    if listen_addresses:
        lines += ["host all postgres all reject", "host all all all scram-sha-256"]
    return "\n".join([*lines, ""])


def available_memory() -> int:
    """The machine's memory in bytes, or the smallest limit of the control groups above us."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_cgroup_limits()])


def _cgroup_limits() -> list[int]:
    try:
        groups = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    limits: list[int] = []
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if controllers == "":
            top, name = Path("/sys/fs/cgroup"), "memory.max"
        elif "memory" in controllers.split(","):
            top, name = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
        else:
            continue
        here = top / path.lstrip("/")
        for directory in (here, *here.parents):
            if not directory.is_relative_to(top):
                break
            try:
                limits.append(int((directory / name).read_text(encoding="ascii")))
            except (OSError, ValueError):  # no such group in this namespace, or "max"
                continue
    return limits


def _dynamic_shared_memory(needed: int) -> str:
    """`posix`, unless /dev/shm is too small for a parallel index build, as in most containers."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108
    except OSError:
        return "mmap"
    return "posix" if shm.f_bavail * shm.f_frsize >= needed else "mmap"


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def _megabytes(size: int) -> str:
    return f"{size // _MB}MB"


def _quote(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{escaped}'"
