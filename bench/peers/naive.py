"""The query everybody writes: pgvector, a tsvector with ts_rank_cd, and reciprocal rank fusion.

One table with an HNSW, a GIN and two btree indexes in a database of the same server, without
policies, queried by its owner with a prepared statement.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString, cast

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.export import Export
from bench.peers import Built, Mode, Where
from bench.queries import Query

_DATABASE = "naive"
_CREATE = """
create extension vector;
create table chunk (
  id int8 primary key, org int4 not null, shelf int2 not null, half int2 not null,
  title text not null, content text not null,
  words tsvector not null
    generated always as (to_tsvector('english', title || ' ' || content)) stored,
  embedding vector(256) not null)
"""
_INDEX = (
    "create index on chunk using hnsw (embedding vector_cosine_ops)",
    "create index on chunk using gin (words)",
    "create index on chunk (org, shelf)",
    "create index on chunk (org, half)",
    "vacuum analyze chunk",
)
_VECTOR = """
select id, title, content from chunk where true {where}
 order by embedding <=> %(vector)s::vector limit %(k)s
"""
_KEYWORD = """
select id, title, content from chunk, websearch_to_tsquery('english', %(text)s) query
 where words @@ query {where} order by ts_rank_cd(words, query) desc limit %(k)s
"""
_HYBRID = """
with semantic as (
  select id, row_number() over (order by distance) as place
    from (select id, embedding <=> %(vector)s::vector as distance from chunk where true {where}
           order by embedding <=> %(vector)s::vector limit 50) s),
keyword as (
  select id, row_number() over (order by score desc) as place
    from (select id, ts_rank_cd(words, query) as score
            from chunk, websearch_to_tsquery('english', %(text)s) query
           where words @@ query {where} order by score desc limit 50) k)
select c.id, c.title, c.content,
       coalesce(1.0 / (60 + s.place), 0) + coalesce(1.0 / (60 + k.place), 0) as score
  from semantic s full join keyword k on k.id = s.id
  join chunk c on c.id = coalesce(s.id, k.id)
 order by score desc limit %(k)s
"""
_QUERIES: dict[Mode, LiteralString] = {"hybrid": _HYBRID, "keyword": _KEYWORD, "vector": _VECTOR}


class Naive:
    """All words must match, as websearch_to_tsquery() has it."""

    configuration = (
        "PostgreSQL of the same server: HNSW vector(256) m=16 ef_construction=64, ef_search=100,"
        " iterative_scan=relaxed_order; GIN tsvector, websearch_to_tsquery, ts_rank_cd; btree on"
        " (org, shelf) and (org, half); RRF k=60 over 50 + 50 in one prepared statement; no RLS"
    )
    modes: tuple[Mode, ...] = ("hybrid", "keyword", "vector")

    pid: int | None = None
    _connection: psycopg.Connection[tuple[Any, ...]]

    def __init__(self, superuser_url: str) -> None:
        self._server = superuser_url

    def build(self, export: Export, folder: Path) -> Built:
        with psycopg.connect(self._server, autocommit=True) as server:
            server.execute("drop database if exists naive")
            server.execute("create database naive")
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(_CREATE)
            started = time.perf_counter()
            self._load(connection, export)
            loaded = time.perf_counter()
            for statement in _INDEX:
                connection.execute(statement)
            done = time.perf_counter()
            size = connection.execute("select pg_total_relation_size('chunk')").fetchone()
        return Built(loaded - started, done - loaded, size[0] if size else 0)

    def _load(self, connection: psycopg.Connection[tuple[Any, ...]], export: Export) -> None:
        columns = "id, org, shelf, half, title, content, embedding"
        with connection.cursor().copy(f"copy chunk ({columns}) from stdin") as copy:
            for row, (title, content) in enumerate(export.texts()):
                copy.write_row((
                    int(export.ids[row]), int(export.orgs[row]), int(export.shelves[row]),
                    int(export.halves[row]), title, content, _text(export.vectors[row]),
                ))  # fmt: skip

    def open(self, export: Export, folder: Path) -> None:
        self._connection = psycopg.connect(self._url, autocommit=True, prepare_threshold=0)
        self.pid = self._connection.info.backend_pid
        self._connection.execute("load 'vector'")
        self._connection.execute("set hnsw.ef_search = 100")
        self._connection.execute("set hnsw.iterative_scan = relaxed_order")

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        named = {f"w_{column}": value for column, value in where.conditions()}
        condition = sql.SQL("").join(
            sql.SQL(" and {} = {}").format(sql.Identifier(column), sql.Placeholder(f"w_{column}"))
            for column, _ in where.conditions()
        )
        statement = sql.SQL(_QUERIES[mode]).format(where=condition)
        values = {"vector": _text(query.vector), "text": query.text, "k": k, **named}
        return [row[0] for row in self._connection.execute(statement, values).fetchall()]

    def close(self) -> None:
        self._connection.close()

    @property
    def _url(self) -> str:
        return make_conninfo(self._server, dbname=_DATABASE)


def _text(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join(map(repr, cast("list[float]", vector.tolist()))) + "]"


class NaiveOr(Naive):
    """The same table asked for any of the words: finds as much as others do, and takes long."""

    configuration = "the table of naive, with the words of the query joined by or"

    def build(self, export: Export, folder: Path) -> Built:
        with psycopg.connect(self._server) as server:
            found = server.execute("select from pg_database where datname = %s", (_DATABASE,))
            built = found.fetchone() is not None
        return Built(0.0, 0.0, 0) if built else super().build(export, folder)

    def search(self, mode: Mode, query: Query, where: Where, k: int) -> list[int]:
        words = " or ".join(re.findall(r"\w+", query.text))
        return super().search(mode, replace(query, text=words), where, k)
