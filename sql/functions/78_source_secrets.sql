-- Sealed secrets on their way to the worker that opens them, and back when the key has changed.
--
-- Nothing else leads to them. The key never comes here: what a worker is handed is what somebody
-- sealed, and only a process that has the key can tell whether it opens.

create or replace function ragdb.open_source(p_source_id uuid)
  returns table (
    type text, name text, organization text, organization_id uuid, config jsonb, places text[],
    secrets bytea)
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select s.type, s.name, o.slug, o.id, u.config, t.places, u.secrets
    from ragdb_data._data_source(p_source_id) s
    join ragdb_data.organization o on o.org_no = s.org_no
    join ragdb_data.source_type t on t.type = s.type
    join ragdb_data.source_setup u on u.org_no = s.org_no and u.source_no = s.source_no
$$;

comment on function ragdb.open_source(uuid) is
$$How to read a source, with its sealed secrets. For ragdb_worker, in the name of whoever asked.

Raises PT404 source_not_found.$$;

create or replace function ragdb.reseal_source(
  p_source_id uuid, p_old_secrets bytea, p_new_secrets bytea)
  returns boolean
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_source ragdb_data.data_source := ragdb_data._data_source(p_source_id);
begin
  update ragdb_data.source_setup u
     set secrets = p_new_secrets
   where u.org_no = v_org
     and u.source_no = v_source.source_no
     and u.secrets = p_old_secrets;
  return found;
end;
$$;

comment on function ragdb.reseal_source(uuid, bytea, bytea) is
$$Keep the same secrets sealed with a newer key; whether nobody changed them meanwhile. For
ragdb_worker.

Needs data:write. Raises PT404 source_not_found.$$;

create or replace function ragdb.sealed_sources()
  returns table (source_id uuid)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb_data._leased_org();
begin
  return query
  select s.id
    from ragdb_data.source_setup u
    join ragdb_data.data_source s on s.org_no = v_org and s.source_no = u.source_no
   where u.org_no = v_org and u.has_secrets
   order by u.source_no;
end;
$$;

comment on function ragdb.sealed_sources() is
$$All sources of the organization that have secrets. For ragdb_worker, under a job reseal_secrets.

Raises PT409 lease_required.$$;
