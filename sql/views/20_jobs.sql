-- Work that is done later, and how much of it there is.

create or replace view ragdb.jobs
  with (security_invoker = true)
as
select j.id as job_id, j.kind, j.queue, j.status, j.priority::int4, j.progress, d.message,
       j.attempt, j.max_attempts, u.email, s.name as schedule,
       j.run_at, j.created_at, j.started_at, j.finished_at,
       j.cancel_requested_at is not null as cancel_requested,
       j.error_code as error, d.error as error_message, d.result
  from ragdb_data.job j
  left join ragdb_data.job_detail d on d.org_no = j.org_no and d.job_no = j.job_no
  left join ragdb_data.app_user u on u.user_no = j.user_no
  left join ragdb_data.schedule s on s.org_no = j.org_no and s.schedule_no = j.schedule_no
 where j.org_no = ragdb.current_org_no();

comment on view ragdb.jobs is
$$Jobs of the caller's organization. message, error_message and result: of the caller's own.

status: scheduled (for run_at, or for another attempt), queued, running, succeeded, failed (for
good: see retry_failed()) or cancelled. error: machine name of why the last attempt failed.$$;

create or replace view ragdb.queue_health
  with (security_invoker = true)
as
select q.queue,
       (select count(*) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'queued') as queued,
       (select count(*) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'scheduled') as scheduled,
       (select count(*) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'running') as running,
       (select count(*) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'failed') as failed,
       (select count(*) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'succeeded'
           and j.finished_at > now() - interval '1 hour') as succeeded_last_hour,
       (select now() - min(j.run_at) from ragdb_data.job j
         where j.org_no = o.org_no and j.queue = q.queue and j.status = 'queued') as oldest_waits
  from (select ragdb.current_org_no() as org_no offset 0) o
 cross join unnest('{ingestion,embedding,maintenance,sync}'::text[]) q(queue)
 where o.org_no is not null;

comment on view ragdb.queue_health is
$$The caller's queues: how many jobs wait, run and have failed, how many were done in the last hour,
and how long the oldest has been waiting for a worker.$$;

create or replace view ragdb.schedules
  with (security_invoker = true)
as
select s.id as schedule_id, s.name, s.cron, s.time_zone, s.kind, s.payload, s.is_enabled, u.email,
       s.next_run_at, s.last_run_at, j.id as last_job_id, j.status as last_status
  from ragdb_data.schedule s
  left join ragdb_data.app_user u on u.user_no = s.user_no
  left join ragdb_data.job j on j.org_no = s.org_no and j.job_no = s.last_job_no
 where s.org_no = ragdb.current_org_no();

comment on view ragdb.schedules is
$$Jobs that are made again and again. email: in whose name they run.$$;
