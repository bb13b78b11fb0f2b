-- What need not happen while somebody waits.

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
    delete from ragdb_data.dead_chunk d where d.org_no = v_org
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
end;
$$;

comment on function ragdb.maintain() is
$$Remove what deletes left behind in the caller's scopes; returns what was done.

Search is exact without it, and faster after it. Safe at any time and beside readers and writers. Needs data:write.$$;
