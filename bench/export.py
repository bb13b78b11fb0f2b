"""The chunks of a database and their vectors in files, from which every peer is filled."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from bench.server import Ragdb

DIMENSIONS = 256


class Export:
    """The chunks of a world as arrays, row by row the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ids: NDArray[np.int64] = np.load(folder / "ids.npy")
        self.orgs: NDArray[np.int32] = np.load(folder / "orgs.npy")
        self.shelves: NDArray[np.int16] = np.load(folder / "shelves.npy")
        self.halves: NDArray[np.int16] = np.load(folder / "halves.npy")
        self.vectors: NDArray[np.float32] = np.load(folder / "vectors.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.ids)

    def matching(self, conditions: Sequence[tuple[str, int]]) -> NDArray[np.bool_]:
        """Which rows equal a value in each of these columns: org, shelf, half."""
        columns: dict[str, NDArray[Any]] = {
            "org": self.orgs, "shelf": self.shelves, "half": self.halves
        }  # fmt: skip
        rows = np.ones(len(self), dtype=np.bool_)
        for column, value in conditions:
            rows &= columns[column] == value
        return rows

    def texts(self) -> Iterator[tuple[str, str]]:
        """Title and text of each chunk, in the order of the arrays."""
        with open(self.folder / "texts.jsonl", encoding="utf-8") as file:
            for line in file:
                title, content = json.loads(line)
                yield title, content

    @cached_property
    def text_bytes(self) -> int:
        return sum(len(content.encode()) for _, content in self.texts())


_EXPORT = """
select c.org_no, c.chunk_no, d.title, c.content,
       (d.metadata ->> 'shelf')::int2 as shelf, (d.metadata ->> 'half')::int2 as half, v.embedding
  from ragdb_data.chunk c
  join ragdb_data.chunk_vector v on v.org_no = c.org_no and v.chunk_no = c.chunk_no
 cross join lateral (
   select k.title, k.metadata from ragdb_data.document k
    where k.org_no = c.org_no and k.body_no = c.body_no order by k.document_no limit 1) d
 where c.org_no = any (%s)
 order by c.org_no, c.chunk_no
"""


def export(ragdb: Ragdb, target: Path, orgs: list[int]) -> None:
    """Write the chunks of these organizations to a folder, which exists only whole."""
    staged = target.with_name(".export")
    staged.mkdir(exist_ok=True)
    columns: list[tuple[int, int, int, int]] = []
    vectors: list[NDArray[np.float16]] = []
    with open(staged / "texts.jsonl", "w", encoding="utf-8") as file:
        for org, chunk, title, content, shelf, half, embedding in _rows(ragdb, orgs):
            file.write(json.dumps([title, content], ensure_ascii=False) + "\n")
            columns.append((chunk, org, shelf, half))
            vectors.append(np.frombuffer(embedding, dtype=">f2", offset=4).astype(np.float16))
    table = np.array(columns, dtype=np.int64)
    np.save(staged / "ids.npy", table[:, 0])
    np.save(staged / "orgs.npy", table[:, 1].astype(np.int32))
    np.save(staged / "shelves.npy", table[:, 2].astype(np.int16))
    np.save(staged / "halves.npy", table[:, 3].astype(np.int16))
    np.save(staged / "vectors.npy", np.stack(vectors).astype(np.float32))
    staged.rename(target)


def _rows(ragdb: Ragdb, orgs: list[int]) -> Generator[tuple[Any, ...]]:
    with (
        psycopg.connect(ragdb.superuser_url) as connection,
        connection.cursor("export", binary=True) as cursor,
    ):
        cursor.itersize = 5000
        yield from cursor.execute(_EXPORT, (orgs,))
