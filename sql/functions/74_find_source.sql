-- A data source by its id: as anybody of its readers has it, or locked, for whoever changes it.
--
-- A source is locked before its runs and items are, and before its documents.

create or replace function ragdb_data._data_source(p_source_id uuid)
  returns ragdb_data.data_source
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_source ragdb_data.data_source;
begin
  select s.* into v_source
    from ragdb_data.data_source s
   where s.org_no = v_org and s.id = p_source_id;
  if not found then
    raise exception 'There is no source %.', p_source_id
      using errcode = 'PT404',
            constraint = 'source_not_found',
            hint = 'select source_id, name from ragdb.sources;';
  end if;
  return v_source;
end;
$$;

comment on function ragdb_data._data_source(uuid) is
$$A source of the caller's organization. Raises PT404 source_not_found.$$;

create or replace function ragdb_data._locked_source(p_source_id uuid)
  returns ragdb_data.data_source
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_source ragdb_data.data_source;
begin
  select s.* into v_source
    from ragdb_data.data_source s
   where s.org_no = v_org and s.id = p_source_id
     for update;
  if not found then
    return ragdb_data._data_source(p_source_id);
  end if;
  return v_source;
end;
$$;

comment on function ragdb_data._locked_source(uuid) is
$$A source of the caller's organization, as it is once nobody else changes it.

Needs data:write. Raises PT404 source_not_found.$$;

create or replace function ragdb_data._synced_source(p_source_id uuid)
  returns ragdb_data.data_source
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_source ragdb_data.data_source := ragdb_data._locked_source(p_source_id);
begin
  if not v_source.is_synced then
    raise exception 'The source % is a name only: nothing says where it is read from.',
      v_source.name
      using errcode = 'PT409', constraint = 'source_not_synced', hint = '\df+ ragdb.put_source';
  end if;
  return v_source;
end;
$$;

comment on function ragdb_data._synced_source(uuid) is
$$A source that is read by workers, locked.

Needs data:write. Raises PT404 source_not_found, PT409 source_not_synced.$$;
