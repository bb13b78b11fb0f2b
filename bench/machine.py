"""Where and when a run was made."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ragdb import __version__
from ragdb.embedded.conf import available_memory

_PEERS = ("lancedb", "chromadb", "tantivy", "bm25s", "faiss-cpu", "numpy", "psycopg")


def described() -> dict[str, Any]:
    """The parts of the machine and the versions that a figure depends on."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "ragdb": __version__,
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(available_memory() / (1 << 30)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in _PEERS if (version := _version(name))},
        "load_before": load(),
    }


def load() -> float:
    """How busy the machine is: the load average of the last minute."""
    return round(os.getloadavg()[0], 1)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()
