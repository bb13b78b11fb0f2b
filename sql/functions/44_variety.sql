-- Variety among results: which are copies of others, and an order in which they are unlike.

create or replace function ragdb_data._is_copy(
  p_org_no int4, p_chunk_no int8, p_chunk_nos int8[])
  returns boolean
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_near int8[] := array(
    select b.chunk_no
      from (select a.embedding, a.version
              from ragdb_data.chunk_vector a
             where a.org_no = p_org_no and a.chunk_no = p_chunk_no
            offset 0) a
      join ragdb_data.chunk_vector b
        on b.org_no = p_org_no
       and b.version = a.version
       and b.chunk_no = any (p_chunk_nos)
       and (a.embedding operator(public.<=>) b.embedding) < 0.1::float8);
begin
  return v_near <> '{}' and exists (
    select
      from ragdb_data.chunk_word w
      join ragdb_data.chunk_word v on v.org_no = p_org_no and v.chunk_no = any (v_near)
     where w.org_no = p_org_no
       and w.chunk_no = p_chunk_no
       and (select 10 * count(*) filter (where s.n = 2) >= 9 * count(*)
              from (select count(*) as n
                      from (select distinct 1, t
                              from unnest(w.terms[array_position(w.terms, 0) :]) t
                            union all
                            select distinct 2, t
                              from unnest(v.terms[array_position(v.terms, 0) :]) t) u(side, term)
                     group by u.term) s));
end;
$$;

comment on function ragdb_data._is_copy(int4, int8, int8[]) is
$$Whether nine tenths of the stems of a chunk's content and of one of the others' are the same.$$;

create or replace function ragdb_data._diversify(
  p_org_no int4, p_chunks int8[], p_scores float8[], p_diversity float8)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_left int8[] := p_chunks;
  v_relevance float8[] := array(select s / greatest(p_scores[1], 0.001::float8)
                                  from unnest(p_scores) with ordinality u(s, n) order by n);
  v_likeness float8[] := array_fill(0::float8, array[cardinality(p_chunks)]);
  v_chosen int8[] := '{}';
  v_version constant int4 := ragdb_data._embedding_version();
  v_best int8;
begin
  while cardinality(v_left) > 0 loop
    select u.chunk_no into v_best
      from unnest(v_left, v_relevance, v_likeness)
           with ordinality u(chunk_no, relevance, likeness, ordinal)
     order by (1 - p_diversity) * u.relevance - p_diversity * u.likeness desc, u.ordinal
     limit 1;
    v_chosen := v_chosen || v_best;
    select array_agg(u.chunk_no order by u.ordinal), array_agg(u.relevance order by u.ordinal),
           array_agg(greatest(u.likeness, coalesce(1 - (v.embedding operator(public.<=>)
                                                        c.embedding), 0)) order by u.ordinal)
      into v_left, v_relevance, v_likeness
      from unnest(v_left, v_relevance, v_likeness)
           with ordinality u(chunk_no, relevance, likeness, ordinal)
      left join ragdb_data.chunk_vector v on v.org_no = p_org_no
                                         and v.version = v_version
                                         and v.chunk_no = u.chunk_no
      left join ragdb_data.chunk_vector c on c.org_no = p_org_no
                                         and c.version = v_version
                                         and c.chunk_no = v_best
     where u.chunk_no <> v_best;
  end loop;
  return v_chosen;
end;
$$;

comment on function ragdb_data._diversify(int4, int8[], float8[], float8) is
$$Chunks, best first, in the order of maximal marginal relevance.$$;
