-- The ranking's arithmetic: the keyword leg, its fusion with the vector leg by score, the rerank.
--
--   lexical   exact BM25 (Robertson and Zaragoza 2009, k1 1.2, b .75) with N, document frequency
--             and average length of the scopes searched; a title's words count three times
--   cosine    of the query's vector and the chunk's
--   base      lexical / greatest lexical + vector weight * cosine, over the best 100 of each leg,
--             each completed with the other leg's score
--   score     of the best 50: base + phrase weight * phrase + sentence weight * sentence
--             phrase: idf of neighbouring query words that are neighbours in the chunk, per
--             greatest lexical
--             sentence: the best sentence's share of the query's idf

create or replace function ragdb_data._fuse(
  p_org_no int4, p_scopes int4[], p_mode text, p_terms int4[],
  p_n float8, p_length float8, p_dead int8[], p_chunks int8[],
  p_sealed_terms int4[], p_sealed_dfs float8[], p_sealed_chunks int8[],
  p_embedding public.halfvec, p_vector_chunks int8[], p_cosines float8[],
  p_vector_weight float8, p_phrase_weight float8, p_sentence_weight float8,
  p_limit int4, p_offset int4, p_term_weights float8[] default null,
  p_model_no int4 default null)
  returns table (
    rank int4, chunk_no int8, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8, confidence float8)
  language plpgsql
  stable
  rows 10
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_nestloop = off
  set jit = off
as $$
#variable_conflict use_column
declare
  c_prior constant float8 := 1000;
  v_distinct int4[];
  v_frequencies float8[];
  v_depth int4 := greatest(100, p_limit + p_offset);
  v_rerank int4 := greatest(50, p_limit + p_offset);
  v_rescored int8[] := case when p_sealed_chunks is not null
                         then array(select unnest(p_sealed_chunks)
                                    union
                                    select unnest(p_vector_chunks)) end;
  v_version int4 := ragdb_data._embedding_version();
  v_table_scale float8 := ragdb_data._table_scale(p_org_no);
  v_confidence float8[] := ragdb_data._confidence(p_org_no, p_model_no, v_version);
