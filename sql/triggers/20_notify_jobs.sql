-- Who waits for jobs is told of them. Every login may listen, so that nothing is sent but the fact
-- that something waits, or the id of the job that changed, which lets nobody read it.

create or replace function ragdb_private.notify_queue()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('ragdb_queue', '');
  return null;
end;
$$;

comment on function ragdb_private.notify_queue() is
$$Trigger: wake the workers that listen to ragdb_queue. The payload is empty.$$;

create or replace function ragdb_private.notify_job()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('ragdb_job', new.id::text);
  return null;
end;
$$;

comment on function ragdb_private.notify_job() is
$$Trigger: tell those who listen to ragdb_job the id of a job that changed.$$;

create or replace trigger notify_new_jobs
  after insert on ragdb_data.job
  for each statement execute function ragdb_private.notify_queue();

create or replace trigger notify_queued_job
  after update on ragdb_data.job
  for each row when (new.status = 'queued' and old.status <> 'queued')
  execute function ragdb_private.notify_queue();

create or replace trigger notify_changed_job
  after update on ragdb_data.job
  for each row when ((old.status, old.reported_at, old.cancel_requested_at)
                     is distinct from (new.status, new.reported_at, new.cancel_requested_at))
  execute function ragdb_private.notify_job();
