-- Segments behind a filter, and how often words occur in them.
--
-- Of thousands of chunks that a filter let through each one's sum is looked up at its place; taking
-- the best out of the sums costs less than masking all others would. Of tens of thousands the best
-- of all are asked for instead, and more of them, until enough are among those.

create or replace function ragdb_data._sealed_among(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_chunks int8[], p_limit int4,
  out chunk_nos int8[], out terms int4[], out dfs float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashagg = off  -- by segment the sum stays in the processor's cache
  set enable_nestloop = off  -- a list is taken for ten rows
  set jit = off
as $$
#variable_conflict use_column
declare
  c_deeper constant int4 := 8;  -- as of _sealed_candidates()
  v_scores float4[];
begin
  with posting as materialized (
    select l.segment_no, l.impacts
      from unnest(p_terms) t(term)
     cross join lateral (
       select p.segment_no, p.impacts
         from ragdb_data.segment_posting p
        where p.org_no = p_org_no
          and p.term = t.term
          and p.scope_no = any (p_scopes)
       offset 0) l),
  place as materialized (
    select s.chunk_no, (s.slot_no / 4096)::int4 as segment_no,
           (s.slot_no % 4096)::int4 + 1 as position
      from ragdb_data.slot s
     where s.org_no = p_org_no and s.chunk_no = any (p_chunks)),
  total as materialized (
    select g.segment_no, public.sum(g.impacts::public.vector) as sums
      from posting g
     where g.segment_no in (select p.segment_no from place p)
     group by g.segment_no)
  select array_agg(b.chunk_no order by b.score desc), array_agg(b.score order by b.score desc)
    into chunk_nos, v_scores
    from (-- The one element of a vector is its length.
          select p.chunk_no,
                 public.vector_norm(public.subvector(t.sums, p.position, 1))::float4 as score
            from place p
            join total t on t.segment_no = p.segment_no
           order by score desc
           limit c_deeper * p_limit) b
   where b.score > 0;
  chunk_nos := array(
    select u.chunk_no
      from unnest(chunk_nos, v_scores) with ordinality u(chunk_no, score, ordinal)
     where u.ordinal <= p_limit or u.score >= ragdb_data._blur_bound(v_scores, p_limit));
  select f.terms, f.dfs into terms, dfs
    from ragdb_data._sealed_frequencies(p_org_no, p_scopes, p_terms) f;
end;
$$;

comment on function ragdb_data._sealed_among(int4, int4[], int4[], int8[], int4) is
$$The p_limit best of p_chunks by the scores of their sealing, more where these lie close together,
and how many sealed chunks have each of the terms, of those that live.$$;

create or replace function ragdb_data._sealed_frequencies(
  p_org_no int4, p_scopes int4[], p_terms int4[], out terms int4[], out dfs float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  select array_agg(u.term), array_agg(u.df)
    into terms, dfs
    from (select x.term, sum(x.df)::float8 as df
            from (select g.term, g.df::int4 as df
                    from ragdb_data.segment_posting g
                   where g.org_no = p_org_no
                     and g.term = any (p_terms)
                     and g.scope_no = any (p_scopes)
                  union all
                  select t.term, -1
                    from ragdb_data.dead_chunk d
                   cross join lateral unnest(d.terms) t(term)
                   where d.org_no = p_org_no
                     and d.scope_no = any (p_scopes)
                     and d.slot_no is not null
                     and t.term = any (p_terms)) x
           group by x.term) u;
end;
$$;

comment on function ragdb_data._sealed_frequencies(int4, int4[], int4[]) is
$$In how many sealed chunks that are not deleted each term is.$$;

-- Its result has changed.
drop function if exists ragdb_data._sealed_within(int4, int4[], int4[], int8[], int4);

create or replace function ragdb_data._sealed_within(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_bodies int8[], p_limit int4,
  out chunk_nos int8[], out terms int4[], out dfs float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_asked int4 := 3 * p_limit;
  v_chunks int8[];
begin
  loop
    select s.chunk_nos, s.terms, s.dfs into v_chunks, terms, dfs
      from ragdb_data._sealed_candidates(p_org_no, p_scopes, p_terms, v_asked) s;
    chunk_nos := array(select c.chunk_no
                         from ragdb_data.chunk c
                        where c.org_no = p_org_no
                          and c.chunk_no = any (v_chunks)
                          and c.body_no in (select unnest(p_bodies)));
    exit when cardinality(chunk_nos) >= p_limit or cardinality(v_chunks) < v_asked;
    v_asked := v_asked * least(
      greatest(4, 1.5::float8 * p_limit / greatest(cardinality(chunk_nos), 1)), 64);
  end loop;
end;
$$;

comment on function ragdb_data._sealed_within(int4, int4[], int4[], int8[], int4) is
$$The p_limit best sealed chunks of many bodies, and some more: the best of all, and more and more
of them until enough are of these bodies; and in how many sealed chunks each of the terms is. A mask
of tens of thousands of chunks took 40 times as long.$$;
