"""Embedding models of the two organizations: what they have embedded, what waits, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from world import Party

if TYPE_CHECKING:
    from population import Populator


def register(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """Two models with vectors of their own; nobody listens where they are."""
    for name in ("small", "second"):
        connection.execute(
            "select ragdb.register_embedding_model(%s, 'openai', 'http://127.0.0.1:1', 'm', 8)",
            (name,),
        )


def embed(populator: Populator, party: Party) -> None:
    """A model that serves, with a vector for every chunk, and rows of all that goes with it."""
    for name in ("small", "second"):
        populator.call(party.keys["admin"], "use_embedding_model", p_name=name)
    populator.call(party.keys["admin"], "switch_embedding_model", p_name="small")
    org = {"org_no": party.org_no}
    numbers = "select model_no from ragdb_data.embedding_model where name = 'small'"
    vector = (
        "(select public.l2_normalize(array_agg(sin(n * (mod(c.chunk_no, 7) + 1)))::public.vector)"
        "::public.halfvec from generate_series(1, 8) n)"
    )
    for statement in (
        "insert into ragdb_data.model_vector (org_no, scope_no, chunk_no, body_no, model_no,"
        f" is_indexed, embedding) select c.org_no, c.scope_no, c.chunk_no, c.body_no, ({numbers}),"
        f" mod(c.chunk_no, 2) = 0, {vector} from ragdb_data.chunk c where c.org_no = %(org_no)s",
        "insert into ragdb_data.embedding_cache (org_no, scope_no, model_no, sha256, chunk_no,"
        f" embedding) select distinct on (c.scope_no, c.content) c.org_no, c.scope_no, ({numbers}),"
        f" sha256(convert_to(c.content, 'UTF8')), c.chunk_no, {vector}"
        " from ragdb_data.chunk c where c.org_no = %(org_no)s",
        "insert into ragdb_data.query_embedding (org_no, user_no, model_no, sha256, embedding)"
        f" select m.org_no, m.user_no, ({numbers}),"
        " ragdb_data._query_hash('How often do keys rotate?'), '[1,0,0,0,0,0,0,0]'"
        " from ragdb_data.membership m where m.org_no = %(org_no)s and m.role <> 'admin'",
        "insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no)"
        " select c.org_no, m.model_no, c.chunk_no from ragdb_data.chunk c"
        " cross join ragdb_data.embedding_model m where c.org_no = %(org_no)s"
        " and mod(c.chunk_no, 3) = 0",
        "insert into ragdb_data.embedding_usage (org_no, model_no, day, requests)"
        f" values (%(org_no)s, ({numbers}), '2026-01-01', 7)",
    ):
        populator.connection.execute(statement.encode(), org)
    # Nothing is to be embedded: jobs that come by themselves are in the way of other tests.
    populator.connection.execute(
        "update ragdb_data.organization_model set is_active = false, backfill = 1"
    )
    populator.connection.execute(
        "insert into ragdb_data.embedding_failure (org_no, model_no, chunk_no, failure_step)"
        " select c.org_no, m.model_no, c.chunk_no, %(word)s from ragdb_data.chunk c"
        " cross join ragdb_data.embedding_model m"
        " where c.org_no = %(org_no)s and mod(c.chunk_no, 2) = 0",
        org | {"word": populator.word(party.domain)},
    )
    populator.connection.execute(
        "insert into ragdb_data.embedding_circuit (org_no, model_no, failures, error)"
        f" values (%(org_no)s, ({numbers}), 1, %(word)s)".encode(),
        org | {"word": populator.word(party.domain)},
    )
