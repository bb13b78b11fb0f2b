"""The texts an embedding table is trained on: read from archives, cleaned, cut into kinds.

What a table meets in use decides the kinds: chunks of documents (passages, with their heading in
front), sentences, headings, questions, keywords, definitions, and words alone. Everything is
chosen by hash, so a source added later changes nothing about what the others give.
"""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

MANIFEST = Path(__file__).with_name("training_sources.toml")

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "title"})
BLOCKS = frozenset({"p", "para", "li", "dd", "meaning", "caption", "problem", "td"})
SILENT = frozenset(
    {
        "script",
        "style",
        "pre",
        "nav",
        "footer",
        "head",
        "metadata",
        "math",
        "equation",
        "code-block",
        "table",
        "media",
        "list",
    }
)
HOLE = "\0"  # where something unreadable stood; a sentence with a hole is no sentence

SENTENCE_END = re.compile(r"(?<=[.?!])[\"')]*\s+(?=[A-Z0-9\"'(])")
WORD = re.compile(r"[a-z0-9]+")


class Block(NamedTuple):
    """A heading, paragraph or term of a document, in reading order."""

    kind: str
    text: str


class Reader(HTMLParser):
    """The readable blocks of an HTML or CNXML page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self.parts: list[str] = []
        self.kind = ""
        self.silent: list[str] = []
        self.defines = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        tag = tag.rpartition(":")[2]
        if tag in SILENT:
            self.silent.append(tag)
            self.parts.append(HOLE)
        elif tag == "definition":
            self.defines = True
        elif tag in HEADINGS or tag in BLOCKS or (tag == "term" and self.defines):
            self.finish()
            self.kind = "heading" if tag in HEADINGS else tag
        elif tag in {"section", "div", "br"}:
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        tag = tag.rpartition(":")[2]
        if tag in self.silent:
            del self.silent[len(self.silent) - 1 - self.silent[::-1].index(tag) :]
        elif tag in HEADINGS or tag in BLOCKS or (tag == "term" and self.defines):
            self.finish()
            self.defines = self.defines and tag != "meaning"

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.parts.append(data)

    def finish(self) -> None:
        text = " ".join("".join(self.parts).replace("¶", " ").split())
        if self.kind and text.strip(HOLE + " "):
            self.blocks.append(Block(self.kind, text))
        self.parts, self.kind = [], ""


def read_page(content: str) -> list[Block]:
    reader = Reader()
    reader.feed(content)
    reader.close()
    return reader.blocks


def read_factbook(content: str) -> list[Block]:
    """A country profile: nested names over texts in HTML."""
    blocks: list[Block] = []

    def walk(value: object, names: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
                walk(inner, names if name == "text" else (*names, str(name)))  # pyright: ignore
        elif isinstance(value, str) and len(value) > 60:
            blocks.append(Block("heading", " ".join(names[-2:])))
            blocks.extend(Block("p", b.text) for b in read_page(f"<p>{value}</p>"))

    walk(json.loads(content), ())
    return blocks


def read_wordnet(content: str) -> list[Block]:
    """Each sense's words as a term, its definition and examples as what the term means."""
    blocks: list[Block] = []
    for line in content.splitlines():
        if line.startswith("  ") or "|" not in line:
            continue
        fields, _, gloss = line.partition("|")
        field = fields.split()
        words = [field[4 + 2 * n].replace("_", " ") for n in range(int(field[3], 16))]
        meaning, *examples = [part.strip(' "') for part in gloss.split('; "')]
        blocks.append(Block("term", ", ".join(re.sub(r"\(.*\)$", "", w) for w in words[:3])))
        blocks.append(Block("meaning", meaning))
        blocks.extend(Block("example", example) for example in examples)
    return blocks


READERS = {
    ".html": read_page,
    ".cnxml": read_page,
    ".json": read_factbook,
    ".noun": read_wordnet,
    ".verb": read_wordnet,
    ".adj": read_wordnet,
    ".adv": read_wordnet,
}


class Source(NamedTuple):
    """A line of the manifest: an archive with its checksum, or a repository at a commit."""

    name: str
    licence: str
    under: list[str]
    package: str = ""
    sha256: str = ""
    repository: str = ""
    commit: str = ""


def sources() -> list[Source]:
    """The manifest; wherever it names an archive, that very archive is meant."""
    return [Source(**entry) for entry in tomllib.loads(MANIFEST.read_text())["source"]]


def vocabulary_sum() -> str:
    """The checksum of the vocabulary that a table is trained for."""
    return tomllib.loads(MANIFEST.read_text())["vocabulary"]["sha256"]


def documents(source: Source, folder: Path) -> Iterator[list[Block]]:
    """The documents of a source, in the order of its archive."""
    if source.commit:
        command = ["git", "-C", str(folder / source.name), "archive", source.commit, *source.under]
    else:
        archive = folder / source.package
        if sha256(archive.read_bytes()).hexdigest() != source.sha256:
            raise SystemExit(f"{archive} is not the package the manifest names.")
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,  # noqa: S603
        tarfile.open(fileobj=process.stdout, mode="r|") as members,
    ):
        for member in members:
            read = READERS.get(Path(member.name).suffix)
            wanted = any(member.name.removeprefix("./").startswith(u) for u in source.under)
            stream = members.extractfile(member) if member.isfile() else None
            if read and wanted and stream:
                yield read(stream.read().decode("utf-8", "replace"))
    if process.returncode:
        raise SystemExit(f"{source.name} could not be read.")


def order(text: str) -> bytes:
    """Where a text stands in a shuffle that is the same everywhere."""
    return sha256(text.encode()).digest()


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


class Exclusion:
    """The word 8-grams and short texts of evaluation sets, none of which may be trained on."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.grams: set[int] = set()
        self.whole: set[str] = set()
        for folder in folders:
            for path in sorted(folder.rglob("*.jsonl")):
                for line in path.open(encoding="utf-8"):
                    entry = json.loads(line)
                    for key in ("title", "text"):
                        self.add(str(entry.get(key, "")))

    def add(self, text: str) -> None:
        tokens = words(text)
        if len(tokens) < 12:
            self.whole.add(" ".join(tokens))
        self.grams.update(self.eights(tokens))

    @staticmethod
    def eights(tokens: list[str]) -> set[int]:
        return {hash(tuple(tokens[n : n + 8])) for n in range(len(tokens) - 7)}

    def covers(self, text: str) -> bool:
        tokens = words(text)
        if len(tokens) >= 4 and " ".join(tokens) in self.whole:
            return True
        return not self.grams.isdisjoint(self.eights(tokens))
