-- Somebody has to call maintain() after chunks were written or deleted: whoever writes asks a
-- worker to, unless somebody has already.

create or replace function ragdb_data.ask_for_upkeep()
  returns trigger
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org constant int4 := ragdb.current_org_no();
begin
  -- Two who ask at once make two jobs, of which one finds nothing to do: a unique key would let
  -- writers wait for one another.
  if v_org is not null
     and not exists (select from ragdb_data.job j
                      where j.org_no = v_org
                        and j.queue = 'maintenance'
                        and j.status in ('scheduled', 'queued')
                        and j.kind = 'maintain') then
    perform from ragdb.enqueue_job(
      'maintain', p_priority => 1, p_run_at => now() + interval '1 minute');
  end if;
  return null;
end;
$$;

comment on function ragdb_data.ask_for_upkeep() is
$$Trigger: enqueue a job that maintains the organization in a minute, if none waits.$$;

create or replace trigger ask_for_upkeep
  after insert or delete on ragdb_data.chunk
  for each statement execute function ragdb_data.ask_for_upkeep();