begin
  select array_agg(u.term), array_agg(u.frequency)
    into v_distinct, v_frequencies
    from (select t.term, sum(coalesce(t.weight, 1)) as frequency
            from unnest(p_terms, p_term_weights) t(term, weight)
           where t.term <> 0
           group by t.term) u;

  return query
  with hit as materialized (
    select p.chunk_no, p.term, p.tf, p.length
      from ragdb_data.posting p
     where p.org_no = p_org_no
       and p.term = any (v_distinct)
       and p.scope_no = any (p_scopes)
       and p.chunk_no not in (select unnest(p_dead))),
  frequency as (
    select u.term, sum(u.df)::float8 as df
      from (select h.term, count(*) as df from hit h group by h.term
            union all
            select d.term, d.df from unnest(p_sealed_terms, p_sealed_dfs) d(term, df)) u
     group by u.term),
  -- stem: the inner product with it is the stem's frequency in a chunk; pgvector's is negative. By
  -- term, and so are the sums: to the last bit equal chunks score the same, sealed or not.
  weight as materialized (
    select u.term, u.frequency,
           ln(1 + (p_n - coalesce(f.df, 0) + 0.5::float8)
                  / (coalesce(f.df, 0) + 0.5::float8)) as idf,
           ln(1 + (p_n + c_prior - coalesce(f.df, 0) + 0.5::float8)
                  / (coalesce(f.df, 0) + 0.5::float8)) as prior_idf,
           ('{' || u.term || ':1}/536870912')::public.sparsevec as stem
      from unnest(v_distinct, v_frequencies) u(term, frequency)
      left join frequency f on f.term = u.term
     order by u.term),
  tail as materialized (
    select h.chunk_no,
           sum(w.frequency * w.idf * 2.2::float8 * h.tf
               / (h.tf + 0.3::float8 + 0.9::float8 / p_length * h.length)
               order by h.term) as score,
           sum(least(w.frequency, 1) * w.prior_idf * 2.2::float8 * h.tf
               / (h.tf + 0.3::float8 + 0.9::float8 / p_length * h.length)
               order by h.term) as prior_score
      from hit h
      join weight w on w.term = h.term
     where p_chunks is null or h.chunk_no in (select unnest(p_chunks))
     group by h.chunk_no),
  -- Of the sealed chunks the best are known by the scores of their sealing: score those, and what
  -- the vector leg found, anew.
  sealed as materialized (
    select d.chunk_no, l.score, l.prior_score
      from ragdb_data.chunk_word d
     cross join lateral (
       select sum(w.frequency * w.idf * 2.2::float8 * w.tf
                  / (w.tf + 0.3::float8 + 0.9::float8 / p_length * d.length)) as score,
              sum(least(w.frequency, 1) * w.prior_idf * 2.2::float8 * w.tf
                  / (w.tf + 0.3::float8 + 0.9::float8 / p_length * d.length)) as prior_score
         from (select w.frequency, w.idf, w.prior_idf,
                      -(d.stems operator(public.<#>) w.stem) as tf
                 from weight w
               offset 0) w
        where w.tf > 0) l
     where d.org_no = p_org_no
       and d.chunk_no = any (v_rescored)
       and l.score is not null),
  keyword as materialized (
    select * from sealed
    union all
    select * from tail t where t.chunk_no not in (select s.chunk_no from sealed s)),
  vector as (
    select u.chunk_no, u.cosine, u.rank
      from unnest(p_vector_chunks, p_cosines) with ordinality u(chunk_no, cosine, rank)),
  -- A full join cannot become a nested loop, whatever the planner thinks of the sizes.
  joined as materialized (
    select coalesce(k.chunk_no, v.chunk_no) as chunk_no, k.score as lexical,
           v.cosine, v.rank as vector_rank
      from keyword k
      full join vector v on v.chunk_no = k.chunk_no),
  candidate as materialized (
    (select j.* from joined j order by j.lexical desc nulls last, j.chunk_no limit v_depth)
    union
    select j.* from joined j where j.vector_rank is not null),
  total as materialized (
    select coalesce((select max(k.score) from keyword k), 0) as lexical,
           (select sum(w.idf) from weight w where w.frequency >= 1) as idf,
           coalesce((select max(k.prior_score) from keyword k)
                    / (select sum(w.prior_idf) from weight w where w.frequency >= 1), 0)
             as likeness,
           coalesce(p_cosines[1], 0) as cosine),
  completed as (
    select c.chunk_no, c.lexical, c.vector_rank,
           case when c.lexical is not null
             then row_number() over (order by c.lexical desc nulls last, c.chunk_no)
           end as lexical_rank,
           coalesce(c.cosine, e.cosine) as cosine
      from candidate c
      left join (
        select v.chunk_no,
               (1 - (v.embedding operator(public.<=>) p_embedding))
               * case v.model_no when 0 then v_table_scale else 1 end as cosine
          from ragdb_data.chunk_vector v
         where p_mode = 'hybrid'
           and p_model_no is null
           and v.org_no = p_org_no
           and v.version = v_version
           and v.chunk_no = any (array(select c.chunk_no from candidate c where c.cosine is null))
        union all
        select v.chunk_no, 1 - (v.embedding operator(public.<=>) p_embedding)
          from ragdb_data.model_vector v
         where p_mode = 'hybrid'
           and v.org_no = p_org_no
           and v.model_no = p_model_no
           and v.chunk_no = any (array(select c.chunk_no from candidate c where c.cosine is null))
        offset 0) e on e.chunk_no = c.chunk_no),
  base as materialized (
    select c.chunk_no, c.lexical, c.cosine, c.vector_rank,
           case when c.lexical_rank <= v_depth then c.lexical_rank end as lexical_rank,
           case p_mode
             when 'keyword' then c.lexical
             when 'vector' then c.cosine
             else coalesce(c.lexical / nullif(t.lexical, 0), 0)
                  + p_vector_weight * coalesce(c.cosine, 0)
           end as score
      from completed c
     cross join total t
     order by score desc, c.chunk_no
     limit v_rerank),
  -- Where the query's words are; a sentence is numbered by the ends of sentences before it. The
  -- concatenation and the offsets unpack a long array once, not for each word.
  word as materialized (
    select k.chunk_no, q.term, q.idf, width_bucket(p.position, k.ends) as sentence,
           k.terms[p.position + 1] as next_term
      from (select k.chunk_no, k.terms, k.stems, array_positions(k.terms, 0) as ends
              from (select c.chunk_no, c.terms || '{}'::int4[] as terms, c.stems
                      from ragdb_data.chunk_word c
                     where p_mode = 'hybrid'
                       and c.org_no = p_org_no
                       and c.chunk_no = any (array(select b.chunk_no from base b))
                    offset 0) k
            offset 0) k
      join weight q on k.stems operator(public.<#>) q.stem < 0
     cross join lateral unnest(array_positions(k.terms, q.term)) p(position)),
  sentence as (
    select s.chunk_no, max(s.idf) as idf
      from (select d.chunk_no, sum(d.idf) as idf
              from (select distinct w.chunk_no, w.sentence, w.idf, w.term from word w) d
             group by d.chunk_no, d.sentence) s
     group by s.chunk_no),
  pair as materialized (
    select distinct a.term, b.term as next_term,
           least(wa.idf + wb.idf, ln(1 + (p_n + 0.5::float8) / 0.5::float8)) as idf
      from unnest(p_terms) with ordinality a(term, position)
      join unnest(p_terms) with ordinality b(term, position) on b.position = a.position + 1
                                                            and b.term <> a.term
      join weight wa on wa.term = a.term
      join weight wb on wb.term = b.term),
  phrase as (
    select d.chunk_no, sum(d.idf) as idf
      from (select distinct w.chunk_no, p.term, p.next_term, p.idf
              from word w
              join pair p on p.term = w.term and p.next_term = w.next_term) d
     group by d.chunk_no),
  final as (
    select b.*,
           coalesce(p.idf / nullif(t.lexical, 0), 0) as phrase,
           least(coalesce(s.idf / nullif(t.idf, 0), 0), 1) as sentence,
           1 / (1 + exp(-(v_confidence[1] * t.likeness
                          + v_confidence[2] * t.cosine
                          + v_confidence[3]))) as confidence
      from base b
     cross join total t
      left join sentence s on s.chunk_no = b.chunk_no
      left join phrase p on p.chunk_no = b.chunk_no),
  ranked as (
    select f.*,
           case when p_mode = 'hybrid'
             then f.score + p_phrase_weight * f.phrase + p_sentence_weight * f.sentence
             else f.score end as final_score
      from final f)
  select (row_number() over (order by r.final_score desc, r.chunk_no))::int4,
         r.chunk_no, r.final_score,
         r.lexical, r.lexical_rank::int4, r.cosine, r.vector_rank::int4,
         r.phrase, r.sentence, r.confidence
    from ranked r
   order by r.final_score desc, r.chunk_no
  offset p_offset
   limit p_limit;
end;
$$;

comment on function ragdb_data._fuse(
  int4, int4[], text, int4[], float8, float8, int8[], int8[], int4[], float8[], int8[],
  public.halfvec, int8[], float8[], float8, float8, float8, int4, int4, float8[], int4) is
$$The keyword leg, the fusion with the vector leg's result, and the rerank.

p_terms: the query's stems in order, and synonyms of theirs after a 0 each. p_term_weights: what
each counts, below 1 for a synonym; null when all count 1.
p_n, p_length: chunks in scope and their average length.
p_dead: chunks to count nowhere. p_chunks: the only ones to return, or null. p_sealed_terms,
p_sealed_dfs, p_sealed_chunks: document frequencies and candidates from the segments, null without
any. p_model_no: the model that
p_embedding is of, null for the table. confidence reckons with 1,000 further chunks that have no word of the query: else, in a handful
of documents, one word they lack would outweigh all they have. Everything is found by key, whatever
the planner thinks of the tables' sizes, so one plan serves tenants of every size and planning is
paid once a session.$$;
