"""The embedding table: one vector per WordPiece token, loaded into the database by binary COPY.

The shipped file, little endian:

    header   magic, format, dimensions, rows, bytes of token text, model name (struct HEADER)
    tokens   UTF-8, separated by newlines, in byte order
    scales   one float32 per row
    rows     one int8 per dimension; a token's vector is its row times its scale
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
FORMAT = 1
HEADER = struct.Struct("<8sHHII32s")

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = struct.pack(">h", -1)


class Table(NamedTuple):
    """The shipped table, its vectors still packed."""

    model: str
    checksum: str
    dimensions: int
    tokens: list[bytes]
    scales: array[float]
    rows: memoryview[int]


def load(connection: psycopg.Connection) -> bool:
    """Make the database's table equal to the shipped one, inside the caller's transaction.

    Returns whether it had to be loaded: the same checksum means there is nothing to do.
    """
    table = read_table()
    recorded = connection.execute(
        "select checksum from ragdb_data.embedding_table_version"
    ).fetchone()
    if recorded and recorded[0] == table.checksum:
        return False

    # Not truncate: a search running on an older snapshot would find the table empty.
    connection.execute("delete from ragdb_data.embedding_token")
    with connection.cursor().copy(
        "copy ragdb_data.embedding_token (token, embedding) from stdin (format binary)"
    ) as copy:
        copy.write(COPY_HEADER)
        for row in copy_rows(table):
            copy.write(row)
        copy.write(COPY_TRAILER)
    connection.execute("analyze ragdb_data.embedding_token")

    connection.execute("delete from ragdb_data.embedding_table_version")
    connection.execute(
        "insert into ragdb_data.embedding_table_version (model, checksum, loaded_at)"
        " values (%s, %s, now())",
        (table.model, table.checksum),
    )
    return True


def read_table() -> Table:
    """Read the file that ships with the package."""
    content = (files("ragdb") / "data" / "minilm_256.int8").read_bytes()
    magic, version, dimensions, count, text_size, model = HEADER.unpack_from(content)
    scales_at = HEADER.size + text_size
    rows_at = scales_at + 4 * count
    if (magic, version, len(content)) != (MAGIC, FORMAT, rows_at + count * dimensions):
        raise ValueError("The embedding table of this installation is damaged; reinstall ragdb.")
    return Table(
        model=model.rstrip(b"\0").decode(),
        checksum=sha256(content).hexdigest(),
        dimensions=dimensions,
        tokens=content[HEADER.size : scales_at].split(b"\n"),
        scales=array("f", struct.unpack_from(f"<{count}f", content, scales_at)),
        rows=memoryview(content)[rows_at:].cast("b"),
    )


def copy_rows(table: Table) -> Iterator[bytes]:
    """The table's rows as COPY's binary format wants them: token, then halfvec."""
    width = table.dimensions
    halfvec = struct.Struct(f">ihh{width}e")
    size = halfvec.size - 4
    for number, (token, scale) in enumerate(zip(table.tokens, table.scales, strict=True)):
        row = table.rows[number * width : (number + 1) * width]
        yield (
            struct.pack(">hi", 2, len(token))
            + token
            + halfvec.pack(size, width, 0, *[value * scale for value in row])
        )
