-- Who may do what: taken from everybody, then given. Run at every upgrade, so this file, with
-- definers/99_privileges.sql, is the whole truth.
--
-- ragdb_service   the REST service and the command line
-- ragdb_admin     an operator's command line: also creates organizations and SQL logins
-- ragdb_analyst   SQL logins, reading only
-- ragdb_worker    background work
-- ragdb_definer   owns the definer functions, and has no member that requests run as

revoke all on all tables in schema ragdb, ragdb_data, ragdb_private
  from public, ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer;
revoke all on all sequences in schema ragdb_data, ragdb_private
  from public, ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer;
do $$
declare
  v_routine regprocedure;
  v_is_for_requests boolean;
begin
  for v_routine, v_is_for_requests in
    select p.oid,
           p.pronamespace <> 'ragdb_private'::regnamespace
           and p.prorettype <> 'trigger'::regtype
      from pg_proc p
     where p.proowner = current_user::regrole
       and p.pronamespace in ('ragdb'::regnamespace,
                              'ragdb_data'::regnamespace,
                              'ragdb_private'::regnamespace)
  loop
    execute format(
      'revoke all on routine %s'
      ' from public, ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer',
      v_routine);
    if v_is_for_requests then
      execute format(
        'grant execute on routine %s'
        ' to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer',
        v_routine);
    end if;
  end loop;
end;
$$;
revoke execute on function ragdb.create_analyst(text, text, text), ragdb.organizations()
  from ragdb_service, ragdb_worker, ragdb_analyst;
revoke execute on function
  ragdb.claim_jobs(text[], int4, interval),
  ragdb.heartbeat(int4, int8, uuid, float8, text, interval),
  ragdb.finish_job(int4, int8, uuid, jsonb),
  ragdb.fail_job(int4, int8, uuid, text, text, boolean),
  ragdb.release_job(int4, int8, uuid, interval),
  ragdb.tick(),
  ragdb_data._requeue_jobs(),
  ragdb_data._leased_job(int4, int8),
  ragdb_data._end_lease(int4, int8, uuid, text, timestamptz, int4, text, text, jsonb)
  from ragdb_service, ragdb_analyst, ragdb_admin;
revoke execute on function
  ragdb.register_embedding_model(text, text, text, text, int4, text, text, jsonb),
  ragdb.drop_embedding_model(text)
  from ragdb_service, ragdb_worker, ragdb_analyst;
revoke execute on function
  ragdb.open_source(uuid),
  ragdb.reseal_source(uuid, bytea, bytea),
  ragdb.embedding_protocols(),
  ragdb.sealed_sources(),
  ragdb.reserve_embedding(int4, int4, int8),
  ragdb.block_embedding(int4, float8),
  ragdb_data._queue_embedding()
  from ragdb_service, ragdb_analyst, ragdb_admin;
revoke execute on function ragdb.drop_vector_index(), ragdb.build_vector_index(),
  ragdb.analyze_tables()
  from ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer;

grant usage on schema ragdb, ragdb_data
  to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_definer;
grant usage on schema ragdb_private to ragdb_definer;

-- Reading: everything row level security lets through.
grant select on all tables in schema ragdb, ragdb_data
  to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin;

-- But secrets, even sealed, for workers alone.
revoke select on ragdb_data.source_setup
  from ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin;
grant select (org_no, source_no, scope_no, config, has_secrets) on ragdb_data.source_setup
  to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin;
grant select (secrets), update (secrets) on ragdb_data.source_setup to ragdb_worker;

-- Writing documents and answers.
grant insert, update, delete on ragdb_data.data_source, ragdb_data.document,
  ragdb_data.document_fact, ragdb_data.body, ragdb_data.answer, ragdb_data.answer_citation
  to ragdb_service, ragdb_admin;
grant insert, delete, update (ordinal, char_start, char_end, page) on ragdb_data.chunk
  to ragdb_service, ragdb_admin;
grant insert, delete on ragdb_data.posting, ragdb_data.dead_chunk, ragdb_data.chunk_word,
  ragdb_data.chunk_vector, ragdb_data.segment, ragdb_data.segment_posting, ragdb_data.slot
  to ragdb_service, ragdb_admin;
grant insert on ragdb_data.scope_language to ragdb_service, ragdb_admin;
grant insert, delete on ragdb_data.synonym, ragdb_data.spelling, ragdb_data.spelled_segment
  to ragdb_service, ragdb_admin;
