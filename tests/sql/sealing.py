"""Segments of few chunks: maintain() makes none of less than 4,000."""

from __future__ import annotations

import psycopg


def seal(db: psycopg.Connection, key: str, chunks: int = 4000) -> None:
    """Seal the first chunks of each scope."""
    with db.transaction():
        db.execute("set local role ragdb_service")
        db.execute("select ragdb.begin_context(%s)", (key,))
        db.execute(
            """
            select ragdb_data._seal(
                     c.scope_no, (array_agg(c.chunk_no order by c.chunk_no))[: %s])
              from ragdb_data.chunk c
             where c.org_no = ragdb.current_org_no()
             group by c.scope_no
            """,
            (chunks,),
        )
