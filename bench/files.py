"""The files section: from a folder of one format to documents that are found.

The files are made here, with words of the project's own pages, and those below `--corpus DIR` join
them, format by format. They are read and stored as `ragdb add` does it.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.server import Ragdb
from ragdb import ingest
from ragdb.db import Caller, Database
from ragdb.files import find
from ragdb.reading import SUFFIXES, Common, read
from tests import sample_files

_PAGES = Path(__file__).parents[1] / "docs"
_SINGLE = 10
"""Files of each format that are also stored one by one."""

Say = Callable[[str], None]
Page = tuple[str, list[str]]
"""A heading and paragraphs."""


def measure(
    ragdb: Ragdb, folder: Path, corpus: Path | None, count: int, say: Say
) -> dict[str, Any]:
    """Rates of each format, over `count` files made and at most as many of the corpus, and how
    long a document takes on its own."""
    figures: dict[str, Any] = {}
    for suffix, files in sorted(_files(folder, corpus, count).items()):
        key = ragdb.organization(f"files-{suffix}")
        with Database.connect(ragdb.service_url) as database:
            call = partial(database.call, Caller(api_key=key))
            pid = database.connection.info.backend_pid
            # Starts the processes that read, as they would be running in a service.
            _ingest(call, files[:1], "warm-up")
            single = [_ingest(call, [file], "single")["seconds"] for file in files[:_SINGLE]]
            before = _cpu(pid)
            done = _ingest(call, files, "all")
            cpu = _cpu(pid) - before
        size = sum(file.stat().st_size for file in files)
        say(f"files: {len(files)} of {suffix}")
        figures[suffix] = {
            "files": len(files), "bytes": size, "failed": done["failed"],
            "chunks": done["chunks"],
            "documents_per_second": round(done["stored"] / done["seconds"], 1),
            "mb_per_second": round(size / 1e6 / done["seconds"], 2),
            "cpu_ms_per_document": round(1000 * cpu / len(files), 1),
            "single_ms": round(1000 * float(np.median(single)), 1),
        }  # fmt: skip
    return figures


def _ingest(call: ingest.Call, files: list[Path], source: str) -> dict[str, Any]:
    began = time.perf_counter()
    items = read(find([str(file) for file in files], SUFFIXES), Common())
    results = [
        result
        for batch in ingest.batches(items)
        for result in ingest.store(call, ingest.Place(source), batch)
    ]
    failed = sum(result.status == "failed" for result in results)
    return {
        "seconds": time.perf_counter() - began, "failed": failed,
        "stored": len(results) - failed, "chunks": sum(result.chunks for result in results),
    }  # fmt: skip


def _cpu(backend: int) -> float:
    """Processor seconds of this process, of those it has read files by, and of the server's."""
    children = [
        int(child)
        for task in Path("/proc/self/task").glob("*/children")
        for child in task.read_text().split()
    ]
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = sum(map(_of_process, [*children, backend]))
    return time.process_time() + ended.ru_utime + ended.ru_stime + living


def _of_process(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _files(folder: Path, corpus: Path | None, count: int) -> dict[str, list[Path]]:
    folder.mkdir(parents=True)
    words = re.findall(
        r"[A-Za-z]{2,}", " ".join(page.read_text() for page in sorted(_PAGES.glob("*.md")))
    )
    chance = random.Random(1)
    made: dict[str, list[Path]] = {}
    for number in range(count):
        pages = [_page(chance, words) for _ in range(10)]
        for suffix, content in _made(pages):
            file = folder / f"made-{number}.{suffix}"
            file.write_bytes(content)
            made.setdefault(suffix, []).append(file)
    for file in sorted(corpus.rglob("*")) if corpus else ():
        files = made.get(file.suffix[1:].lower())
        if files is not None and file.is_file() and len(files) < 2 * count:
            files.append(file)
    return made


def _page(chance: random.Random, words: list[str]) -> Page:
    def sentence() -> str:
        return " ".join(chance.choices(words, k=chance.randint(8, 18))).capitalize() + "."

    return sentence()[:40], [" ".join(sentence() for _ in range(4)) for _ in range(6)]


def _made(pages: list[Page]) -> Iterator[tuple[str, bytes]]:
    """The same text in every format: ten pages of some 300 words."""
    title = pages[0][0]
    paragraphs = [paragraph for _, page in pages for paragraph in page]
    markdown = "\n\n".join(part for head, page in pages for part in (f"# {head}", *page))
    rows: list[list[str | int]] = [["page", "text"]]
    for head, page in pages:
        for text in page:
            rows.append([head, text])
    body = "".join(f"<h1>{h}</h1>" + "".join(f"<p>{p}</p>" for p in page) for h, page in pages)
    table = io.StringIO()
    csv.writer(table).writerows(rows)
    yield "txt", "\n\n".join(paragraphs).encode()
    yield "md", markdown.encode()
    yield "html", f"<!doctype html><title>{title}</title><body>{body}".encode()
    yield "csv", table.getvalue().encode()
    yield "json", json.dumps({"title": title, "paragraphs": paragraphs}).encode()
    yield "eml", sample_files.eml(title, "\n\n".join(paragraphs))
    yield "rtf", sample_files.rtf("\n\n".join(paragraphs))
    yield "pdf", sample_files.pdf(*(" ".join(page) for _, page in pages))
    yield "docx", sample_files.docx(title, *paragraphs)
    yield "odt", sample_files.odt(title, *paragraphs)
    yield "epub", sample_files.epub(title, *((head, " ".join(page)) for head, page in pages))
    yield "pptx", sample_files.pptx(*((head, " ".join(page)) for head, page in pages))
    yield "xlsx", sample_files.xlsx(Text=rows)
