-- Jobs, as whoever asks for work sees them: enqueued, watched, cancelled, tried again, forgotten.
--
-- A job is enqueued in the caller's transaction and exists when that commits. All members see that
-- it is there and how far it is; payload, result and messages only its owner does.

create or replace function ragdb_data._job_kind(p_kind text)
  returns ragdb_data.job_kind
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind ragdb_data.job_kind;
begin
  select k.* into v_kind from ragdb_data.job_kind k where k.kind = p_kind;
  if not found then
    raise exception 'There is no kind of job %.', p_kind
      using errcode = 'PT422',
            constraint = 'unknown_job_kind',
            hint = 'Kinds: ' || (select string_agg(k.kind, ', ' order by k.kind)
                                   from ragdb_data.job_kind k);
  end if;
  perform ragdb.require(v_kind.permission);
  if v_kind.all_scopes and (select c.workspace_no from ragdb.context() c) <> 0 then
    raise exception 'A key limited to one workspace asks for no work on the whole organization.'
      using errcode = 'PT403',
            constraint = 'permission_denied',
            hint = 'Use a key without a workspace.';
  end if;
  return v_kind;
end;
$$;

comment on function ragdb_data._job_kind(text) is
$$A kind of job that the caller may ask for.

Raises PT422 unknown_job_kind, PT403 permission_denied.$$;

