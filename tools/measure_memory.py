"""How much memory adding documents takes, at its highest (development only).

python tools/measure_memory.py DIRECTORY [--text MB] [--folder MB]

Makes a text file in DIRECTORY, and a folder of files of a megabyte: a tenth texts, the others Word
documents with pictures and pages with scripts, a fiftieth of which is text. Each is added to a
server of its own. A row of a Markdown table says how much anonymous memory the command took, a
process that reads files, and a process of the server; all resident memory of the last counts shared
buffers too, which are not its own. A size of 0 leaves file or folder out.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from zipfile import ZipFile

MEGABYTE = 1_000_000
_TEXT = MEGABYTE // 50
_OPEN = "http://schemas.openxmlformats.org"
_DOCX = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_OPEN}/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.'
        'relationships+xml"/><Default Extension="png" ContentType="image/png"/>'
        '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.wordprocessingml.document.main+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_OPEN}/package/2006/relationships"><Relationship Id="r1"'
        f' Type="{_OPEN}/officeDocument/2006/relationships/officeDocument"'
        ' Target="word/document.xml"/></Relationships>'
    ),
    "word/document.xml": (
        f'<w:document xmlns:w="{_OPEN}/wordprocessingml/2006/main"><w:body>{{}}</w:body>'
        "</w:document>"
    ),
}
PROGRAM = Path(sys.executable).with_name("ragdb")
_PAUSE = 0.2


def words() -> list[str]:
    """Words of English, which the file has in the order of how often they come."""
    vocabulary = Path(__file__).parents[1] / "src" / "ragdb" / "data" / "vocab.txt"
    known = vocabulary.read_text(encoding="utf-8").split()
    return [word for word in known if re.fullmatch(r"[a-z]{2,}", word)]


@dataclass
class Author:
    """Writes files whose words come as often as words do."""

    chance: random.Random
    words: list[str]

    def __post_init__(self) -> None:
        self.weights = list(accumulate(1 / rank for rank in range(1, len(self.words) + 1)))

    def paragraphs(self, size: int) -> Iterator[str]:
        """Text of about so many characters."""
        while size > 0:
            chosen = self.chance.choices(self.words, cum_weights=self.weights, k=120)
            lines = (" ".join(chosen[at : at + 12]).capitalize() for at in range(0, 120, 12))
            yield (paragraph := ". ".join(lines) + ".")
            size -= len(paragraph)

    def text(self, path: Path, size: int) -> None:
        """Nothing but paragraphs."""
        with path.open("w", encoding="utf-8") as file:
            for paragraph in self.paragraphs(size):
                file.write(paragraph + "\n\n")

    def page(self, path: Path) -> None:
        """An HTML page that is script for the most part."""
        text = "".join(f"<p>{paragraph}</p>\n" for paragraph in self.paragraphs(_TEXT))
        script = "x='0123456789abcdef';" * ((MEGABYTE - len(text)) // 21)
        path.write_text(f"<html><script>{script}</script><body>{text}</body></html>")

    def document(self, path: Path) -> None:
        """A Word document that is a picture for the most part."""
        runs = "".join(f"<w:p><w:r><w:t>{p}</w:t></w:r></w:p>" for p in self.paragraphs(_TEXT))
        with ZipFile(path, "w") as archive:
            for name, content in _DOCX.items():
                archive.writestr(name, content.format(runs))
            archive.writestr("word/media/image1.png", self.chance.randbytes(MEGABYTE - _TEXT))


def memory(pid: int) -> tuple[int, int]:
    """Anonymous and all resident memory of a process in bytes; nothing when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    found = dict(re.findall(r"^(RssAnon|VmRSS):\s+(\d+) kB", status, re.MULTILINE))
    return 1024 * int(found.get("RssAnon", 0)), 1024 * int(found.get("VmRSS", 0))


def children() -> dict[int, list[int]]:
    """Of every process that there is, those it has started."""
    found: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found.setdefault(parent, []).append(int(path.parent.name))
    return found


def below(pid: int, tree: dict[int, list[int]]) -> list[int]:
    """All that a process has started, and what that has."""
    return [one for child in tree.get(pid, []) for one in (child, *below(child, tree))]


def add(path: Path, home: Path) -> Counter[str]:
    """Add a file or folder; the highest memory by who needed it."""
    postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
    environment = {**os.environ, "RAGDB_HOME": str(home)}
    process = subprocess.Popen([PROGRAM, "add", "--quiet", path], env=environment)
    peaks, said = Counter[str](), time.monotonic()
    while process.poll() is None:
        tree = children()
        readers, server = below(process.pid, tree), below(postmaster, tree)
        for name, pids in (("command", [process.pid]), ("reader", readers), ("server", server)):
            for pid in pids:
                anonymous, resident = memory(pid)
                peaks[name] = max(peaks[name], anonymous)
                peaks[f"{name} resident"] = max(peaks[f"{name} resident"], resident)
        if time.monotonic() > said + 60:
            said = time.monotonic()
            print(f"so far: {dict(peaks)}", file=sys.stderr)
        time.sleep(_PAUSE)
    if process.returncode:
        raise SystemExit(f"ragdb add ended with {process.returncode}.")
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--text", type=int, default=200, help="MB of the text file")
    parser.add_argument("--folder", type=int, default=500, help="MB of the folder")
    given = parser.parse_args()
    author = Author(random.Random(1), words())  # noqa: S311
    home = given.directory / "home"
    given.directory.mkdir(parents=True)
    paths: list[Path] = []
    if given.text:
        paths.append(given.directory / f"text of {given.text} MB")
        author.text(paths[-1], given.text * MEGABYTE)
    if given.folder:
        paths.append(given.directory / f"folder of {given.folder} MB")
        paths[-1].mkdir()
        for number in range(given.folder):
            if number % 10 == 0:
                author.text(paths[-1] / f"{number}.txt", MEGABYTE)
            elif number % 2:
                author.page(paths[-1] / f"{number}.html")
            else:
                author.document(paths[-1] / f"{number}.docx")
    environment = {**os.environ, "RAGDB_HOME": str(home)}
    subprocess.run([PROGRAM, "init", "--quiet"], env=environment, check=True)
    print("| added | command MB | reader MB | server process MB, all resident | seconds |")
    print("|---|---|---|---|---|")
    try:
        for path in paths:
            began = time.monotonic()
            peaks = add(path, home)
            shown = {name: round(peak / MEGABYTE) for name, peak in peaks.items()}
            print(
                f"| {path.name} | {shown['command']} | {shown['reader']} | {shown['server']},"
                f" {shown['server resident']} | {time.monotonic() - began:.0f} |", flush=True,
            )  # fmt: skip
    finally:
        subprocess.run([PROGRAM, "stop"], env=environment, check=True)


if __name__ == "__main__":
    main()
