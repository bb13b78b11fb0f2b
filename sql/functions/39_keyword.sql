-- The keyword leg: what each word of a query is worth, and the chunks that have it, by exact BM25.
--
-- Chunks of the tail are scored by their postings, sealed ones by their stems; which of those is
-- for 39_sealed_search.sql to say. Sums of idf come along: they limit what the rerank can add.

create or replace function ragdb_data._weigh_words(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_term_weights float8[], p_n float8,
  p_dead int8[], p_sealed_terms int4[], p_sealed_dfs float8[],
  out terms int4[], out idfs float8[], out weights float8[], out priors float8[],
  out idf_total float8, out prior_total float8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  c_prior constant float8 := 1000;
  v_all boolean := p_dead = '{}';
begin
  -- By term, and so are the sums of scores: to the last bit equal chunks score the same.
  select array_agg(w.term), array_agg(w.idf), array_agg(w.frequency * w.idf),
         array_agg(least(w.frequency, 1) * w.prior_idf),
         sum(w.idf) filter (where w.frequency >= 1),
         sum(w.prior_idf) filter (where w.frequency >= 1)
    into terms, idfs, weights, priors, idf_total, prior_total
    from (select f.term, f.frequency,
                 ln(1 + (p_n - f.df + 0.5::float8) / (f.df + 0.5::float8)) as idf,
                 ln(1 + (p_n + c_prior - f.df + 0.5::float8) / (f.df + 0.5::float8)) as prior_idf
            from (select u.term, u.frequency,
                         coalesce(p_sealed_dfs[array_position(p_sealed_terms, u.term)], 0)
                         + (select count(*)
                              from ragdb_data.posting p
                             where p.org_no = p_org_no
                               and p.term = u.term
                               and p.scope_no = any (p_scopes)
                               and (v_all or p.chunk_no not in (select unnest(p_dead)))) as df
                    from (select t.term, sum(coalesce(t.weight, 1)) as frequency
                            from unnest(p_terms, p_term_weights) t(term, weight)
                           where t.term <> 0
                           group by t.term
                           order by t.term) u
                  offset 0) f) w;
end;
$$;

comment on function ragdb_data._weigh_words(
  int4, int4[], int4[], float8[], float8, int8[], int4[], float8[]) is
$$What each word of a query is worth: its idf, that times how often the query has it, and the same
among 1,000 more chunks without it.

p_terms, p_term_weights: as of _fuse(). The totals leave out synonyms.$$;

create or replace function ragdb_data._score_words(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_idfs float8[], p_weights float8[],
  p_priors float8[], p_length float8, p_dead int8[], p_chunks int8[], p_sealed int8[],
  p_wanted int8[], p_depth int4,
  out chunk_nos int8[], out scores float8[], out idf_sums float8[], out idf_maxima float8[],
  out prior float8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_sort = off  -- sums by chunk go over the words in their order
  set jit = off
as $$
#variable_conflict use_column
declare
  c_slope constant float8 := 0.9::float8 / p_length;
  v_stems public.sparsevec[];
  v_priors float8[];
  v_all boolean := p_dead = '{}' and p_sealed is null and p_chunks is null;
begin
  if cardinality(p_sealed) > 0 then
    -- The inner product with a stem is its frequency in a chunk; pgvector's is negative.
    v_stems := array(select ('{' || t || ':1}/536870912')::public.sparsevec
                       from unnest(p_terms) with ordinality u(t, n) order by n);
    select array_agg(s.chunk_no), array_agg(s.score), array_agg(s.idf_sum),
           array_agg(s.idf_maximum), array_agg(s.prior)
      into chunk_nos, scores, idf_sums, idf_maxima, v_priors
      from (select t.chunk_no, sum(t.weight * t.part) as score, sum(t.prior * t.part) as prior,
                   sum(t.idf) as idf_sum, max(t.idf) as idf_maximum
              from (select w.chunk_no, w.weight, w.prior, w.idf,
                           2.2::float8 * w.tf / (w.tf + 0.3::float8 + c_slope * w.length) as part
                      from (select d.chunk_no, d.length, q.weight, q.prior, q.idf,
                                   -(d.stems operator(public.<#>) q.stem) as tf
                              from (select c.chunk_no, c.stems, c.length
                                      from ragdb_data.chunk_word c
                                     where c.org_no = p_org_no and c.chunk_no = any (p_sealed)
                                    offset 0) d
                             cross join unnest(p_weights, p_priors, p_idfs, v_stems)
                                        q(weight, prior, idf, stem)
                            offset 0) w
                     where w.tf > 0) t
             group by t.chunk_no) s;
  end if;

  with tail as materialized (
    select h.chunk_no, sum(w.weight * h.part) as score, sum(w.idf) as idf_sum,
           max(w.idf) as idf_maximum, sum(w.prior * h.part) as prior
      from unnest(p_terms, p_weights, p_priors, p_idfs) w(term, weight, prior, idf)
     cross join lateral (
       select p.chunk_no,
              2.2::float8 * p.tf / (p.tf + 0.3::float8 + c_slope * p.length) as part
         from ragdb_data.posting p
        where p.org_no = p_org_no
          and p.term = w.term
          and p.scope_no = any (p_scopes)
          and (v_all
               or p.chunk_no not in (select unnest(p_dead))
                  and p.chunk_no not in (select unnest(p_sealed))
                  and (p_chunks is null or p.chunk_no in (select unnest(p_chunks))))
       offset 0) h
     group by h.chunk_no
    union all
    select s.*
      from unnest(chunk_nos, scores, idf_sums, idf_maxima, v_priors)
           s(chunk_no, score, idf_sum, idf_maximum, prior)),
  best as materialized (
    select t.* from tail t order by t.score desc, t.chunk_no limit p_depth)
  select array_agg(u.chunk_no), array_agg(u.score), array_agg(u.idf_sum),
         array_agg(u.idf_maximum), (select max(t.prior) from tail t)
    into chunk_nos, scores, idf_sums, idf_maxima, prior
    from (select b.* from best b
          union all
          select t.*
            from tail t
           where t.chunk_no in (select unnest(p_wanted))
             and t.chunk_no not in (select b.chunk_no from best b)) u;
end;
$$;

comment on function ragdb_data._score_words(
  int4, int4[], int4[], float8[], float8[], float8[], float8, int8[], int8[], int8[], int8[],
  int4) is
$$The keyword leg: the p_depth best chunks, best first, and after them those of p_wanted that have a
word of the query; with the sum and the greatest of their words' idf.

p_chunks: the only chunks of the tail to return, or null. p_sealed: those to score by their stems
and not by postings. prior: the greatest score among 1,000 more chunks.$$;
