-- One reading of a source, step by step, each a transaction: begun, compared, stored, swept, ended.
--
-- A run belongs to a job. The job's lease is checked when its worker opens a transaction, and here
-- that the run is still that job's: whoever lost either writes nothing. What a step stores and the
-- place in the source that it came to are one commit, so that a run that was killed is gone on with
-- there. An item is counted in a run once, however often it is told.

create or replace function ragdb_data._forget_runs(p_source_no int4, p_kept int4)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
begin
  delete from ragdb_data.sync_run r
   where r.org_no = v_org
     and r.source_no = p_source_no
     and r.run_no <= (select o.run_no
                        from ragdb_data.sync_run o
                       where o.org_no = v_org and o.source_no = p_source_no
                       order by o.run_no desc
                      offset p_kept
                       limit 1);
end;
$$;

comment on function ragdb_data._forget_runs(int4, int4) is
$$Keep so many runs of a source, the last ones.$$;

create or replace function ragdb.begin_sync(
  p_source_id uuid, p_job_id uuid, p_full boolean default false,
  p_sweep_limit float8 default null)
  returns table (
    run_id uuid, is_full boolean, is_resumed boolean, cursor jsonb, labels text[], known int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_source ragdb_data.data_source := ragdb_data._synced_source(p_source_id);
  v_job ragdb_data.job := ragdb_data._job(p_job_id);
  v_run ragdb_data.sync_run;
  v_other ragdb_data.job;
  v_is_resumed boolean := false;
begin
  select r.* into v_run
    from ragdb_data.sync_run r
   where r.org_no = v_org and r.source_no = v_source.source_no and r.status = 'running'
     for update;
  if found then
    select j.* into v_other
      from ragdb_data.job j
     where j.org_no = v_org and j.job_no = v_run.job_no;
    if v_run.job_no <> v_job.job_no and v_other.lease_until > clock_timestamp() then
      return;
    end if;
    -- What is older has little in common with what the source holds now.
    v_is_resumed := v_run.reported_at > now() - interval '1 hour'
                    and v_run.revision = v_source.revision
                    and (v_run.is_full or not coalesce(p_full, false));
    if not v_is_resumed then
      update ragdb_data.sync_run r
         set status = 'failed',
             error_code = 'interrupted',
             error = 'It was interrupted, and begun anew by the next.',
             finished_at = now()
       where r.org_no = v_org and r.run_no = v_run.run_no;
    end if;
  end if;

  if v_is_resumed then
    update ragdb_data.sync_run r
       set job_no = v_job.job_no,
           sweep_limit = greatest(r.sweep_limit, p_sweep_limit),
           reported_at = now()
     where r.org_no = v_org and r.run_no = v_run.run_no
    returning r.* into v_run;
  else
    insert into ragdb_data.sync_run (
      org_no, source_no, scope_no, job_no, revision, is_full, sweep_limit, cursor)
    select v_org, v_source.source_no, v_source.scope_no, v_job.job_no, v_source.revision, f.is_full,
           coalesce(p_sweep_limit, v_source.sweep_limit),
           case when not f.is_full then v_source.cursor end
      from (select coalesce(p_full, false) or v_source.cursor is null or t.always_full as is_full
              from ragdb_data.source_type t
             where t.type = v_source.type) f
    returning * into v_run;
    perform ragdb_data._forget_runs(v_source.source_no, 100);
  end if;
  return query
  select v_run.id, v_run.is_full, v_is_resumed, v_run.cursor, v_source.labels,
         (select count(*) from ragdb_data.source_item i
           where i.org_no = v_org and i.source_no = v_source.source_no);
end;
$$;

comment on function ragdb.begin_sync(uuid, uuid, boolean, float8) is
$$Begin to read a source, or go on where a run came to that was interrupted. For workers.

p_job_id: the job that does it. No row where another one is at it. is_full: everything is to be
told, and what is not has gone; else what changed since cursor. known: how many items there were.
A source keeps its last 100 runs.
Needs data:write. Raises PT404 source_not_found or job_not_found, PT409 source_not_synced.$$;

create or replace function ragdb_data._sync_run(p_run_id uuid, p_job_id uuid)
  returns ragdb_data.sync_run
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_job ragdb_data.job := ragdb_data._job(p_job_id);
  v_run ragdb_data.sync_run;
begin
  select r.* into v_run
    from ragdb_data.sync_run r
    join ragdb_data.data_source s on s.org_no = v_org and s.source_no = r.source_no
   where r.org_no = v_org
     and r.id = p_run_id
     and r.job_no = v_job.job_no
     and r.status = 'running'
     and r.revision = s.revision
     for update of r
     for share of s;
  if not found then
    raise exception 'The run % has ended, or the source has changed meanwhile.', p_run_id
      using errcode = 'PT409', constraint = 'run_lost', hint = 'Begin a new one.';
  end if;
  return v_run;
end;
$$;

comment on function ragdb_data._sync_run(uuid, uuid) is
$$A run that a job may write to, locked. Raises PT409 run_lost, PT404 job_not_found.$$;

create or replace function ragdb.changed_items(p_run_id uuid, p_job_id uuid, p_items jsonb)
  returns table (external_id text, is_known boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_run ragdb_data.sync_run := ragdb_data._sync_run(p_run_id, p_job_id);
  v_same bytea[];
  v_unchanged int4;
begin
  select array_agg(o.hash), count(*) filter (where o.run_no is distinct from v_run.run_no)
    into v_same, v_unchanged
    from jsonb_to_recordset(p_items) g(external_id text, fingerprint text)
    join ragdb_data.source_item o
      on o.org_no = v_org
     and o.source_no = v_run.source_no
     and o.hash = sha256(convert_to(g.external_id, 'UTF8'))
     and o.fingerprint = g.fingerprint
   where not exists (select from unnest(o.documents) u
                      where not exists (select from ragdb_data.document d
                                         where d.org_no = v_org and d.id = u));
  update ragdb_data.source_item i
     set run_no = v_run.run_no
   where i.org_no = v_org
     and i.source_no = v_run.source_no
     and i.hash = any (v_same)
     and i.run_no is distinct from v_run.run_no;
  update ragdb_data.sync_run r
     set seen = r.seen + v_unchanged,
         unchanged = r.unchanged + v_unchanged,
         reported_at = now()
   where r.org_no = v_org and r.run_no = v_run.run_no;
  return query
  select g.external_id,
         exists (select from ragdb_data.source_item o
                   cross join lateral unnest(o.documents) u
                   join ragdb_data.document d on d.org_no = v_org and d.id = u
                  where o.org_no = v_org
                    and o.source_no = v_run.source_no
                    and o.hash = sha256(convert_to(g.external_id, 'UTF8')))
    from jsonb_to_recordset(p_items) g(external_id text, fingerprint text)
   where sha256(convert_to(g.external_id, 'UTF8')) <> all (coalesce(v_same, '{}'));
end;
$$;

comment on function ragdb.changed_items(uuid, uuid, jsonb) is
$$Which of these items have to be loaded; the others are as they were, and count as seen.

p_items: array of {external_id, fingerprint}. An item without a fingerprint, or one of whose
documents was deleted, has to be. is_known: it has documents. For workers.
Needs data:write. Raises PT409 run_lost.$$;

create or replace function ragdb.end_sync(
  p_run_id uuid, p_job_id uuid, p_error text default null, p_message text default null)
  returns table (
    status text, seen int4, added int4, changed int4, unchanged int4, failed int4, deleted int4,
    error text, message text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_run ragdb_data.sync_run := ragdb_data._sync_run(p_run_id, p_job_id);
begin
  update ragdb_data.sync_run r
     set status = case when p_error is not null then 'failed'
                       when r.has_gap or r.must_return then 'incomplete'
                       else 'succeeded' end,
         error_code = coalesce(p_error, r.error_code),
         error = coalesce(left(p_message, 2000), r.error),
         finished_at = now()
   where r.org_no = v_org and r.run_no = v_run.run_no
  returning * into v_run;
  update ragdb_data.data_source s
     set cursor = case when v_run.status = 'succeeded' then v_run.cursor else s.cursor end,
         refreshed_at = now()
   where s.org_no = v_org and s.source_no = v_run.source_no and v_run.status <> 'failed';
  return query select v_run.status, v_run.seen, v_run.added, v_run.changed, v_run.unchanged,
                      v_run.failed, v_run.deleted, v_run.error_code, v_run.error;
end;
$$;

comment on function ragdb.end_sync(uuid, uuid, text, text) is
$$A run has come to its end, or with p_error has failed. For workers.

status: succeeded, incomplete (some of it has to be read again: the next run begins where this one
did) or failed. Needs data:write. Raises PT409 run_lost.$$;
