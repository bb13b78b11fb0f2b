-- Data sources as members see them: put, shown, refreshed, deleted. One that was put is read by
-- workers, now and by its schedule; any other is a name that documents were stored under.
--
-- Secrets arrive sealed and leave this schema only towards a worker. Whoever may change where a
-- source is read from does not thereby learn its secrets: for another place they are asked again.

create or replace function ragdb_data._check_sweep_limit(p_sweep_limit float8)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if p_sweep_limit not between 0.0::float8 and 1.0::float8 then
    raise exception 'The share of documents that one refresh may delete is 0 to 1.'
      using errcode = 'PT422', constraint = 'invalid_sweep_limit', hint = 'For example: 0.5';
  end if;
end;
$$;

comment on function ragdb_data._check_sweep_limit(float8) is
$$Raise PT422 invalid_sweep_limit for what is no share.$$;

create or replace function ragdb_data._secret_places(p_type text, p_config jsonb)
  returns jsonb
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_array(p_type, jsonb_object_agg(p.key, p_config -> p.key))
    from ragdb_data.source_type t
   cross join lateral unnest(t.places) p(key)
   where t.type = p_type
$$;

comment on function ragdb_data._secret_places(text, jsonb) is
$$What a configuration says about where secrets are sent.$$;

create or replace function ragdb_data._put_setup(
  p_source ragdb_data.data_source, p_type text, p_config jsonb, p_secrets bytea)
  returns boolean
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_old record;
begin
  select u.config, u.has_secrets into v_old
    from ragdb_data.source_setup u
   where u.org_no = v_org and u.source_no = p_source.source_no;
  if not found then
    insert into ragdb_data.source_setup (org_no, source_no, scope_no, config, secrets)
    values (v_org, p_source.source_no, p_source.scope_no, p_config, nullif(p_secrets, ''));
    return true;
  end if;
  if p_secrets is null and v_old.has_secrets
     and ragdb_data._secret_places(p_source.type, v_old.config)
         is distinct from ragdb_data._secret_places(p_type, p_config) then
    raise exception 'The secrets of % were given for another place.', p_source.name
      using errcode = 'PT422',
            constraint = 'secrets_required',
            hint = 'Give them again, or an empty object for none.';
  end if;
  if p_secrets is not null then
    update ragdb_data.source_setup u
       set secrets = nullif(p_secrets, '')
     where u.org_no = v_org and u.source_no = p_source.source_no;
  end if;
  update ragdb_data.source_setup u
     set config = p_config
   where u.org_no = v_org and u.source_no = p_source.source_no;
  return (p_source.type, v_old.config) is distinct from (p_type, p_config);
end;
$$;

comment on function ragdb_data._put_setup(ragdb_data.data_source, text, jsonb, bytea) is
$$Store how a source is read; whether that has changed. Raises PT422 secrets_required.$$;

create or replace function ragdb.put_source(
  p_name text,
  p_type text,
  p_config jsonb default '{}',
  p_secrets bytea default null,
  p_workspace text default null,
  p_visibility text default 'workspace',
  p_labels text[] default '{}',
  p_cron text default null,
  p_time_zone text default 'UTC',
  p_sweep_limit float8 default 0.5)
  returns table (source_id uuid, is_new boolean, next_run_at timestamptz)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:config');
  v_workspace ragdb_data.workspace := ragdb_data._workspace(p_workspace);
  v_type ragdb_data.source_type;
  v_source ragdb_data.data_source;
  v_source_no int4;
  v_labels text[] := array(select l from unnest(p_labels) l where l is not null);
  v_is_changed boolean;
  v_next timestamptz;
begin
  perform ragdb.require('data:write');
  select t.* into v_type from ragdb_data.source_type t where t.type = p_type;
  if not found then
    raise exception 'There is no type of source %.', p_type
      using errcode = 'PT422',
            constraint = 'unknown_source_type',
            hint = 'Types: ' || (select string_agg(t.type, ', ' order by t.type)
                                   from ragdb_data.source_type t);
  end if;
  if p_visibility is null or p_visibility not in ('private', 'workspace', 'organization') then
    raise exception 'The visibility % is not known.', p_visibility
      using errcode = 'PT422',
            constraint = 'unknown_visibility',
            hint = 'One of: private, workspace, organization';
  end if;
  perform ragdb_data._check_sweep_limit(coalesce(p_sweep_limit, -1.0::float8));
  if length(p_secrets) not between 30 and 65536 and p_secrets <> '' then
    raise exception 'These are no sealed secrets.'
      using errcode = 'PT422',
            constraint = 'invalid_secrets',
            hint = 'ragdb source add --secrets FILE, and POST /api/v1/datasources, seal them.';
  end if;
  if jsonb_typeof(p_config) is distinct from 'object' then
    raise exception 'p_config is not a JSON object.'
      using errcode = 'PT422',
            constraint = 'invalid_source_config',
            hint = 'select config from ragdb.source_types;';
  end if;
  perform ragdb_data._check_config(v_type.config, p_config);

  v_source_no := ragdb_data._source(
    v_workspace.workspace_no, ragdb_data._open_scope(v_workspace.id, p_visibility), p_name);
  select s.* into v_source
    from ragdb_data.data_source s
   where s.org_no = v_org and s.source_no = v_source_no
     for update;
  v_is_changed := ragdb_data._put_setup(v_source, p_type, p_config, p_secrets)
                  or v_source.labels <> v_labels;
  update ragdb_data.data_source s
     set type = p_type,
         labels = v_labels,
         is_synced = true,
         sweep_limit = p_sweep_limit,
         revision = s.revision + v_is_changed::int4,
         cursor = case when v_is_changed then null else s.cursor end
   where s.org_no = v_org and s.source_no = v_source.source_no;
  if v_is_changed then
    update ragdb_data.source_item i
       set fingerprint = null
     where i.org_no = v_org
       and i.source_no = v_source.source_no
       and i.fingerprint is not null;
  end if;

  delete from ragdb_data.schedule c
   where c.org_no = v_org and c.source_no = v_source.source_no and p_cron is null;
  if p_cron is not null then
    select c.next_run_at into v_next
      from ragdb.put_schedule(
             'source ' || v_source.id, p_cron, 'sync_source',
             jsonb_build_object('source_id', v_source.id), p_time_zone) c;
    update ragdb_data.schedule c
       set source_no = v_source.source_no
     where c.org_no = v_org and c.name = 'source ' || v_source.id;
  end if;
  return query select v_source.id, not v_source.is_synced, v_next;
