"""What a worker does with the chunks of one organization, when others' have the same numbers.

Workers call what drains the queue of a model under the lease of a job, behind row level security.
Here the tables' owner does, whom no policy binds, so that only the organization counts that each
statement names.
"""

from __future__ import annotations

from subjects import Connection
from world import World, acting

DRAINED = frozenset(
    {"begin_embedding", "finish_embedding", "fail_embedding", "restore_table_vectors",
     "_backfill", "_note_coverage", "_store_embeddings", "_keep_table_vectors", "_table_only",
     "_table_vectors", "_nearest_of_table", "_forget_model_vectors", "_embedding_texts",
     "_used_model", "_count_usage", "_open_circuit", "_close_circuit", "retry_embeddings",
     "_forget_embeddings", "_search_model", "_vector_weight", "_confidence"}
)  # fmt: skip


def set_out(connection: Connection, world: World) -> None:
    """Models in use, half of what they have done undone for one organization, and a lease.

    A third model has written over vectors of the table and was left.
    """
    acme = {"org": world.acme.org_no}
    for statement in (
        "insert into ragdb_data.embedding_model overriding system value"
        " select (jsonb_populate_record(m, jsonb_build_object('model_no', 99, 'name', 'third',"
        " 'vectorizer_id', null, 'dimensions', 256, 'table_model',"
        " (select max(t.model) from ragdb_data.embedding_table_version t)))).*"
        " from ragdb_data.embedding_model m where m.name = 'small'",
        "insert into ragdb_data.embedding_rate (model_no, requests, tokens) values (99, 0, 0)",
        "update ragdb_data.organization_model set is_active = true",
        "update ragdb_data.organization_model set serves = false where org_no = %(org)s",
        "insert into ragdb_data.organization_model (org_no, model_no, user_no, permissions,"
        " is_active) select m.org_no, 99, m.user_no, m.permissions, false"
        " from ragdb_data.organization_model m join ragdb_data.embedding_model e using (model_no)"
        " where e.name = 'small'",
        "update ragdb_data.organization_model set is_complete = org_no <> %(org)s",
        "update ragdb_data.chunk_vector set model_no = 99 where mod(chunk_no, 2) = 0",
        "insert into ragdb_data.model_vector (org_no, model_no, scope_no, chunk_no, body_no,"
        " is_indexed, embedding) select v.org_no, -v.version, v.scope_no, v.chunk_no, v.body_no,"
        " false, v.embedding from ragdb_data.chunk_vector v where v.model_no = 99"
        " and (v.org_no <> %(org)s or mod(v.chunk_no, 4) = 0)",
        "delete from ragdb_data.model_vector"
        " where org_no = %(org)s and model_no > 0 and mod(chunk_no, 5) < 2",
        "delete from ragdb_data.embedding_cache where org_no = %(org)s and mod(chunk_no, 3) = 1",
        "delete from ragdb_data.embedding_failure where org_no = %(org)s and mod(chunk_no, 3) = 0",
        "delete from ragdb_data.embedding_queue where true",
        "insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no, loading_retries)"
        " select c.org_no, m.model_no, c.chunk_no, 2 from ragdb_data.chunk c"
        " cross join ragdb_data.embedding_model m"
        " where m.name <> 'third' and (c.org_no <> %(org)s or mod(c.chunk_no, 3) > 0)",
        # One that is gone in one organization and waits in the other.
        "insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no)"
        " select o.org_no, m.model_no, 1000007 from ragdb_data.organization o"
        " cross join ragdb_data.embedding_model m where m.name <> 'third'",
        "insert into ragdb_data.model_vector (org_no, model_no, scope_no, chunk_no, body_no,"
        " is_indexed, embedding) select v.org_no, v.model_no, v.scope_no, 1000007, v.body_no,"
        " false, v.embedding from (select distinct on (o.org_no, o.model_no) o.*"
        " from ragdb_data.model_vector o where o.model_no > 0) v",
        # What one has embedded, and the other not yet.
        "insert into ragdb_data.embedding_cache (org_no, scope_no, model_no, sha256, chunk_no,"
        " embedding) select distinct on (t.scope_no, t.sha256) k.org_no, t.scope_no, k.model_no,"
        " t.sha256, k.chunk_no, k.embedding from (select * from ragdb_data.embedding_cache"
        " where org_no <> %(org)s limit 1) k cross join ragdb_data._embedding_texts(%(org)s,"
        " array(select c.chunk_no from ragdb_data.chunk c where c.org_no = %(org)s), '') t",
        "insert into ragdb_data.embedding_cache (org_no, scope_no, model_no, sha256, chunk_no,"
        " embedding) select %(org)s, k.scope_no, k.model_no, k.sha256, k.chunk_no, k.embedding"
        " from ragdb_data.embedding_cache k where k.org_no <> %(org)s"
        " and get_byte(k.sha256, 0) < 128 and k.scope_no in (select s.scope_no"
        " from ragdb_data.scope s where s.org_no = %(org)s) on conflict do nothing",
        "update ragdb_data.embedding_cache set used_at = now() - interval '31 days'",
        "update ragdb_data.embedding_queue set loading_retry_after = now() + interval '1 hour'"
        " where mod(chunk_no, 7) = 6",
        "update ragdb_data.embedding_circuit set failures = 0 where org_no = %(org)s",
        "delete from ragdb_data.job where queue = 'embedding'",
    ):
        connection.execute(statement.encode(), acme if "%(" in statement else None)
    with acting(connection, "ragdb_worker"):
        connection.execute("select ragdb.claim_jobs('{embedding}', 9)")
    connection.execute("reset role; set local ragdb.context = ''")
    connection.execute(
        "update ragdb_data.job set status = 'scheduled', token = null, lease_until = null"
        " where kind = 'embed' and org_no <> %(org)s",
        acme,
    )
