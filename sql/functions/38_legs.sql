-- Before the ranking: the language a query is read in, and the vector leg.

create or replace function ragdb_data._table_scale(p_org_no int4)
  returns float8
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  -- The first has no policy to evaluate: nearly free where there is no model.
  if exists (select from ragdb_data.embedding_model)
     and exists (select
                   from ragdb_data.organization_model m
                   join ragdb_data.embedding_model e on e.model_no = m.model_no
                  where m.org_no = p_org_no and e.table_model is not null) then
    return 0.85;
  end if;
  return 1;
end;
$$;

comment on function ragdb_data._table_scale(int4) is
$$What cosines of the table's vectors are multiplied by: 1, or less where a model replaces these
vectors by its own.

A query's vector and a table's are sums of the same rows, and look nearer than they are.$$;

-- Its result has changed.
drop function if exists ragdb_data._nearest(
  int4, int4[], public.halfvec, int8, int8[], int8[], int4);

create or replace function ragdb_data._nearest(
  p_org_no int4, p_scopes int4[], p_embedding public.halfvec, p_matching int8,
  p_bodies int8[], p_chunks int8[], p_depth int4, p_version int4 default null,
  out chunk_nos int8[], out body_nos int8[], out cosines float8[], out strategy text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_sort = off
  set jit = off
  set hnsw.iterative_scan = relaxed_order
  set hnsw.ef_search = 200
as $$
declare
  c_small constant int4 := 2000;
  c_exact constant int4 := 10000;
  c_share constant int4 := 8;
  c_ef constant int4 := 200;
  v_version constant int4 := coalesce(p_version, ragdb_data._embedding_version());
  v_scale constant float8 := case when exists (select from ragdb_data.embedding_model)
                               then ragdb_data._table_scale(p_org_no) else 1 end;
  v_vectors float8;
  v_models int2[];
begin
  strategy := 'none';
  if p_matching > c_small then
    -- How many vectors the index of this organization's partition holds, others' included; null
    -- when none of these scopes is in it.
    select greatest(c.reltuples, 0) into v_vectors
      from (select v.tableoid
              from ragdb_data.chunk_vector v
             where v.org_no = p_org_no and v.scope_no = any (p_scopes) and v.is_indexed
             limit 1) i
      join pg_class c on c.oid = i.tableoid;
  end if;
  if v_vectors is not null
     and (p_matching > c_exact and p_chunks is null or c_share * p_matching >= v_vectors) then
    strategy := 'hnsw';
    if p_bodies is not null or p_depth > c_ef then
      -- Half of what it finds may be filtered out. It ends with the function.
      perform set_config('hnsw.ef_search', '400', true);
    end if;
    select array_agg(v.chunk_no), array_agg(v.body_no), array_agg(1 - v.distance),
           array_agg(v.model_no)
      into chunk_nos, body_nos, cosines, v_models
      from ((select e.chunk_no, e.body_no, e.model_no,
                    e.embedding operator(public.<=>) p_embedding as distance
               from ragdb_data.chunk_vector e
              where e.org_no = p_org_no
                and e.version = v_version
                and e.is_indexed
                and e.scope_no = any (p_scopes)
                and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
              order by e.embedding operator(public.<=>) p_embedding
              limit p_depth)
            union all
            (select e.chunk_no, e.body_no, e.model_no,
                    e.embedding operator(public.<=>) p_embedding as distance
               from ragdb_data.chunk_vector e
              where e.org_no = p_org_no
                and e.version = v_version
                and not e.is_indexed
                and e.scope_no = any (p_scopes)
                and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
              order by (e.embedding operator(public.<=>) p_embedding) + 0
              limit p_depth)
            order by distance, chunk_no
            limit p_depth) v;
  end if;
  if coalesce(cardinality(chunk_nos), 0) < least(p_depth, p_matching) then
    strategy := case strategy when 'hnsw' then 'exact after hnsw' else 'exact' end;
    if p_chunks is null then
      select array_agg(v.chunk_no), array_agg(v.body_no), array_agg(1 - v.distance),
             array_agg(v.model_no)
        into chunk_nos, body_nos, cosines, v_models
        from (select e.chunk_no, e.body_no, e.model_no,
                     e.embedding operator(public.<=>) p_embedding as distance
                from ragdb_data.chunk_vector e
               where e.org_no = p_org_no
                 and e.version = v_version
                 and e.scope_no = any (p_scopes)
                 and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
               order by (e.embedding operator(public.<=>) p_embedding) + 0, e.chunk_no
               limit p_depth) v;
    else
      select array_agg(v.chunk_no), array_agg(v.body_no), array_agg(1 - v.distance),
             array_agg(v.model_no)
        into chunk_nos, body_nos, cosines, v_models
        from (select e.chunk_no, e.body_no, e.model_no,
                     e.embedding operator(public.<=>) p_embedding as distance
                from ragdb_data.chunk_vector e
               where e.org_no = p_org_no
                 and e.version = v_version
                 and e.chunk_no = any (p_chunks)
               order by (e.embedding operator(public.<=>) p_embedding) + 0, e.chunk_no
               limit p_depth) v;
    end if;
  end if;
  if v_scale < 1 and 0 = any (v_models) then
    select array_agg(u.chunk_no order by u.cosine desc, u.chunk_no),
           array_agg(u.body_no order by u.cosine desc, u.chunk_no),
           array_agg(u.cosine order by u.cosine desc, u.chunk_no)
      into chunk_nos, body_nos, cosines
      from (select f.chunk_no, f.body_no,
                   f.cosine * case f.model_no when 0 then v_scale else 1 end as cosine
              from unnest(chunk_nos, body_nos, cosines, v_models)
                   f(chunk_no, body_no, cosine, model_no)) u;
  end if;
end;
$$;

comment on function ragdb_data._nearest(
  int4, int4[], public.halfvec, int8, int8[], int8[], int4, int4) is
$$The vector leg: the p_depth nearest chunks with their bodies and cosines, nearest first, and how
they were found.

p_matching: how many chunks there are to choose from. p_bodies, p_chunks: the only ones to return,
or null. Up to 2,000 chunks are compared one by one, and up to 10,000 or those of p_chunks where
these are less than an eighth of what the index holds: behind so narrow a filter it is slower.
Planning would take longer than the search, and no plan depends on its arguments: the partition is
found when the plan is run, and without sorts the index is the only way to an order by distance.$$;

create or replace function ragdb_data._query_language(p_language text, p_workspace text)
  returns text
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_language is not null then ragdb_data._language(p_language)
    when p_workspace is not null then (ragdb_data._workspace(p_workspace)).language
    else (ragdb_data._context())[7]
  end;
end;
$$;

comment on function ragdb_data._query_language(text, text) is
$$Language to read a query in: as said, else the workspace's, else that of the caller's default
workspace.

Raises PT422 unknown_language, PT404 workspace_not_found.$$;