end;
$$;

comment on function ragdb.put_source(
  text, text, jsonb, bytea, text, text, text[], text, text, float8) is
$$Have a data source read by workers, or change how the one of that name is.

Example: select * from ragdb.put_source('manuals', 'file', '{"path": "/srv/manuals"}', p_cron =>
'0 3 * * *', p_time_zone => 'Europe/Berlin');
p_type and p_config: see ragdb.source_types. p_secrets: sealed with the key of service and workers,
which the command line and the REST service do; null keeps those that are there, '' removes them.
p_labels: for all its documents. p_cron, p_time_zone: when it is refreshed, as put_schedule() has
it, and in the caller's name; null for on request only. p_sweep_limit: the share of its documents
that one refresh may find gone; more is deleted by none that was not told so.
The other arguments are those of put_documents(). What has changed here is read anew.
Needs rag:config and data:write. Raises PT422 unknown_source_type, invalid_source_config,
invalid_secrets, secrets_required, invalid_sweep_limit, unknown_visibility, invalid_cron or
unknown_time_zone, PT404 workspace_not_found.$$;

create or replace function ragdb.get_source(p_source_id uuid)
  returns table (
    source_id uuid, name text, type text, workspace text, visibility text, labels text[],
    config jsonb, has_secrets boolean, sweep_limit float8, cron text, time_zone text,
    next_run_at timestamptz, documents int8, refreshed_at timestamptz, created_at timestamptz)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:config');
  v_source ragdb_data.data_source := ragdb_data._data_source(p_source_id);
begin
  return query
  select s.source_id, s.name, s.type, s.workspace, s.visibility, s.labels, u.config,
         coalesce(u.has_secrets, false), v_source.sweep_limit, s.cron, s.time_zone, s.next_run_at,
         s.documents, s.refreshed_at, s.created_at
    from ragdb.sources s
    left join ragdb_data.source_setup u
      on u.org_no = v_org and u.source_no = v_source.source_no
   where s.source_id = p_source_id;
end;
$$;

comment on function ragdb.get_source(uuid) is
$$One data source and its configuration, whose secrets nothing shows.

Needs rag:config. Raises PT404 source_not_found.$$;

create or replace function ragdb.refresh_source(
  p_source_id uuid, p_full boolean default false, p_sweep_limit float8 default null)
  returns table (job_id uuid, status text, is_new boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('data:write');
  v_source ragdb_data.data_source := ragdb_data._synced_source(p_source_id);
  v_job record;
begin
  perform ragdb_data._check_sweep_limit(p_sweep_limit);
  if not coalesce(p_full, false) and p_sweep_limit is null then
    select j.id, j.status into v_job
      from ragdb_data.job j
     where j.org_no = v_org and j.job_no = v_source.job_no and j.finished_at is null;
    if found then
      return query select v_job.id, v_job.status, false;
      return;
    end if;
  end if;
  select e.job_id, e.status into v_job
    from ragdb.enqueue_job(
           'sync_source',
           jsonb_strip_nulls(jsonb_build_object(
             'source_id', p_source_id, 'full', coalesce(p_full, false),
             'sweep_limit', p_sweep_limit))) e;
  update ragdb_data.data_source s
     set job_no = (ragdb_data._job(v_job.job_id)).job_no
   where s.org_no = v_org and s.source_no = v_source.source_no;
  return query select v_job.job_id, v_job.status, true;
end;
$$;

comment on function ragdb.refresh_source(uuid, boolean, float8) is
$$Have a data source read again by a worker, as the caller.

p_full: all of it, and not what changed since. p_sweep_limit: the share of its documents that may be
deleted this time, where it is more than put_source() said. Where it is about to be refreshed
anyway, that job is returned (is_new false).
Needs data:write. Raises PT404 source_not_found, PT409 source_not_synced, PT422
invalid_sweep_limit.$$;

create or replace function ragdb.delete_source(p_source_id uuid)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  -- Locked, it has nothing come in any more.
  v_source ragdb_data.data_source := ragdb_data._locked_source(p_source_id);
  v_deleted int4;
begin
  v_deleted := ragdb.delete_documents(array(
    select d.id
      from ragdb_data.document d
     where d.org_no = v_org and d.source_no = v_source.source_no));
  delete from ragdb_data.data_source s
   where s.org_no = v_org and s.source_no = v_source.source_no;
  return v_deleted;
end;
$$;

comment on function ragdb.delete_source(uuid) is
$$Delete a data source and all its documents; returns how many documents that were.

Its schedule, its runs and its secrets go with it. Needs data:write. Raises PT404
source_not_found.$$;
