"""How much memory adding documents takes, at its highest (development only).

python tools/measure_memory.py DIRECTORY [--text MB] [--folder MB]

Makes a text file, and a folder of texts and of HTML pages half and half, in DIRECTORY; adds each by
`ragdb add` to a server of its own, and prints a row of a Markdown table: the anonymous memory of
the command, of the processes that read files, and of the server's processes that serve it. Of these
the whole resident memory counts shared buffers, which are the server's and not theirs.
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
from itertools import accumulate
from pathlib import Path

MEGABYTE = 1_000_000
PROGRAM = Path(sys.executable).with_name("ragdb")
_PAUSE = 0.2


def words() -> list[str]:
    """Words of English, which the file has in the order of how often they come."""
    vocabulary = Path(__file__).parents[1] / "src" / "ragdb" / "data" / "vocab.txt"
    known = vocabulary.read_text(encoding="utf-8").split()
    return [word for word in known if re.fullmatch(r"[a-z]{2,}", word)]


def write(path: Path, size: int, is_html: bool, chance: random.Random, known: list[str]) -> None:
    """A text in paragraphs, or a page of it, whose words come as often as words do."""
    weights = list(accumulate(1 / rank for rank in range(1, len(known) + 1)))
    start, end = ("<p>", "</p>\n") if is_html else ("", "\n\n")
    written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < size:
            chosen = chance.choices(known, cum_weights=weights, k=120)
            sentences = (" ".join(chosen[at : at + 12]).capitalize() for at in range(0, 120, 12))
            written += file.write(start + ". ".join(sentences) + "." + end)


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


def add(path: Path, home: Path) -> tuple[Counter[str], str]:
    """Add a file or folder; the highest memory by who needed it, and what the command printed."""
    postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
    environment = {**os.environ, "RAGDB_HOME": str(home)}
    command = [PROGRAM, "add", "--quiet", "--source", path.name, path]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    peaks: Counter[str] = Counter()
    while process.poll() is None:
        tree = children()
        readers, server = below(process.pid, tree), below(postmaster, tree)
        for name, pids in (("command", [process.pid]), ("reader", readers), ("server", server)):
            for pid in pids:
                anonymous, resident = memory(pid)
                peaks[name] = max(peaks[name], anonymous)
                peaks[f"{name} resident"] = max(peaks[f"{name} resident"], resident)
        peaks["readers"] = max(peaks["readers"], len(readers))
        time.sleep(_PAUSE)
    printed = process.stdout.read() if process.stdout else ""
    if process.returncode:
        raise SystemExit(f"ragdb add ended with {process.returncode}: {printed}")
    return peaks, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--text", type=int, default=200, help="MB of the text file")
    parser.add_argument("--folder", type=int, default=500, help="MB of the folder")
    given = parser.parse_args()
    chance, known, home = random.Random(1), words(), given.directory / "home"  # noqa: S311
    text = given.directory / f"text-{given.text}"
    folder = given.directory / f"folder-{given.folder}"
    folder.mkdir(parents=True)
    write(text, given.text * MEGABYTE, False, chance, known)
    for number in range(given.folder):
        is_html = number % 2 == 1
        name = folder / f"{number}.{'html' if is_html else 'txt'}"
        write(name, MEGABYTE, is_html, chance, known)
    environment = {**os.environ, "RAGDB_HOME": str(home)}
    subprocess.run([PROGRAM, "init", "--quiet"], env=environment, check=True)
    print("| added | command MB | reader MB | server process MB, all resident | seconds |")
    print("|---|---|---|---|---|")
    try:
        for path in (text, folder):
            began = time.monotonic()
            peaks, _ = add(path, home)
            shown = {name: round(peak / MEGABYTE) for name, peak in peaks.items()}
            print(
                f"| {path.name} | {shown['command']} | {shown['reader']} | {shown['server']},"
                f" {shown['server resident']} | {time.monotonic() - began:.0f} |", flush=True,
            )  # fmt: skip
    finally:
        subprocess.run([PROGRAM, "stop"], env=environment, check=True)


if __name__ == "__main__":
    main()
