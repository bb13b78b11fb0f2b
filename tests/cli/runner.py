"""The real `ragdb` in a process of its own, with a RAGDB_HOME of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from places import roomy_memory
from ragdb.embedded import Server

PROGRAM = Path(sys.executable).with_name("ragdb")


@dataclass(frozen=True)
class Ragdb:
    """Runs commands for one home."""

    home: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """The environment: none of whoever runs the tests, but what was asked for."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PG", "RAGDB_")) and name not in ("DATABASE_URL", "NO_COLOR")
        }
        return kept | {"RAGDB_HOME": str(self.home)} | dict(self.environ)

    def having(self, **variables: str) -> Ragdb:
        """The same with more variables."""
        return Ragdb(self.home, {**self.environ, **variables})

    def run(
        self, *arguments: str | Path | bytes, input: bytes = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [PROGRAM, *arguments], input=input, env=self.variables, cwd=cwd, capture_output=True,
            check=False,
        )  # fmt: skip
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, *arguments], env=self.variables, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def text(self, *arguments: str | Path | bytes, **options: Any) -> str:
        """What a command that must succeed prints."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stdout

    def json(self, *arguments: str | Path | bytes, code: int = 0, **options: Any) -> Any:
        """The one JSON document of a command that ends with this exit code."""
        done = self.run(*arguments, "--json", **options)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def problem(self, *arguments: str | Path | bytes, **options: Any) -> tuple[int, str]:
        """Exit code and machine name of a failure, which reads the same as text."""
        as_text = self.run(*arguments, **options)
        done = self.run("--json", *arguments, **options)
        problem = json.loads(done.stdout)["error"]
        assert done.stderr == ""
        assert (as_text.stdout, as_text.returncode) == ("", done.returncode)
        assert as_text.stderr.startswith(f"error: {problem['message']}\n")
        assert "Traceback" not in as_text.stderr
        if problem["hint"]:
            assert f"hint: {problem['hint']}" in as_text.stderr
        assert set(problem) == {"code", "message", "hint", "status"}
        return done.returncode, problem["code"]


@contextmanager
def fresh_home() -> Generator[Ragdb]:
    """An empty home, short because a socket's path ends at 107 bytes; cleared away at the end."""
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    place.chmod(0o755)
    home = place / "home"
    try:
        yield Ragdb(home)
    finally:
        if home.exists():
            Server.default(home).stop()
        shutil.rmtree(place)
