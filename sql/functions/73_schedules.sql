-- Jobs that are made again and again. A schedule knows when it is due next; whoever notices first
-- makes the job and moves it on, in one transaction, and everybody else finds it moved.

create or replace function ragdb.put_schedule(
  p_name text,
  p_cron text,
  p_kind text,
  p_payload jsonb default '{}',
  p_time_zone text default 'UTC',
  p_is_enabled boolean default true)
  returns table (schedule_id uuid, next_run_at timestamptz)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:config');
  v_caller record;
  v_next timestamptz;
  v_schedule record;
begin
  perform ragdb_data._job_kind(p_kind);
  select * into v_caller from ragdb.context();
  if jsonb_typeof(p_payload) is distinct from 'object' then
    raise exception 'p_payload is not a JSON object.'
      using errcode = 'PT422',
            constraint = 'invalid_payload',
            hint = 'put_schedule(''nightly'', ''0 3 * * *'', ''maintain'', ''{}'')';
  end if;
  if p_time_zone is null
     or not exists (select from pg_timezone_names z where z.name = p_time_zone) then
    raise exception 'There is no time zone %.', p_time_zone
      using errcode = 'PT422',
            constraint = 'unknown_time_zone',
            hint = 'A name like Europe/Berlin: select name from pg_timezone_names;';
  end if;
  v_next := ragdb_data._next_run(p_cron, p_time_zone, now());
  insert into ragdb_data.schedule as s (
    org_no, name, cron, time_zone, kind, payload, user_no, permissions, limited_to, is_enabled,
    next_run_at)
  values (v_org, p_name, p_cron, p_time_zone, p_kind, p_payload, v_caller.user_no,
          v_caller.permissions, v_caller.workspace_no, coalesce(p_is_enabled, true), v_next)
  on conflict on constraint schedule_org_no_name_key do update
     set cron = excluded.cron,
         time_zone = excluded.time_zone,
         kind = excluded.kind,
         payload = excluded.payload,
         user_no = excluded.user_no,
         permissions = excluded.permissions,
         limited_to = excluded.limited_to,
         is_enabled = excluded.is_enabled,
         next_run_at = excluded.next_run_at
  returning s.id, s.next_run_at into v_schedule;
  return query select v_schedule.id, v_schedule.next_run_at;
end;
$$;

comment on function ragdb.put_schedule(text, text, text, jsonb, text, boolean) is
$$Have a job made again and again, or change the schedule of that name; it runs as the caller.

Example: select * from ragdb.put_schedule('nightly', '0 3 * * *', 'maintain', p_time_zone =>
'Europe/Berlin');
p_cron: minute, hour, day, month and weekday, or @hourly, @daily, @weekly, @monthly, @yearly. A time
that the clock skips comes an hour later, one that it shows twice counts once. What was missed while
no worker ran is made up for by one job, and none is made while the one before it has not ended.
Members of the organization see the payload. Needs rag:config, data:write and what the kind needs.
Raises PT422 invalid_cron, unknown_time_zone, invalid_payload or unknown_job_kind.$$;

create or replace function ragdb.delete_schedule(p_name text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
begin
  delete from ragdb_data.schedule s where s.org_no = v_org and s.name = p_name;
  if not found then
    raise exception 'There is no schedule %.', p_name
      using errcode = 'PT404',
            constraint = 'schedule_not_found',
            hint = 'select name from ragdb.schedules;';
  end if;
end;
$$;

comment on function ragdb.delete_schedule(text) is
$$Make no more jobs by this schedule; those it has made stay. Needs rag:config.

Raises PT404 schedule_not_found.$$;

create or replace function ragdb.tick()
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_schedule ragdb_data.schedule;
  v_job_no int8;
  v_made int4 := 0;
begin
  for v_schedule in
    select s.*
      from ragdb_data.schedule s
     where s.is_enabled and s.next_run_at <= v_now
     order by s.next_run_at
       for update skip locked
  loop
    v_job_no := null;
    insert into ragdb_data.job (
      org_no, kind, queue, user_no, permissions, limited_to, priority, max_attempts, schedule_no)
    select v_schedule.org_no, k.kind, k.queue, v_schedule.user_no, v_schedule.permissions,
           v_schedule.limited_to, 5, k.max_attempts, v_schedule.schedule_no
      from ragdb_data.job_kind k
     where k.kind = v_schedule.kind
       and not exists (select from ragdb_data.job j
                        where j.org_no = v_schedule.org_no
                          and j.job_no = v_schedule.last_job_no
                          and j.finished_at is null)
    returning job_no into v_job_no;
    if v_job_no is not null then
      insert into ragdb_data.job_detail (org_no, job_no, user_no, payload)
      values (v_schedule.org_no, v_job_no, v_schedule.user_no, v_schedule.payload);
      v_made := v_made + 1;
    end if;
    update ragdb_data.schedule s
       set next_run_at = ragdb_data._next_run(s.cron, s.time_zone, v_now),
           last_run_at = case when v_job_no is null then s.last_run_at else v_now end,
           last_job_no = coalesce(v_job_no, s.last_job_no)
     where s.org_no = v_schedule.org_no and s.schedule_no = v_schedule.schedule_no;
  end loop;

  delete from ragdb_data.job j
   using (select o.org_no, o.job_no
            from ragdb_data.job o
           where o.finished_at < now() - interval '30 days'
           order by o.finished_at
           limit 10000
             for update skip locked) old
   where j.org_no = old.org_no and j.job_no = old.job_no;

  delete from ragdb_data.upload u
   using (select o.org_no, o.id, o.piece_no
            from ragdb_data.upload o
           where o.job_no is null and o.created_at < now() - interval '1 day'
           order by o.created_at
           limit 1000
             for update skip locked) lost
   where u.org_no = lost.org_no and u.id = lost.id and u.piece_no = lost.piece_no;
  return v_made;
end;
$$;

comment on function ragdb.tick() is
$$Make the jobs of all schedules that are due; returns how many. For ragdb_worker, once a minute.

However many call it at once, a due schedule makes one job. Forgets jobs that ended 30 days ago, and
files that were left a day ago for a job that never came.$$;
