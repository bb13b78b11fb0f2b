"""What the process that parses untrusted files gives up before it sees the first of them.

It never writes a file and never connects anywhere. Where the kernel has Landlock (Linux 5.13), it
cannot even open a file but those of Python itself and of Tesseract: not the credentials file, nor
another process's environment. What an old kernel does not have is left out; limits hold anywhere.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sysconfig
from collections.abc import Iterable

_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38
# The same numbers on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ = 1 << 2 | 1 << 3  # files, directories
_ALL_FILES = (1 << 13) - 1  # of Landlock's first version
_ALL_NET, _ALL_SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals
_BENEATH = 1


def limit(memory: int) -> None:
    """Bound memory; forbid writing files and dumping core."""
    _lower(resource.RLIMIT_DATA, memory)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, 256)


def limit_time(seconds: int) -> None:
    """From now on so much processor time, and twice as much on the clock; then the kernel kills."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds)


def lock(readable: Iterable[str]) -> None:
    """No network, no files but Python's own and those below `readable`; for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Of both, whichever is allowed: root needs no namespace of users, others may not have one.
    if libc.unshare(_NEW_NET) != 0:
        libc.unshare(_NEW_USER | _NEW_NET)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    handled = struct.pack("=QQQ", _ALL_FILES, _ALL_NET, _ALL_SCOPES)
    handled = handled[: 8 if version < 4 else 16 if version < 6 else 24]
    rules = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for path in (*sorted(paths), *readable):
        try:
            handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        rule = struct.pack("=Qi", _READ, handle)
        libc.syscall(_ADD_RULE, rules, _BENEATH, rule, 0)
        os.close(handle)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)


def _lower(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))
