-- What need not happen while somebody waits. Each call does a bounded step in a transaction of its
-- own and tells what is left, so that a caller may show progress, stop at any time and go on later.

create or replace function ragdb_data._index_vectors(p_limit int4, p_leave int4 default 10000)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_scopes int4[] := ragdb.current_scopes();
  v_excess int4;
  v_indexed int8 := 0;
begin
  select count(*) - p_leave into v_excess
    from (select
            from ragdb_data.chunk_vector v
           where v.org_no = v_org and v.scope_no = any (v_scopes) and not v.is_indexed
           limit p_leave::int8 + p_limit) tail;
  if v_excess <= 0 then
    return 0;
  end if;
  update ragdb_data.chunk_vector v
     set is_indexed = true
    from (select t.version, t.chunk_no
            from ragdb_data.chunk_vector t
           where t.org_no = v_org and t.scope_no = any (v_scopes) and not t.is_indexed
           limit v_excess
             for update skip locked) oldest
   where v.org_no = v_org
     and v.version = oldest.version
     and v.chunk_no = oldest.chunk_no;
  get diagnostics v_indexed = row_count;
  return v_indexed;
end;
$$;

comment on function ragdb_data._index_vectors(int4, int4) is
$$Move vectors of the caller's scopes into the HNSW index but for p_leave, which search compares one
by one; at most p_limit. Returns how many.$$;

create or replace function ragdb_data._purge_postings(p_limit int4)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashjoin = off
  set enable_mergejoin = off
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_rows int8;
begin
  with dead as (
    delete from ragdb_data.dead_chunk d
     using (select o.scope_no, o.chunk_no
              from ragdb_data.dead_chunk o
             where o.org_no = v_org and o.slot_no is null
             limit p_limit) o
     where d.org_no = v_org and d.scope_no = o.scope_no and d.chunk_no = o.chunk_no
    returning d.scope_no, d.chunk_no, d.terms)
  delete from ragdb_data.posting p
   using dead d
   cross join lateral unnest(d.terms) t(term)
   where p.org_no = v_org
     and p.term = t.term
     and p.scope_no = d.scope_no
     and p.chunk_no = d.chunk_no;
  get diagnostics v_rows = row_count;
  return v_rows;
end;
$$;

comment on function ragdb_data._purge_postings(int4) is
$$Remove the postings of at most p_limit deleted chunks that were never sealed; returns how many
postings that were.$$;

create or replace function ragdb.maintain(p_limit int4 default null)
  returns table (task text, rows int8, remaining int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
as $$
declare
  c_small constant int4 := 2000;
  v_org int4 := ragdb.require('data:write');
  v_scopes int4[] := ragdb.current_scopes();
  v_limit int4 := coalesce(p_limit, 1000000000);
  v_vectors int4;
begin
  if v_limit < 1 then
    raise exception 'The limit must be at least 1.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'Without one, all is done.';
  end if;
  task := 'purge postings of deleted chunks';
  rows := ragdb_data._purge_postings(v_limit);
  remaining := (select count(*) from ragdb_data.dead_chunk d
                 where d.org_no = v_org and d.scope_no = any (v_scopes) and d.slot_no is null);
  return next;

  return query select * from ragdb_data._seal_scopes(v_limit);

  task := 'learn words';
  rows := 0;
  loop
    rows := rows + ragdb_data._learn_words();
    remaining := (select coalesce(sum(g.chunks), 0) from ragdb_data.segment g
                   where g.org_no = v_org
                     and g.scope_no = any (v_scopes)
                     and not exists (select from ragdb_data.spelled_segment k
                                      where k.org_no = v_org and k.segment_no = g.segment_no));
    exit when remaining = 0 or p_limit is not null;
  end loop;
  return next;

  task := 'forget embeddings';
  rows := ragdb_data._forget_embeddings(v_limit);
  remaining := 0;
  return next;

  task := 'index vectors';
  rows := 0;
  remaining := 0;
  v_vectors := (select count(*)
                  from (select from ragdb_data.chunk_vector v
                         where v.org_no = v_org and v.scope_no = any (v_scopes)
                         limit c_small + 1) few);
  -- Without an index, whoever builds it marks them.
  if v_vectors > c_small and ragdb_data._vector_index(v_org) is not null then
    rows := ragdb_data._index_vectors(v_limit, 0);
    remaining := (select count(*) from ragdb_data.chunk_vector v
                   where v.org_no = v_org and v.scope_no = any (v_scopes) and not v.is_indexed);
  end if;
  return next;
end;
$$;

comment on function ragdb.maintain(int4) is
$$Remove what deletes left behind, seal postings, learn words for corrections, forget embeddings of
old queries and texts, index vectors; returns what was done, and what is left.

p_limit: about how many chunks each task may touch, then call it again until nothing remains;
default all in one transaction. Works on the caller's scopes. Search is exact without it, and faster
after it. Safe at any time and beside readers and writers. Needs data:write. Raises PT422
invalid_limit.$$;
