"""The embedding table: one vector per WordPiece token, loaded into the database by binary COPY.

The shipped file, little endian:

    header   magic, format, dimensions, rows, bytes of token text, model name, and the weights of
             lexical match, cosine and offset in the confidence of a search (struct HEADER)
    tokens   UTF-8, separated by newlines, in byte order
    scales   one float32 per row
    rows     one int8 per dimension; a token's vector is its row times its scale

Beside it, minilm_256.basis takes a unit vector of all-MiniLM-L6-v2 into the table's space: 384 x
256 float32, row by row, to multiply it by before bringing it to unit length again.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

import psycopg

MAGIC = b"ragdbemb"
FORMAT = 2
HEADER = struct.Struct("<8sHHII32s3d")

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = struct.pack(">h", -1)


class Table(NamedTuple):
    """A table, its vectors still packed."""

    model: str
    confidence: tuple[float, float, float]
    checksum: str
    dimensions: int
    tokens: list[bytes]
    scales: array[float]
    rows: memoryview[int]


def load(connection: psycopg.Connection, table: Table | None = None) -> bool:
    """Bring a table, by default the shipped one, into the database, in the caller's transaction.

    It stands beside an older one, which organizations that have vectors of it use until
    `ragdb.reembed()` has made new ones. Returns whether it had to be loaded: the same checksum
    means there is nothing to do but to drop tables that nobody uses any more.
    """
    table = table or read_table()
    recorded = connection.execute(
        "select version, checksum from ragdb_data.embedding_table_version"
        " order by version desc limit 1"
    ).fetchone()
    version = recorded[0] if recorded else 0
    is_new = recorded is None or recorded[1] != table.checksum
    if is_new:
        version += 1
        _copy(connection, table, version)
        _mark_outdated(connection, version)
    _drop_unused(connection, version)
    return is_new


def _copy(connection: psycopg.Connection, table: Table, version: int) -> None:
    connection.execute(
        "insert into ragdb_data.embedding_table_version"
        " (version, model, checksum, confidence_lexical, confidence_cosine, confidence_offset)"
        " values (%s, %s, %s, %s, %s, %s)",
        (version, table.model, table.checksum, *table.confidence),
    )
    with connection.cursor().copy(
        "copy ragdb_data.embedding_token (version, token, embedding) from stdin (format binary)"
    ) as copy:
        copy.write(COPY_HEADER)
        for row in copy_rows(table, version):
            copy.write(row)
        copy.write(COPY_TRAILER)
    connection.execute("analyze ragdb_data.embedding_token")


def _mark_outdated(connection: psycopg.Connection, version: int) -> None:
    """Let every organization go on with the table that its vectors are of."""
    connection.execute(
        "insert into ragdb_data.outdated_organization (org_no, version, scopes, done_to)"
        " select s.org_no, %s, array_agg(s.scope_no order by s.scope_no), array_agg(0)"
        " from ragdb_data.scope s"
        " where exists (select from ragdb_data.chunk_vector v where v.org_no = s.org_no)"
        " group by s.org_no"
        " on conflict (org_no) do update set scopes = excluded.scopes, done_to = excluded.done_to",
        (version - 1,),
    )


def _drop_unused(connection: psycopg.Connection, version: int) -> None:
    used = "select %s union select o.version from ragdb_data.outdated_organization o"
    for table in ("embedding_token", "embedding_table_version"):
        query = f"delete from ragdb_data.{table} where version not in ({used})"  # noqa: S608
        connection.execute(query.encode(), (version,))


def read_table() -> Table:
    """Read the file that ships with the package."""
    return parse((files("ragdb") / "data" / "minilm_256.int8").read_bytes())


def parse(content: bytes) -> Table:
    """A table from the bytes of its file."""
    magic, version, dimensions, count, text_size, model, *weights = HEADER.unpack_from(content)
    scales_at = HEADER.size + text_size
    rows_at = scales_at + 4 * count
    if (magic, version, len(content)) != (MAGIC, FORMAT, rows_at + count * dimensions):
        raise ValueError("The embedding table of this installation is damaged; reinstall ragdb.")
    return Table(
        model=model.rstrip(b"\0").decode(),
        confidence=(weights[0], weights[1], weights[2]),
        checksum=sha256(content).hexdigest(),
        dimensions=dimensions,
        tokens=content[HEADER.size : scales_at].split(b"\n"),
        scales=array("f", struct.unpack_from(f"<{count}f", content, scales_at)),
        rows=memoryview(content)[rows_at:].cast("b"),
    )


def copy_rows(table: Table, version: int) -> Iterator[bytes]:
    """The table's rows as COPY's binary format wants them: version, token, halfvec."""
    width = table.dimensions
    halfvec = struct.Struct(f">ihh{width}e")
    size = halfvec.size - 4
    for number, (token, scale) in enumerate(zip(table.tokens, table.scales, strict=True)):
        row = table.rows[number * width : (number + 1) * width]
        yield (
            struct.pack(">hihi", 3, 2, version, len(token))
            + token
            + halfvec.pack(size, width, 0, *[value * scale for value in row])
        )
