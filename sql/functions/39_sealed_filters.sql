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
  -- As in _sealed_candidates().
  c_page constant int4 := 1 + p_limit / 12;
  c_blur constant float8 := 0.97;
  c_deeper constant int4 := 8;
begin
  with g as materialized (
    select l.segment_no, t.term, l.impacts,
           case when t.ordinal = array_position(p_terms, t.term) then l.df else 0 end as df
      from unnest(p_terms) with ordinality t(term, ordinal)
     cross join lateral (
       select p.segment_no, p.df, p.impacts
         from ragdb_data.segment_posting p
        where p.org_no = p_org_no
          and p.term = t.term
          and p.scope_no = any (p_scopes)
       offset 0) l),
  frequency as (
    select g.term, sum(g.df)::float8 as df from g group by g.term),
  place as materialized (
    select s.chunk_no, (s.slot_no / 4096)::int4 as segment_no,
           (s.slot_no % 4096)::int4 + 1 as position
      from ragdb_data.slot s
     where s.org_no = p_org_no and s.chunk_no = any (p_chunks)),
  total as materialized (
    select g.segment_no, public.sum(g.impacts::public.vector) as sums
      from g
     where g.segment_no in (select p.segment_no from place p)
     group by g.segment_no),
  best as materialized (
    select x.chunk_no, x.score, row_number() over (order by x.score desc) as rank
      from (-- The one element of a vector is its length.
            select p.chunk_no, public.vector_norm(public.subvector(t.sums, p.position, 1)) as score
              from place p
              join total t on t.segment_no = p.segment_no
             order by score desc
             limit c_deeper * p_limit) x)
  select array(select b.chunk_no
                 from best b
                where b.score > 0
                  and (b.rank <= p_limit
                       or b.score >= c_blur * (select o.score from best o where o.rank = c_page))),
         f.terms, f.dfs
    into chunk_nos, terms, dfs
    from (select array_agg(y.term) as terms, array_agg(y.df) as dfs from frequency y) f;
end;
$$;

comment on function ragdb_data._sealed_among(int4, int4[], int4[], int8[], int4) is
$$The p_limit best of p_chunks by the scores of their sealing, more where these lie close together,
and how many sealed chunks have each of the terms, dead ones too.$$;

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
      from ragdb_data._sealed_candidates(p_org_no, p_scopes, p_terms, null, v_asked) s;
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
