-- What became of reading a source, page by page.

create or replace function ragdb.list_sync_runs(p_source_id uuid, p_limit int4 default 20)
  returns table (
    run_id uuid, source_id uuid, source text, job_id uuid, status text, is_full boolean,
    seen int4, added int4, changed int4, unchanged int4, failed int4, deleted int4,
    error text, message text, cursor jsonb, started_at timestamptz, finished_at timestamptz)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_source ragdb_data.data_source := ragdb_data._data_source(p_source_id);
begin
  perform ragdb_data._check_page(p_limit);
  return query
  select v.*
    from (select r.run_no, r.id
            from ragdb_data.sync_run r
           where r.org_no = v_org and r.source_no = v_source.source_no
           order by r.run_no desc
           limit p_limit) page
    join ragdb.sync_runs v on v.run_id = page.id
   order by page.run_no desc;
end;
$$;

comment on function ragdb.list_sync_runs(uuid, int4) is
$$How a source was read, the last time first; see ragdb.sync_runs.

p_limit: how many, 1 to 1000. Needs rag:read. Raises PT422 invalid_limit, PT404
source_not_found.$$;

create or replace function ragdb.list_sync_errors(
  p_source_id uuid, p_run_id uuid default null, p_limit int4 default 100)
  returns table (
    run_id uuid, external_id text, error text, message text, created_at timestamptz)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_source ragdb_data.data_source := ragdb_data._data_source(p_source_id);
begin
  perform ragdb_data._check_page(p_limit);
  return query
  select l.id, e.external_id, e.error, e.message, e.created_at
    from (select r.run_no, r.id
            from ragdb_data.sync_run r
           where r.org_no = v_org
             and r.source_no = v_source.source_no
             and (p_run_id is null or r.id = p_run_id)
           order by r.run_no desc
           limit 1) l
    join ragdb_data.sync_error e on e.org_no = v_org and e.run_no = l.run_no
   order by e.error_no
   limit p_limit;
end;
$$;

comment on function ragdb.list_sync_errors(uuid, uuid, int4) is
$$What could not be read in a run of a source, and why; without p_run_id in its last one.

p_limit: how many, 1 to 1000. Needs rag:read. Raises PT422 invalid_limit, PT404
source_not_found.$$;
