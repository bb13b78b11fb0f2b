-- Where documents come from, and what became of reading it. How a source is read, only get_source()
-- tells.

create or replace view ragdb.sync_runs
  with (security_invoker = true)
as
select r.id as run_id, s.id as source_id, s.name as source, j.id as job_id,
       case when r.status = 'running' and j.finished_at is not null
              then case j.status when 'cancelled' then 'cancelled' else 'failed' end
            else r.status end as status,
       r.is_full, r.seen, r.added, r.changed, r.unchanged, r.failed, r.deleted,
       r.error_code as error, r.error as message, r.cursor, r.started_at, r.finished_at
  from ragdb_data.sync_run r
  join ragdb_data.data_source s on s.org_no = r.org_no and s.source_no = r.source_no
  left join ragdb_data.job j on j.org_no = r.org_no and j.job_no = r.job_no
 where r.org_no = ragdb.current_org_no();

comment on view ragdb.sync_runs is
$$How sources were read: what was seen there, and what became of it. Each keeps its last 100 runs.

status: running, succeeded, incomplete (the next run begins where this one did), failed or
cancelled. is_full: everything was told, and not what changed since. cursor: the place in the source
that it came to.$$;

create or replace view ragdb.sources
  with (security_invoker = true)
as
select s.id as source_id, s.name, s.type, w.slug as workspace,
       (select count(*)
          from ragdb_data.document d
         where d.org_no = s.org_no and d.source_no = s.source_no) as documents,
       s.created_at,
       case
         when s.scope_no = 0 then 'organization'
         when c.user_no is null then 'workspace'
         else 'private'
       end as visibility,
       s.labels, s.is_synced, t.cron, t.time_zone, t.next_run_at, s.refreshed_at,
       (select r.status
          from ragdb.sync_runs r
         where r.run_id = (select l.id
                             from ragdb_data.sync_run l
                            where l.org_no = s.org_no and l.source_no = s.source_no
                            order by l.run_no desc
                            limit 1)) as last_status
  from ragdb_data.data_source s
  join ragdb_data.scope c on c.org_no = s.org_no and c.scope_no = s.scope_no
  join ragdb.workspaces w on w.workspace_id = (
         select k.id
           from ragdb_data.workspace k
          where k.org_no = s.org_no and k.workspace_no = s.workspace_no)
  left join ragdb_data.schedule t
    on t.org_no = s.org_no and t.source_no = s.source_no and t.is_enabled
 where s.org_no = ragdb.current_org_no();

comment on view ragdb.sources is
$$Where documents come from; an external id is unique within a source. documents: those the caller
may read.

is_synced: workers read it, by cron in time_zone or on request; any other is a name that documents
were stored under. last_status: of its last run, see ragdb.sync_runs.$$;

create or replace view ragdb.sync_errors
  with (security_invoker = true)
as
select r.id as run_id, s.id as source_id, s.name as source, e.external_id, e.error, e.message,
       e.created_at
  from ragdb_data.sync_error e
  join ragdb_data.sync_run r on r.org_no = e.org_no and r.run_no = e.run_no
  join ragdb_data.data_source s on s.org_no = r.org_no and s.source_no = r.source_no
 where e.org_no = ragdb.current_org_no();

comment on view ragdb.sync_errors is
$$What could not be read from a source, and why: up to a thousand rows of each run.$$;

create or replace view ragdb.source_types
  with (security_invoker = true)
as
select t.type, t.description, t.config, t.secrets, t.places, t.always_full
  from ragdb_data.source_type t
 where ragdb.current_org_no() is not null;

comment on view ragdb.source_types is
$$What sources can be: the keys of config and the names of secrets that put_source() takes.

config: {key: {is, required, pattern, one_of, min, max, keys}}; keys are those of an object within.
places: keys of config that say where secrets are sent; those are sealed for them alone.
always_full: every refresh looks at everything.$$;
