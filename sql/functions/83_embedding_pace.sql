-- What all workers share about a model: its limits, and who has to begin. For ragdb_worker, which
-- acts for nobody here.

create or replace function ragdb.embedding_protocols()
  returns text[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return array(select distinct m.protocol from ragdb_data.embedding_model m order by 1);
end;
$$;

comment on function ragdb.embedding_protocols() is
$$By which protocols registered embedding models are asked. For ragdb_worker, which loads the local
one before a text waits for it.$$;

create or replace function ragdb.reserve_embedding(
  p_model_no int4, p_requests int4, p_tokens int8)
  returns float8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_model ragdb_data.embedding_model;
  v_rate ragdb_data.embedding_rate;
  v_now timestamptz;
  v_minutes float8;
  v_wait float8;
begin
  select m.* into v_model from ragdb_data.embedding_model m where m.model_no = p_model_no;
  select r.* into v_rate
    from ragdb_data.embedding_rate r
   where r.model_no = p_model_no
     for update;
  v_now := clock_timestamp();
  if v_rate.blocked_until > v_now then
    return extract(epoch from v_rate.blocked_until - v_now);
  end if;
  v_minutes := greatest(extract(epoch from v_now - v_rate.refilled_at) / 60, 0);
  v_rate.requests := least(v_rate.requests + v_minutes * v_model.requests_per_minute,
                           v_model.requests_per_minute);
  v_rate.tokens := least(v_rate.tokens + v_minutes * v_model.tokens_per_minute,
                         v_model.tokens_per_minute);
  -- More at once than a minute allows goes when the minute is whole, and is paid off after.
  v_wait := greatest(
    60 * (least(p_requests, v_model.requests_per_minute) - v_rate.requests)
       / v_model.requests_per_minute,
    60 * (least(p_tokens, v_model.tokens_per_minute) - v_rate.tokens)
       / v_model.tokens_per_minute,
    0);
  if v_wait <= 0 then
    v_rate.requests := v_rate.requests - p_requests;
    v_rate.tokens := v_rate.tokens - p_tokens;
  end if;
  update ragdb_data.embedding_rate r
     set requests = coalesce(v_rate.requests, 0),
         tokens = coalesce(v_rate.tokens, 0),
         refilled_at = v_now,
         blocked_until = null
   where r.model_no = p_model_no;
  return v_wait;
end;
$$;

comment on function ragdb.reserve_embedding(int4, int4, int8) is
$$Ask for so many requests and tokens of a model's limits; returns 0, or the seconds to wait before
asking again. For ragdb_worker.

All workers draw on the same allowance, which fills up evenly to that of a minute.$$;

create or replace function ragdb.block_embedding(p_model_no int4, p_seconds float8)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  update ragdb_data.embedding_rate r
     set blocked_until = greatest(
           r.blocked_until,
           clock_timestamp() + make_interval(secs => least(greatest(p_seconds, 0), 3600)))
   where r.model_no = p_model_no;
end;
$$;

comment on function ragdb.block_embedding(int4, float8) is
$$A model has asked to be left alone (429): no worker asks it for so many seconds, at most an hour.
For ragdb_worker.$$;

create or replace function ragdb_data._queue_embedding()
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_used record;
  v_job_no int8;
begin
  -- One at a time; not waited for, since anybody may hold an advisory lock.
  if not exists (select from ragdb_data.organization_model)
     or not pg_try_advisory_xact_lock(hashtextextended('ragdb.queue_embedding', 0)) then
    return;
  end if;
  for v_used in
    select m.org_no, m.user_no, m.permissions, e.name
      from ragdb_data.organization_model m
      join ragdb_data.embedding_model e on e.model_no = m.model_no
      join ragdb_data.embedding_rate r on r.model_no = m.model_no
     where case
         -- One that was left has vectors in the place of the table's.
         when not m.is_active then e.table_model is not null
         when r.blocked_until > v_now then false
         else m.backfill > 0
              or exists (select
                           from ragdb_data.embedding_queue q
                          where q.org_no = m.org_no
                            and q.model_no = m.model_no
                            and coalesce(q.loading_retry_after, '-infinity') <= v_now) end
       and not exists (select
                         from ragdb_data.job j
                         join ragdb_data.job_detail d on d.org_no = j.org_no
                                                     and d.job_no = j.job_no
                        where j.org_no = m.org_no
                          and j.kind = 'embed'
                          and (j.finished_at is null
                               or j.status = 'failed'
                                  and j.finished_at > v_now - interval '5 minutes')
                          and d.payload ->> 'model' = e.name)
  loop
    -- The one before is not remembered: an organization that writes a lot has many.
    delete from ragdb_data.job j
     using ragdb_data.job_detail d
     where j.org_no = v_used.org_no
       and j.kind = 'embed'
       and j.status = 'succeeded'
       and d.org_no = j.org_no
       and d.job_no = j.job_no
       and d.payload ->> 'model' = v_used.name;
    insert into ragdb_data.job (
      org_no, kind, queue, user_no, permissions, limited_to, priority, max_attempts)
    select v_used.org_no, k.kind, k.queue, v_used.user_no, v_used.permissions, 0, 5, k.max_attempts
      from ragdb_data.job_kind k
     where k.kind = 'embed'
    returning job_no into v_job_no;
    insert into ragdb_data.job_detail (org_no, job_no, user_no, payload)
    values (v_used.org_no, v_job_no, v_used.user_no, jsonb_build_object('model', v_used.name));
  end loop;
end;
$$;

comment on function ragdb_data._queue_embedding() is
$$Make the jobs that drain the queues of embedding models, one for each organization and model with
chunks that wait, or with vectors to take away. Part of claim_jobs().$$;
