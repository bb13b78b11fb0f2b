"""One run from corpus to report, kept after every step so that an interrupted one is not lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from bench import (
    changes,
    corpus,
    files,
    growth,
    machine,
    overhead,
    queries,
    search,
    targets,
    throughput,
    writing,
)
from bench.peers import Built, Peer
from bench.peers.registry import make
from bench.server import Ragdb, running
from bench.world import Plan, World, loaded

SECTIONS = ("search", "overhead", "throughput", "files", "ingest", "changes", "growth")
_WORLD_SECTIONS = ("search", "overhead", "throughput")


@dataclass(frozen=True)
class Options:
    """What to measure, and how much of it."""

    work: Path
    corpus: Path | None
    chunks: int
    plans: tuple[Plan, ...]
    peers: tuple[str, ...]
    sections: tuple[str, ...]
    queries: int
    seconds: int
    """Of each throughput figure."""
    writing: int
    """Chunks of each ingest figure but bulk."""
    churn: int
    rounds: int
    growth: int

    @property
    def name(self) -> str:
        return f"{self.chunks}-{self.corpus.name if self.corpus else 'debian'}"


@dataclass
class Run:
    """The figures so far, and where they are kept."""

    options: Options
    say: Callable[[str], None]
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    machine: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def folder(self) -> Path:
        return self.options.work / self.options.name

    @property
    def path(self) -> Path:
        return self.folder / "results.json"

    def recall(self) -> None:
        """Begin with what earlier runs in this directory measured."""
        if self.path.exists():
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            self.figures, self.machine = kept["figures"], kept["machine"]

    def measure(self) -> None:
        """Every section that was asked for, replacing what was known of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.machine |= machine.described()
        wanted = self.options.sections
        if any(section in wanted for section in _WORLD_SECTIONS):
            for plan in self.options.plans:
                self._world(plan)
        for section, function in (
            ("files", self._files), ("ingest", self._ingest),
            ("changes", self._changes), ("growth", self._growth),
        ):  # fmt: skip
            if section in wanted:
                with self._fresh(section) as ragdb:
                    self.keep(section, function(ragdb))

    def keep(self, *path_and_value: Any) -> None:
        """Put a value into the figures by its path, and all of them on disk."""
        *path, last, value = path_and_value
        where = self.figures
        for name in path:
            where = where.setdefault(name, {})
        where[last] = value
        self.machine["load_after"] = machine.load()
        staged = self.path.with_suffix(".part")
        staged.write_text(json.dumps(self.document(), indent=1), encoding="utf-8")
        staged.rename(self.path)

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        ratio = targets.ratios(self.figures)
        return {
            "ratios": ratio,
            "figures": self.figures,
            "machine": self.machine,
            "targets": targets.verdicts(self.figures, ratio),
        }

    def _world(self, plan: Plan) -> None:
        options, wanted = self.options, self.options.sections
        with running(self.folder / f"{plan.name}-home") as ragdb:
            self._note_settings(ragdb)
            world = loaded(plan, self.folder / plan.name, ragdb, self._documents(), self.say)
            self.keep("storage", plan.name, _storage(world))
            with self._peers(world) as peers:
                asked = list(search.scenarios(world, options.queries))
                if "search" in wanted:
                    for name, figures in search.measure(world, asked, peers, self.say):
                        self.keep("search", plan.name, name, figures)
                plain = [scenario for scenario in asked if scenario.filter.column is None]
                if "overhead" in wanted:
                    for name, figures in overhead.measure(world, plain, self.say):
                        self.keep("overhead", name, figures)
                if "throughput" in wanted:
                    for name, figures in throughput.measure(
                        world, plain, peers, options.seconds, self.say
                    ):
                        self.keep("throughput", name, figures)

    @contextmanager
    def _peers(self, world: World) -> Generator[dict[str, Peer]]:
        """The peers holding the world; what one has built is kept for later runs."""
        peers: dict[str, Peer] = {}
        try:
            for name in self.options.peers:
                peer = make(name, world.ragdb)
                folder = world.folder / name
                note = folder / "built.json"
                if not note.exists():
                    self.say(f"{world.plan.name}: building {name}")
                    shutil.rmtree(folder, ignore_errors=True)
                    folder.mkdir()
                    built = peer.build(world.export, folder)
                    note.write_text(json.dumps(asdict(built)))
                built = Built(**json.loads(note.read_text()))
                figures = {"chunks": len(world.export), **asdict(built)}
                self.keep("peers", world.plan.name, name, figures)
                self.machine.setdefault("peers", {})[name] = peer.configuration
                peer.open(world.export, folder)
                peers[name] = peer
            yield peers
        finally:
            for peer in peers.values():
                peer.close()

    def _documents(self) -> Iterator[corpus.Document]:
        """From the beginning; downloading and preparing is over when this returns."""
        options = self.options
        cache = options.work / "corpus"
        documents = corpus.prepare(cache, options.corpus, options.chunks, self.say)
        first = next(documents)
        self.machine["corpus"] = corpus.fingerprint(cache, options.corpus, options.chunks)
        return chain([first], documents)

    def _note_settings(self, ragdb: Ragdb) -> None:
        settings = ragdb.settings()
        self.machine["postgres"] = settings.pop("server_version")
        self.machine["settings"] = settings

    @contextmanager
    def _fresh(self, section: str) -> Generator[Ragdb]:
        """A new database, gone afterwards."""
        home = self.folder / f"{section}-home"
        shutil.rmtree(home, ignore_errors=True)
        with running(home) as ragdb:
            self._note_settings(ragdb)
            yield ragdb
        shutil.rmtree(home, ignore_errors=True)

    def _files(self, ragdb: Ragdb) -> dict[str, Any]:
        folder = self.folder / "files"
        shutil.rmtree(folder, ignore_errors=True)
        count = min(40, max(2, self.options.chunks // 1000))
        return files.measure(ragdb, folder, self.options.corpus, count, self.say)

    def _ingest(self, ragdb: Ragdb) -> dict[str, Any]:
        options = self.options
        return writing.measure(ragdb, self._documents(), options.writing, options.chunks, self.say)

    def _changes(self, ragdb: Ragdb) -> dict[str, Any]:
        options = self.options
        return changes.measure(
            ragdb, self._documents(), options.churn, options.rounds, self._queries(), self.say
        )

    def _growth(self, ragdb: Ragdb) -> list[dict[str, Any]]:
        documents = self._documents()
        return growth.measure(ragdb, documents, self.options.growth, self._queries(), self.say)

    def _queries(self) -> list[str]:
        """Over the text the documents begin with, for what is measured outside of a world."""
        documents = islice(self._documents(), 200)
        sample = [(str(document["title"]), str(document["content"])) for document in documents]
        return queries.texts(sample, self.options.queries)


def _storage(world: World) -> dict[str, Any]:
    chunks = len(world.export)
    tables = world.ragdb.relation_bytes()
    tables.pop("embedding_token")
    return {
        "chunks": chunks,
        "text_bytes_per_chunk": round(world.export.text_bytes / chunks),
        "bytes_per_chunk": round(sum(tables.values()) / chunks),
        "tables": {name: round(size / chunks) for name, size in list(tables.items())[:8]},
        "loaded_per_second": round(
            chunks / sum(t.put_seconds + t.maintain_seconds for t in world.tenants), 1
        ),
        **world.ragdb.memory(),
    }  # fmt: skip
