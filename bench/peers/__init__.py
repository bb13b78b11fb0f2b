"""What ragdb is measured against, each fed the chunks and vectors that ragdb made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench.export import Export
from bench.queries import Query

Mode = Literal["hybrid", "keyword", "vector"]


@dataclass(frozen=True)
class Where:
    """A filter: one organization or all of them, and one value of a metadata column or any."""

    org: int | None = None
    column: Literal["shelf", "half"] | None = None
    value: int = 0

    def conditions(self) -> list[tuple[str, int]]:
        """What a row must equal."""
        found = [("org", self.org)] if self.org is not None else []
        return found + ([(self.column, self.value)] if self.column else [])


@dataclass(frozen=True)
class Built:
    """What making an index took."""

    load_seconds: float
    index_seconds: float
    bytes: int


class Peer(Protocol):
    """A search engine that holds a world."""

    configuration: str
    modes: tuple[Mode, ...]
    pid: int | None
    """The server process that searches, where it is not this one."""

    def build(self, export: Export, folder: Path) -> Built:
        """Take in every chunk, ready to search."""
        ...

    def open(self, export: Export, folder: Path) -> None:
        """Open what build() left in the folder."""
        ...

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        """The ids of the best k chunks."""
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...


def folder_bytes(folder: Path) -> int:
    """What a folder takes on disk."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