create or replace function ragdb.enqueue_job(
  p_kind text,
  p_payload jsonb default '{}',
  p_queue text default null,
  p_priority int4 default 5,
  p_run_at timestamptz default null,
  p_idempotency_key text default null)
  returns table (job_id uuid, status text, is_new boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_kind ragdb_data.job_kind := ragdb_data._job_kind(p_kind);
  v_caller record;
  v_hash bytea := sha256(convert_to(p_idempotency_key, 'UTF8'));
  v_job record;
begin
  if jsonb_typeof(p_payload) is distinct from 'object' then
    raise exception 'p_payload is not a JSON object.'
      using errcode = 'PT422',
            constraint = 'invalid_payload',
            hint = 'enqueue_job(''put_documents'', ''{"documents": [...]}'')';
  end if;
  if coalesce(p_queue, v_kind.queue) not in ('ingestion', 'embedding', 'maintenance', 'sync') then
    raise exception 'There is no queue %.', p_queue
      using errcode = 'PT422',
            constraint = 'unknown_queue',
            hint = 'One of: ingestion, embedding, maintenance, sync';
  end if;
  if p_priority is null or p_priority not between 0 and 9 then
    raise exception 'The priority must be 0 to 9.'
      using errcode = 'PT422', constraint = 'invalid_priority', hint = '9 is done first.';
  end if;
  if not isfinite(p_run_at) then
    raise exception 'The time to run at must be finite.'
      using errcode = 'PT422', constraint = 'invalid_run_at', hint = 'Leave it out for now.';
  end if;
  if length(p_idempotency_key) not between 1 and 255 then
    raise exception 'An idempotency key has 1 to 255 characters.'
      using errcode = 'PT422', constraint = 'invalid_idempotency_key', hint = 'A uuid will do.';
  end if;

  select * into v_caller from ragdb.context();
  loop
    insert into ragdb_data.job (
      org_no, kind, queue, user_no, permissions, limited_to, priority, status, run_at,
      max_attempts, idempotency_hash)
    values (v_org, p_kind, coalesce(p_queue, v_kind.queue), v_caller.user_no, v_caller.permissions,
            v_caller.workspace_no, p_priority,
            case when p_run_at > now() then 'scheduled' else 'queued' end,
            greatest(p_run_at, now()), v_kind.max_attempts, v_hash)
    on conflict (org_no, idempotency_hash) where idempotency_hash is not null do nothing
    returning job_no, id, status, kind, true as is_new into v_job;
    exit when found;
    select j.job_no, j.id, j.status, j.kind, false as is_new into v_job
      from ragdb_data.job j
     where j.org_no = v_org and j.idempotency_hash = v_hash;
    exit when found;
  end loop;
  if v_job.kind <> p_kind then
    raise exception 'The idempotency key belongs to a job of another kind.'
      using errcode = 'PT409',
            constraint = 'idempotency_key_reused',
            hint = 'Use a new key for a new job.';
  end if;
  if v_job.is_new then
    insert into ragdb_data.job_detail (org_no, job_no, user_no, payload)
    values (v_org, v_job.job_no, v_caller.user_no, p_payload);
  end if;
  return query select v_job.id, v_job.status, v_job.is_new;
end;
$$;

comment on function ragdb.enqueue_job(text, jsonb, text, int4, timestamptz, text) is
$$Have something done by a worker, as the caller and with no more than the caller's rights.

Example: select * from ragdb.enqueue_job('maintain');
p_kind: what is to be done, with p_payload. p_queue: default that of the kind. p_priority: 0 to 9,
9 is done first among the organization's own. p_run_at: not before. p_idempotency_key: where the
organization has a job with it already, that one is returned (is_new false).
Needs data:write and what the kind needs. Raises PT422 unknown_job_kind, invalid_payload,
unknown_queue, invalid_priority, invalid_run_at or invalid_idempotency_key, PT409
idempotency_key_reused.$$;

create or replace function ragdb_data._job(p_job_id uuid)
  returns ragdb_data.job
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_job ragdb_data.job;
begin
  select j.* into v_job from ragdb_data.job j where j.org_no = v_org and j.id = p_job_id;
  if not found then
    raise exception 'There is no job %.', p_job_id
      using errcode = 'PT404',
            constraint = 'job_not_found',
            hint = 'select job_id, kind, status from ragdb.jobs;';
  end if;
  return v_job;
end;
$$;

comment on function ragdb_data._job(uuid) is
$$A job of the caller's organization. Raises PT404 job_not_found.$$;

create or replace function ragdb.cancel_job(p_job_id uuid)
  returns table (job_id uuid, status text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_job ragdb_data.job := ragdb_data._job(p_job_id);
begin
  if v_job.user_no <> ragdb.current_user_no() then
    perform ragdb.require('rag:config');
  end if;
  update ragdb_data.job j
     set cancel_requested_at = coalesce(j.cancel_requested_at, now()),
         status = case j.status when 'running' then 'running' else 'cancelled' end,
         finished_at = case when j.status <> 'running' then now() end
   where j.org_no = v_org
     and j.job_no = v_job.job_no
     and j.status in ('scheduled', 'queued', 'running')
  returning j.* into v_job;
  if not found then
    v_job := ragdb_data._job(p_job_id);
    if v_job.status <> 'cancelled' then
      raise exception 'The job % has ended already: %.', p_job_id, v_job.status
        using errcode = 'PT409', constraint = 'job_finished', hint = 'There is nothing to cancel.';
    end if;
  end if;
  return query select v_job.id, v_job.status;
end;
$$;

comment on function ragdb.cancel_job(uuid) is
$$Cancel a job: at once while it waits, and within seconds while it runs.

What a running job has stored stays stored. status: cancelled, or running until its worker has let
go of it.
Needs data:write, for others' jobs rag:config. Raises PT404 job_not_found, PT409 job_finished.$$;

create or replace function ragdb.retry_failed(
  p_job_id uuid default null, p_kind text default null)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_job ragdb_data.job;
  v_retried int4;
begin
  if p_job_id is not null then
    v_job := ragdb_data._job(p_job_id);
    if v_job.user_no <> ragdb.current_user_no() then
      perform ragdb.require('rag:config');
    end if;
  end if;
  update ragdb_data.job j
     set status = 'queued',
         run_at = now(),
         attempt = 0,
         progress = 0,
         error_code = null,
         cancel_requested_at = null,
         finished_at = null
   where j.org_no = v_org
     and j.status = any (case when p_job_id is null then '{failed}' else '{failed,cancelled}' end
                         ::text[])
     and (p_job_id is null or j.job_no = v_job.job_no)
     and (p_kind is null or j.kind = p_kind);
  get diagnostics v_retried = row_count;
  if v_retried = 0 and p_job_id is not null then
    raise exception 'The job % has not failed: %.', p_job_id, v_job.status
      using errcode = 'PT409',
            constraint = 'job_not_failed',
            hint = 'Only what failed or was cancelled is tried again.';
  end if;
  return v_retried;
end;
$$;

comment on function ragdb.retry_failed(uuid, text) is
$$Try jobs again that have failed for good; returns how many.

All of the caller's own, with rag:config all of the organization's; or p_job_id alone, also when it
was cancelled; or those of p_kind. Each has all its attempts anew.
Needs data:write, for others' jobs rag:config. Raises PT404 job_not_found, PT409 job_not_failed.$$;

create or replace function ragdb.delete_old_jobs(p_older_than interval default '30 days')
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_deleted int8;
begin
  if p_older_than is null or not isfinite(p_older_than) or p_older_than < interval '0' then
    raise exception 'The age must be a length of time, 0 or more.'
      using errcode = 'PT422', constraint = 'invalid_age', hint = 'For example: 7 days';
  end if;
  delete from ragdb_data.job j
   where j.org_no = v_org
     and j.finished_at <= now() - p_older_than;
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$;

comment on function ragdb.delete_old_jobs(interval) is
$$Forget jobs of the organization that ended so long ago; returns how many.

tick() does it after 30 days by itself. Needs rag:config and data:write. Raises PT422
invalid_age.$$;

create or replace function ragdb.get_job(p_job_id uuid)
  returns table (
    job_id uuid, kind text, queue text, status text, priority int4, progress float8, message text,
    attempt int4, max_attempts int4, email text, schedule text,
    run_at timestamptz, created_at timestamptz, started_at timestamptz, finished_at timestamptz,
    cancel_requested boolean, error text, error_message text, result jsonb, payload jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_job ragdb_data.job := ragdb_data._job(p_job_id);
begin
  return query
  select j.*, d.payload
    from ragdb.jobs j
    left join ragdb_data.job_detail d on d.org_no = v_org and d.job_no = v_job.job_no
   where j.job_id = p_job_id;
end;
$$;

comment on function ragdb.get_job(uuid) is
$$One job, and what it is about where it is the caller's own.

Needs rag:read. Raises PT404 job_not_found.$$;

create or replace function ragdb_data._check_page(p_limit int4)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if p_limit is null or p_limit not between 1 and 1000 then
    raise exception 'The limit must be 1 to 1000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'Ask for page after page.';
  end if;
end;
$$;

comment on function ragdb_data._check_page(int4) is
$$Raise PT422 invalid_limit for more rows than a list tells at once.$$;

create or replace function ragdb.list_jobs(
  p_limit int4 default 50, p_after uuid default null,
  p_status text default null, p_kind text default null)
  returns table (
    job_id uuid, kind text, queue text, status text, priority int4, progress float8, message text,
    attempt int4, max_attempts int4, email text, schedule text,
    run_at timestamptz, created_at timestamptz, started_at timestamptz, finished_at timestamptz,
    cancel_requested boolean, error text, error_message text, result jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_after int8;
begin
  perform ragdb_data._check_page(p_limit);
  if p_after is not null then
    v_after := (ragdb_data._job(p_after)).job_no;
  end if;
  return query
  select j.*
    from (select t.job_no, t.id
            from ragdb_data.job t
           where t.org_no = v_org
             and (v_after is null or t.job_no < v_after)
             and (p_status is null or t.status = p_status)
             and (p_kind is null or t.kind = p_kind)
           order by t.job_no desc
           limit p_limit) page
   cross join lateral (select * from ragdb.jobs v where v.job_id = page.id offset 0) j
   order by page.job_no desc;
end;
$$;

comment on function ragdb.list_jobs(int4, uuid, text, text) is
$$The organization's jobs, newest first.

p_limit: how many at a time, 1 to 1000. p_after: the last job_id of the page before. p_status:
scheduled, queued, running, succeeded, failed or cancelled.
Needs rag:read. Raises PT422 invalid_limit, PT404 job_not_found.$$;
