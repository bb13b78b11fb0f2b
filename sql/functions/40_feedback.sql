-- A second look at the vectors: the query's is moved towards those of the two best passages, and
-- the cosines of the best fifty are taken anew. What a question's few words leave open, the
-- passages that answer it best tell.

create or replace function ragdb_data._moved_cosines(
  p_org_no int4, p_version int4, p_model_no int4, p_embedding public.halfvec,
  p_chunks int8[], p_cosines float8[], p_seeds int8[])
  returns float8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_mergejoin = off
  set enable_nestloop = off  -- arrays are taken for short
  set jit = off
as $$
declare
  c_weight constant float8 := 0.8;
  v_chunks int8[];
  v_vectors public.halfvec[];
  v_centre public.halfvec;
  v_length float8;
begin
  if p_model_no is null then
    select array_agg(v.chunk_no), array_agg(v.embedding) into v_chunks, v_vectors
      from ragdb_data.chunk_vector v
     where v.org_no = p_org_no and v.version = p_version and v.chunk_no = any (p_chunks);
  elsif p_model_no < 0 then
    select array_agg(v.chunk_no), array_agg(v.embedding) into v_chunks, v_vectors
      from ragdb_data._table_vectors(p_org_no, p_model_no, p_chunks) v;
  else
    select array_agg(v.chunk_no), array_agg(v.embedding) into v_chunks, v_vectors
      from ragdb_data.model_vector v
     where v.org_no = p_org_no and v.model_no = p_model_no and v.chunk_no = any (p_chunks);
  end if;
  v_centre := (select public.avg(u.vector)
                 from unnest(v_chunks, v_vectors) u(chunk_no, vector)
                where u.chunk_no = any (p_seeds));
  if v_centre is null then
    return p_cosines;
  end if;
  v_length := sqrt(1 + c_weight ^ 2
                   + 2 * c_weight * (1 - (p_embedding operator(public.<=>) v_centre)));
  return array(
    select (c.cosine + c_weight * (1 - (v.vector operator(public.<=>) v_centre))) / v_length
      from unnest(p_chunks, p_cosines) with ordinality c(chunk_no, cosine, ordinal)
      left join unnest(v_chunks, v_vectors) v(chunk_no, vector) on v.chunk_no = c.chunk_no
     order by c.ordinal);
end;
$$;

comment on function ragdb_data._moved_cosines(
  int4, int4, int4, public.halfvec, int8[], float8[], int8[]) is
$$Cosines of chunks with a query's vector that is moved towards those of p_seeds, the best of them.

p_cosines: those with the vector as it is. p_model_no: as _search_model() says.
A chunk without a vector keeps none. Constants: on a plateau; they gain .003 and .007 nDCG@10 on
the two halves of the queries of eight collections.$$;
