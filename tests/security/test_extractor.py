"""The process that parses untrusted files: what it may not do, and that it always ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ragdb.extract import ExtractError, extract
from ragdb.extraction.pool import Extractors, Limits
from sample_files import docx, pdf

ROWS = b"a,b,c\n" + b"x,y,z\n" * 2_000_000
PROBE = """
import ctypes, os, socket, sys
from ragdb.extraction import sandbox
sandbox.limit(1 << 30)
sandbox.lock([])

def attempt(name, work):
    try:
        work()
        print(name, "done")
    except (OSError, MemoryError) as error:
        print(name, type(error).__name__)

attempt("read", lambda: open(sys.argv[1]).read())
attempt("environment", lambda: open(f"/proc/{sys.argv[2]}/environ", "rb").read())
attempt("list", lambda: os.listdir("/"))
attempt("write", lambda: open(sys.argv[1] + ".new", "w").write("x"))
attempt("connect", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 5))
attempt("memory", lambda: bytearray(2 << 30))
attempt("python", lambda: open(os.__file__).read())
"""


@contextmanager
def pool(**limits: int) -> Iterator[Extractors]:
    extractors = Extractors(1, Limits(**limits))
    try:
        yield extractors
    finally:
        extractors.close()


def refusal(pool: Extractors, data: bytes, name: str) -> str:
    with pytest.raises(ExtractError) as caught:
        extract(data, name, pool)
    assert caught.value.hint
    return caught.value.code


def processes() -> set[int]:
    """The workers that this process has started and that are there."""
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"ragdb.extraction.worker" in (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if is_worker and parent == os.getpid():
            found.add(int(path.name))
    return found


def test_it_opens_no_files_and_no_connections(tmp_path: Path) -> None:
    secret = tmp_path / "credentials"
    secret.write_text("RAGDB_API_KEY=secret")
    with __import__("socket").create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", PROBE, secret, str(os.getpid()), str(port)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    said = dict(line.split() for line in done.stdout.splitlines())
    assert said.pop("python") == "done"
    assert said.pop("memory") == "MemoryError"
    assert "done" not in said.values(), said
    assert os.listdir(tmp_path) == ["credentials"]


def test_it_knows_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGDB_API_KEY", "rdb_secret")
    monkeypatch.setenv("PGPASSWORD", "tiger")
    before = processes()
    with pool() as extractors:
        assert extract(docx("H", "p"), "a.docx", extractors).text
        (process,) = processes() - before
        environment = Path(f"/proc/{process}/environ").read_bytes()
        names = {entry.partition(b"=")[0].decode() for entry in environment.split(b"\0") if entry}
        assert names <= {"LANG", "HOME", "MALLOC_ARENA_MAX", "OMP_THREAD_LIMIT", "TESSDATA_PREFIX"}
        opened = {os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()}
        assert not [name for name in opened if name.startswith("/") and name != "/dev/null"]


def test_it_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pool() as extractors:
        for data, name in ((docx("H", "p"), "a.docx"), (pdf("x", ""), "a.pdf")):
            assert extract(data, name, extractors).text
    assert list(tmp_path.iterdir()) == []


def test_it_does_not_outlive_its_time() -> None:
    before = processes()
    with pool(memory=8 << 30, seconds=1, ocr_seconds=1) as extractors:
        assert refusal(extractors, ROWS, "slow.csv") == "extraction_timeout"
        assert processes() == before
        assert extract(b"a,b\n1,2", "a.csv", extractors).text  # by another one
    assert processes() == before


def test_it_does_not_outgrow_its_memory() -> None:
    with pool(memory=150 << 20) as extractors:
        assert refusal(extractors, ROWS, "large.csv") == "out_of_memory"
        assert extract(b"a,b\n1,2", "a.csv", extractors).text


def test_a_worker_that_is_killed_is_replaced() -> None:
    before = processes()
    with pool() as extractors:
        assert extract(b"a,b\n1,2", "a.csv", extractors).text
        (process,) = processes() - before
        os.kill(process, signal.SIGSEGV)
        assert extract(b"a,b\n1,2", "a.csv", extractors).text
        (other,) = processes() - before
        assert other != process


def test_workers_are_recycled() -> None:
    before = processes()
    with pool(uses=2) as extractors:
        for _ in range(2):
            assert extract(b"a,b\n1,2", "a.csv", extractors).text
        assert processes() == before


def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import os; from ragdb.extract import extract; extract(b'a,b\\n1,2', 'a.csv');"
        "from ragdb.extraction.pool import extractors;"
        "print(next(iter(extractors()._running)).process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    while Path(f"/proc/{int(done.stdout)}").exists():
        time.sleep(0.05)
