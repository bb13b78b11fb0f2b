-- The vector leg of a model with a space of its own, as _nearest() is the table's.

create or replace function ragdb_data._nearest_of_model(
  p_org_no int4, p_scopes int4[], p_model_no int4, p_embedding public.halfvec, p_matching int8,
  p_bodies int8[], p_chunks int8[], p_depth int4,
  out chunk_nos int8[], out cosines float8[], out strategy text)
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
  c_floats constant float8 := 2560000;
  v_dimensions constant int4 := public.vector_dims(p_embedding);
  -- As many comparisons as take the time of 10,000 of the table's vectors.
  v_exact constant int8 := greatest(2000, c_floats / v_dimensions);
begin
  if p_model_no < 0 then
    strategy := 'exact';
    select t.chunk_nos, t.cosines into chunk_nos, cosines
      from ragdb_data._nearest_of_table(
             p_org_no, p_scopes, p_model_no, p_embedding, p_bodies, p_chunks, p_depth) t;
    return;
  end if;
  strategy := 'none';
  if p_matching > v_exact then
    strategy := 'hnsw';
    if p_bodies is not null then
      perform set_config('hnsw.ef_search', '400', true);
    end if;
    -- The model's index is one of these dimensions and this model: both must stand in the query.
    execute format(
      'select array_agg(v.chunk_no order by v.distance, v.chunk_no),'
      '       array_agg(1 - v.distance order by v.distance, v.chunk_no)'
      '  from ((select e.chunk_no,'
      '                e.embedding::public.halfvec(%1$s) operator(public.<=>) $3 as distance'
      '           from ragdb_data.model_vector e'
      '          where e.org_no = $1 and e.model_no = %2$s and e.is_indexed'
      '            and e.scope_no = any ($2)'
      '            and ($4 is null or e.body_no = any ($4))'
      '          order by e.embedding::public.halfvec(%1$s) operator(public.<=>) $3'
      '          limit $5)'
      '        union all'
      '        (select e.chunk_no, e.embedding operator(public.<=>) $3 as distance'
      '           from ragdb_data.model_vector e'
      '          where e.org_no = $1 and e.model_no = %2$s and not e.is_indexed'
      '            and e.scope_no = any ($2)'
      '            and ($4 is null or e.body_no = any ($4))'
      '          order by (e.embedding operator(public.<=>) $3) + 0'
      '          limit $5)'
      '        order by distance, chunk_no limit $5) v', v_dimensions, p_model_no)
      into chunk_nos, cosines
      using p_org_no, p_scopes, p_embedding, p_bodies, p_depth;
  end if;
  if coalesce(cardinality(chunk_nos), 0) < least(p_depth, p_matching) then
    strategy := case strategy when 'hnsw' then 'exact after hnsw' else 'exact' end;
    select array_agg(v.chunk_no order by v.distance, v.chunk_no),
           array_agg(1 - v.distance order by v.distance, v.chunk_no)
      into chunk_nos, cosines
      from (select e.chunk_no, e.embedding operator(public.<=>) p_embedding as distance
              from ragdb_data.model_vector e
             where e.org_no = p_org_no
               and e.model_no = p_model_no
               and e.scope_no = any (p_scopes)
               and (p_bodies is null or e.body_no in (select unnest(p_bodies)))
               and (p_chunks is null or e.chunk_no in (select unnest(p_chunks)))
             order by (e.embedding operator(public.<=>) p_embedding) + 0, e.chunk_no
             limit p_depth) v;
  end if;
end;
$$;

comment on function ragdb_data._nearest_of_model(
  int4, int4[], int4, public.halfvec, int8, int8[], int8[], int4) is
$$The vector leg of a model with a space of its own; see _nearest(). What it has not embedded yet is
not found here.

p_model_no: below 0 for the table's vectors alone, of _table_only().
Few matching chunks are compared one by one; for many, its HNSW index is asked.$$;

create or replace function ragdb_data._confidence(
  p_org_no int4, p_model_no int4, p_version int4)
  returns float8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_confidence float8[];
begin
  if exists (select from ragdb_data.embedding_model) then
    select e.confidence into v_confidence
      from ragdb_data.organization_model m
      join ragdb_data.embedding_model e on e.model_no = m.model_no
     where m.org_no = p_org_no
       and (m.model_no = p_model_no
            or p_model_no is null and m.is_complete and e.table_model is not null)
     limit 1;
  end if;
  return coalesce(
    v_confidence,
    (select array[t.confidence_lexical, t.confidence_cosine, t.confidence_offset]
       from ragdb_data.embedding_table_version t
      where t.version = p_version));
end;
$$;

comment on function ragdb_data._confidence(int4, int4, int4) is
$$Constants of confidence: of the model whose vectors are searched, or of the table's version.$$;
