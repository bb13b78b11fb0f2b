-- What need not happen while somebody waits.

create or replace function ragdb_data._index_vectors(p_limit int4)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  c_exact constant int4 := 10000;
  v_org int4 := ragdb.current_org_no();
  v_version int4;
  v_excess int4;
  v_rows int8;
  v_indexed int8 := 0;
begin
  foreach v_version in array ragdb_data._vector_versions() loop
    select count(*) - c_exact into v_excess
      from (select
              from ragdb_data.chunk_vector v
             where v.org_no = v_org and v.version = v_version and not v.is_indexed
             limit c_exact + p_limit) tail;
    continue when v_excess <= 0;
    update ragdb_data.chunk_vector v
       set is_indexed = true
      from (select t.chunk_no
              from ragdb_data.chunk_vector t
             where t.org_no = v_org and t.version = v_version and not t.is_indexed
             order by t.chunk_no
             limit v_excess
               for update skip locked) oldest
     where v.org_no = v_org
       and v.version = v_version
       and v.chunk_no = oldest.chunk_no;
    get diagnostics v_rows = row_count;
    v_indexed := v_indexed + v_rows;
  end loop;
  return v_indexed;
end;
$$;

comment on function ragdb_data._index_vectors(int4) is
$$Move the oldest vectors beyond the 10,000 that search scans anyway into the HNSW index, at most
p_limit of each table's version; returns how many.$$;

create or replace function ragdb.maintain()
  returns table (task text, rows int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_rows int8;
begin
  with dead as (
    delete from ragdb_data.dead_chunk d where d.org_no = v_org and d.slot_no is null
    returning d.scope_no, d.chunk_no, d.terms)
  delete from ragdb_data.posting p
   using dead d
   cross join lateral unnest(d.terms) t(term)
   where p.org_no = v_org
     and p.term = t.term
     and p.scope_no = d.scope_no
     and p.chunk_no = d.chunk_no;
  get diagnostics v_rows = row_count;
  return query select 'purge postings of deleted chunks'::text, v_rows;
  return query select * from ragdb_data._seal_scopes();
  return query select 'index vectors'::text, ragdb_data._index_vectors(1000000);
end;
$$;

comment on function ragdb.maintain() is
$$Remove what deletes left behind, seal postings, index vectors; returns what was done.

Works on the caller's scopes. Search is exact without it, and faster after it. Safe at any time and
beside readers and writers. Needs data:write.$$;
