"""The bench at its smallest, for real: a database, a corpus, figures and the page they go to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from places import roomy_memory

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def work() -> Iterator[Path]:
    """A short directory that any user may enter."""
    place = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def bench(work: Path, *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAGDB_")}
    size = ("--quick", "--chunks", "1000", "--queries", "10", "--peers", "none")
    done = subprocess.run(
        [sys.executable, "-m", "bench", *size, "--corpus", "docs", "--work", work, *arguments],
        cwd=ROOT, env=kept, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def measured(work: Path) -> dict[str, Any]:
    return json.loads(bench(work, "--only", "search", "--only", "overhead", "--json"))


def test_one_document_holds_figures_machine_and_targets(measured: dict[str, Any]) -> None:
    assert measured.keys() == {"ratios", "figures", "machine", "targets"}
    assert measured["ratios"] == {}
    assert measured["figures"].keys() == {"storage", "search", "overhead"}
    assert {"shared_buffers", "fsync", "jit"} <= measured["machine"]["settings"].keys()
    assert len(measured["machine"]["corpus"]) == 16
    hybrid = measured["targets"]["hybrid_10k"]
    assert (hybrid["bound"], hybrid["value"], hybrid["met"]) == (">= 5", None, None)
    assert measured["targets"]["never_short"]["value"] == 0


def test_every_size_mode_and_tenant_is_timed(measured: dict[str, Any]) -> None:
    world = measured["figures"]["search"]["mixed"]
    assert world.keys() == {"500", "200", "50"}
    for scenario in world.values():
        for mode in ("hybrid", "keyword", "vector"):
            timing = scenario[mode]["ragdb"]
            assert 0 < timing["p50_ms"] <= timing["p95_ms"]
            assert timing["queries"] == 10
        assert scenario["vector"]["ragdb"]["recall"] == 1
    assert measured["figures"]["overhead"].keys() == world.keys()
    assert measured["figures"]["storage"]["mixed"]["chunks"] >= 1000


def test_what_is_kept_is_reported_again(measured: dict[str, Any], work: Path) -> None:
    page = work / "page.md"
    page.write_text("Before.\n<!-- quick -->\nOld.\n<!-- end of quick -->\nAfter.\n")
    shown = bench(work, "--report", "--markdown", str(page))
    p50 = measured["figures"]["search"]["mixed"]["500"]["hybrid"]["ragdb"]["p50_ms"]
    assert f"{p50:.2f}" in shown
    text = page.read_text()
    assert text.startswith("Before.\n<!-- quick -->\n")
    assert text.endswith("<!-- end of quick -->\nAfter.\n")
    assert "Old." not in text
    assert f"| 500 | hybrid | {p50:.2f}" in text


def test_files_of_every_format_become_documents(work: Path) -> None:
    found = json.loads(bench(work, "--only", "files", "--json"))["figures"]["files"]
    assert {"pdf", "docx", "pptx", "xlsx", "html", "eml", "epub", "odt", "rtf", "csv"} < set(found)
    for figures in found.values():
        assert figures["failed"] == 0 and figures["chunks"] >= figures["files"] >= 2
        assert figures["documents_per_second"] > 0 and figures["mb_per_second"] > 0
