-- Jobs, as a worker sees them: claimed for a while, kept by heartbeats, ended.
--
-- Only ragdb_worker may call these. It acts for nobody, so that row level security shows it the
-- queue of all organizations, and nothing else. A lease that ran out is given to the next who asks;
-- its token is worth nothing from then on. Whatever kills a worker, its jobs go on elsewhere.

create or replace function ragdb_data._requeue_jobs()
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
as $$
declare
  v_now timestamptz := clock_timestamp();
begin
  update ragdb_data.job j
     set status = 'queued'
    from (select s.org_no, s.job_no
            from ragdb_data.job s
           where s.status = 'scheduled' and s.run_at <= v_now
           order by s.run_at
           limit 1000
             for update skip locked) due
   where j.org_no = due.org_no and j.job_no = due.job_no;

  -- A transaction that began under a lease holds its row until it ends.
  with expired as (
    update ragdb_data.job j
       set status = e.status,
           error_code = case e.status when 'failed' then 'lease_expired' end,
           token = null,
           lease_until = null,
           finished_at = case when e.status <> 'queued' then now() end
      from (select s.org_no, s.job_no,
                   case
                     when s.cancel_requested_at is not null then 'cancelled'
                     when s.attempt >= s.max_attempts then 'failed'
                     else 'queued'
                   end as status
              from ragdb_data.job s
             where s.status = 'running' and s.lease_until < v_now
             order by s.org_no, s.job_no
             limit 1000
               for update skip locked) e
     where j.org_no = e.org_no and j.job_no = e.job_no
    returning j.org_no, j.job_no, j.status)
  update ragdb_data.job_detail d
     set error = 'The worker that ran this job was gone.'
    from expired e
   where e.status = 'failed' and d.org_no = e.org_no and d.job_no = e.job_no;
end;
$$;

comment on function ragdb_data._requeue_jobs() is
$$Queue what is due, and what was left behind by workers that are gone. Part of claim_jobs().

A job whose workers went as often as it has attempts has failed.$$;