grant update (scopes, done_to), delete on ragdb_data.outdated_organization
  to ragdb_service, ragdb_admin;
grant insert, delete on ragdb_data.original to ragdb_service, ragdb_admin;
grant update (is_indexed, embedding, model_no) on ragdb_data.chunk_vector
  to ragdb_service, ragdb_admin;
grant insert on ragdb_data.workspace, ragdb_data.workspace_member to ragdb_service, ragdb_admin;
grant update (user_no) on ragdb_data.workspace_member to ragdb_service, ragdb_admin;
grant insert, delete, update (profile) on ragdb_data.chunk_profile to ragdb_service, ragdb_admin;
grant update (revoked_at) on ragdb_data.api_key to ragdb_service, ragdb_admin;

-- Sources, and what is found there.
grant insert, update (config, secrets) on ragdb_data.source_setup to ragdb_service, ragdb_admin;
grant insert, update, delete on ragdb_data.source_item, ragdb_data.sync_run
  to ragdb_service, ragdb_admin;
grant insert on ragdb_data.sync_error to ragdb_service, ragdb_admin;

-- Asking for work, and doing it.
grant insert, delete on ragdb_data.job to ragdb_service, ragdb_admin;
grant update (status, run_at, attempt, progress, cancel_requested_at, error_code, finished_at)
  on ragdb_data.job to ragdb_service, ragdb_admin;
grant insert on ragdb_data.job_detail to ragdb_service, ragdb_admin;
grant insert, delete, update (job_no) on ragdb_data.upload to ragdb_service, ragdb_admin;
grant insert, update, delete on ragdb_data.schedule to ragdb_service, ragdb_admin;
grant insert, update, delete on ragdb_data.job to ragdb_worker;
grant insert, update on ragdb_data.job_detail to ragdb_worker;
grant update on ragdb_data.schedule to ragdb_worker;
grant update (job_no), delete on ragdb_data.upload to ragdb_worker;

-- Embedding models: what an organization uses, and what workers do for it.
grant insert, delete, update (user_no, permissions, is_active, serves, served_before, backfill,
                              backfilled_to, is_complete)
  on ragdb_data.organization_model to ragdb_service, ragdb_admin;
grant insert, delete, update (loading_retries, loading_retry_after)
  on ragdb_data.embedding_queue to ragdb_service, ragdb_admin;
grant insert, delete on ragdb_data.embedding_failure to ragdb_service, ragdb_admin;
grant insert, delete, update (embedding) on ragdb_data.model_vector
  to ragdb_service, ragdb_admin;
grant insert, delete, update (chunk_no, used_at) on ragdb_data.embedding_cache
  to ragdb_service, ragdb_admin;
grant insert, delete, update (embedding, used_at) on ragdb_data.query_embedding
  to ragdb_service, ragdb_admin;
grant insert, delete, update (failures, open_until, error, failed_at)
  on ragdb_data.embedding_circuit to ragdb_service, ragdb_admin;
grant insert, update (requests, texts, cached, tokens) on ragdb_data.embedding_usage
  to ragdb_service, ragdb_admin;
grant update (requests, tokens, refilled_at, blocked_until) on ragdb_data.embedding_rate
  to ragdb_worker;

-- Measuring and tuning the ranking.
grant insert, update, delete on ragdb_data.judged_query, ragdb_data.feedback,
  ragdb_data.ranking_weight to ragdb_service, ragdb_admin;
grant insert, delete on ragdb_data.evaluation to ragdb_service, ragdb_admin;
grant delete on ragdb_data.workspace to ragdb_service, ragdb_admin;

-- Definer functions: only what each of them touches.
grant select, insert on ragdb_data.organization, ragdb_data.app_user, ragdb_data.workspace
  to ragdb_definer;
grant select, insert, update on ragdb_data.membership, ragdb_data.scope, ragdb_data.api_key
  to ragdb_definer;
grant select on ragdb_data.role, ragdb_data.job_kind, ragdb_data.job to ragdb_definer;
-- To lock a row.
grant update (token) on ragdb_data.job to ragdb_definer;
grant select, insert on ragdb_data.workspace_member to ragdb_definer;
grant select on ragdb_data.document, ragdb_data.answer_citation to ragdb_definer;
grant select, delete on ragdb_data.answer to ragdb_definer;
grant select on ragdb_private.context_key to ragdb_definer;
grant select, insert on ragdb_private.api_key_hash, ragdb_private.login to ragdb_definer;
grant select on ragdb_private.install to ragdb_definer;