create or replace function ragdb.claim_jobs(
  p_queues text[] default '{ingestion,embedding,maintenance,sync}',
  p_limit int4 default 1,
  p_lease interval default '30 seconds')
  returns table (
    org_no int4, job_no int8, token uuid, job_id uuid, kind text, queue text, payload jsonb,
    attempt int4, max_attempts int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_orgs int4[];
  v_org int4;
  v_left int4 := p_limit;
  v_is_idle boolean;
begin
  perform ragdb_data._requeue_jobs();
  if 'embedding' = any (p_queues) then
    perform ragdb_data._queue_embedding();
  end if;
  -- Who has least under way comes first; among equals chance decides, so that nobody waits behind
  -- somebody else's hundred thousand.
  with recursive waiting as (
    select q.queue, f.org_no
      from unnest(p_queues) q(queue)
     cross join lateral (
       select j.org_no
         from ragdb_data.job j
        where j.status = 'queued' and j.queue = q.queue
        order by j.org_no
        limit 1) f
     union all
    select w.queue, n.org_no
      from waiting w
     cross join lateral (
       select j.org_no
         from ragdb_data.job j
        where j.status = 'queued' and j.queue = w.queue and j.org_no > w.org_no
        order by j.org_no
        limit 1) n)
  select array_agg(o.org_no order by o.running, random()) into v_orgs
    from (select w.org_no,
                 (select count(*)
                    from ragdb_data.job r
                   where r.status = 'running' and r.org_no = w.org_no) as running
            from (select distinct w.org_no from waiting w) w) o;

  -- Once around gives each organization one more; around again while slots are left.
  while v_left > 0 loop
    v_is_idle := true;
    foreach v_org in array coalesce(v_orgs, '{}') loop
      exit when v_left <= 0;
      return query
      with next as (
        select n.job_no
          from unnest(p_queues) q(queue)
         cross join lateral (
           select j.job_no, j.priority, j.run_at
             from ragdb_data.job j
            where j.status = 'queued' and j.queue = q.queue and j.org_no = v_org
            order by j.priority desc, j.run_at, j.job_no
            limit 1
              for update skip locked) n
         order by n.priority desc, n.run_at, n.job_no
         limit 1),
      claimed as (
        update ragdb_data.job j
           set status = 'running',
               token = gen_random_uuid(),
               lease_until = clock_timestamp() + p_lease,
               attempt = j.attempt + 1,
               started_at = clock_timestamp(),
               progress = 0
          from next n
         where j.org_no = v_org and j.job_no = n.job_no
        returning j.*)
      select c.org_no, c.job_no, c.token, c.id, c.kind, c.queue, d.payload,
             c.attempt, c.max_attempts
        from claimed c
        join ragdb_data.job_detail d on d.org_no = v_org and d.job_no = c.job_no;
      if found then
        v_left := v_left - 1;
        v_is_idle := false;
      end if;
    end loop;
    exit when v_is_idle;
  end loop;
end;
$$;

comment on function ragdb.claim_jobs(text[], int4, interval) is
$$Take up to p_limit waiting jobs, each under a lease of its own. For ragdb_worker.

Organizations take turns, those with the fewest running jobs first; within one, the highest priority
and then the oldest. Several workers never get the same job.$$;

create or replace function ragdb.heartbeat(
  p_org_no int4, p_job_no int8, p_token uuid,
  p_progress float8 default null, p_message text default null,
  p_lease interval default '30 seconds')
  returns boolean
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_is_cancelled boolean;
begin
  update ragdb_data.job j
     set lease_until = clock_timestamp() + p_lease,
         progress = case
                      when p_progress is null then j.progress
                      else least(greatest(p_progress, 0.0::float8), 1.0::float8)
                    end,
         reported_at = case
                         when p_progress is null and p_message is null then j.reported_at
                         else clock_timestamp()
                       end
   where j.org_no = p_org_no and j.job_no = p_job_no and j.token = p_token
  returning j.cancel_requested_at is not null into v_is_cancelled;
  if not found then
    raise exception 'The lease on job % is lost.', p_job_no
      using errcode = 'PT409',
            constraint = 'lease_lost',
            hint = 'Stop working on it: somebody else does.';
  end if;
  if p_message is not null then
    update ragdb_data.job_detail d
       set message = left(p_message, 500)
     where d.org_no = p_org_no and d.job_no = p_job_no;
  end if;
  return v_is_cancelled;
end;
$$;

comment on function ragdb.heartbeat(int4, int8, uuid, float8, text, interval) is
$$Keep a lease, and say how far the job is; returns whether it is to be cancelled. For ragdb_worker.

Raises PT409 lease_lost.$$;

create or replace function ragdb_data._end_lease(
  p_org_no int4, p_job_no int8, p_token uuid, p_status text, p_run_at timestamptz,
  p_attempt int4, p_error_code text, p_error text, p_result jsonb)
  returns text
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text;
begin
  update ragdb_data.job j
     set status = case
                    when p_status in ('queued', 'scheduled') and j.cancel_requested_at is not null
                      then 'cancelled'
                    else p_status
                  end,
         run_at = coalesce(p_run_at, j.run_at),
         attempt = p_attempt,
         progress = case p_status when 'succeeded' then 1 else j.progress end,
         error_code = p_error_code,
         token = null,
         lease_until = null,
         finished_at = case
                         when p_status not in ('queued', 'scheduled')
                           or j.cancel_requested_at is not null then clock_timestamp()
                       end
   where j.org_no = p_org_no and j.job_no = p_job_no and j.token = p_token
  returning j.status into v_status;
  if not found then
    raise exception 'The lease on job % is lost.', p_job_no
      using errcode = 'PT409',
            constraint = 'lease_lost',
            hint = 'Stop working on it: somebody else does.';
  end if;
  update ragdb_data.job_detail d
     set error = left(p_error, 2000),
         result = p_result,
         message = case when v_status <> 'succeeded' then d.message end,
         -- They may be deleted from now on, and have to be gone then.
         payload = case when v_status = 'succeeded' then d.payload - 'documents' else d.payload end
   where d.org_no = p_org_no and d.job_no = p_job_no;
  return v_status;
end;
$$;

comment on function ragdb_data._end_lease(
  int4, int8, uuid, text, timestamptz, int4, text, text, jsonb) is
$$Give a lease back with what became of the job; whoever asked to cancel a job that would wait again
has it cancelled. Raises PT409 lease_lost.$$;

create or replace function ragdb_data._leased_job(p_org_no int4, p_job_no int8)
  returns ragdb_data.job
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select j.* from ragdb_data.job j where j.org_no = p_org_no and j.job_no = p_job_no
$$;

comment on function ragdb_data._leased_job(int4, int8) is
$$The job of a lease, as its worker sees it.$$;

create or replace function ragdb.finish_job(
  p_org_no int4, p_job_no int8, p_token uuid, p_result jsonb default null)
  returns text
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_job ragdb_data.job := ragdb_data._leased_job(p_org_no, p_job_no);
  v_status text;
begin
  v_status := ragdb_data._end_lease(
    p_org_no, p_job_no, p_token, 'succeeded', null, v_job.attempt, null, null, p_result);
  delete from ragdb_data.upload u where u.org_no = p_org_no and u.job_no = p_job_no;
  return v_status;
end;
$$;

comment on function ragdb.finish_job(int4, int8, uuid, jsonb) is
$$A job is done; p_result is for whoever asked for it. For ragdb_worker.

Documents and files that came with the job are deleted. Raises PT409 lease_lost.$$;

create or replace function ragdb.fail_job(
  p_org_no int4, p_job_no int8, p_token uuid,
  p_error_code text, p_error text, p_may_retry boolean default true)
  returns text
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_job ragdb_data.job := ragdb_data._leased_job(p_org_no, p_job_no);
  v_seconds float8 := least(5.0::float8 * 2.0::float8 ^ least(v_job.attempt - 1, 20),
                            3600.0::float8) * (0.5::float8 + random());
begin
  if p_may_retry and v_job.attempt < v_job.max_attempts then
    return ragdb_data._end_lease(
      p_org_no, p_job_no, p_token, 'scheduled',
      clock_timestamp() + make_interval(secs => v_seconds),
      v_job.attempt, p_error_code, p_error, null);
  end if;
  return ragdb_data._end_lease(
    p_org_no, p_job_no, p_token, 'failed', null, v_job.attempt, p_error_code, p_error, null);
end;
$$;

comment on function ragdb.fail_job(int4, int8, uuid, text, text, boolean) is
$$A job did not succeed; returns what it is now. For ragdb_worker.

It is scheduled again after about 5, 10, 20 ... seconds, at most an hour, give or take half, until
its attempts are used up or where p_may_retry is false: then it has failed, and waits for
retry_failed(). Raises PT409 lease_lost.$$;

create or replace function ragdb.release_job(
  p_org_no int4, p_job_no int8, p_token uuid, p_after interval default '0')
  returns text
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_job ragdb_data.job := ragdb_data._leased_job(p_org_no, p_job_no);
begin
  return ragdb_data._end_lease(
    p_org_no, p_job_no, p_token,
    case when p_after > interval '0' then 'scheduled' else 'queued' end,
    clock_timestamp() + p_after, greatest(v_job.attempt - 1, 0), null, null, null);
end;
$$;

comment on function ragdb.release_job(int4, int8, uuid, interval) is
$$Give a job back undone, to be run after a while; it costs no attempt. For ragdb_worker.

For a worker that ends, or a service that asks to be left alone. Raises PT409 lease_lost.$$;
