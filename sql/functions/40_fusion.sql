-- The ranking's arithmetic: the keyword leg, its fusion with the vector leg by score, the rerank.
--
--   lexical   exact BM25 (Robertson and Zaragoza 2009, k1 1.2, b .75) with N, document frequency
--             and average length of the scopes searched; a title's words count three times
--   cosine    of the query's vector and the chunk's; of the best 50, at last, of one that is moved
--             towards the two best of them: see 40_feedback.sql
--   base      lexical / greatest lexical + vector weight * cosine, over the best 100 of each leg,
--             each completed with the other leg's score
--   score     of the best 50: base + phrase weight * phrase + sentence weight * sentence
--             phrase: idf of neighbouring query words that are neighbours in the chunk, per
--             greatest lexical
--             sentence: the best sentence's share of the query's idf
--
-- Small statements and arrays between them: one statement for all of it takes longer to start than
-- most searches to run. Everything is found by key, whatever the planner thinks of the tables'
-- sizes, so one plan serves tenants of every size and planning is paid once a session.

create or replace function ragdb_data._rerank(
  p_org_no int4, p_terms int4[], p_stems int4[], p_idfs float8[], p_idf_total float8, p_n float8,
  p_chunks int8[], p_scores float8[], p_idf_sums float8[], p_idf_maxima float8[], p_depth int4,
  p_vector_chunks int8[], p_cosines float8[], p_vector_depth int4,
  p_vector_weight float8, p_phrase_weight float8, p_sentence_weight float8,
  p_limit int4, p_offset int4)
  returns table (
    rank int4, chunk_no int8, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8)
  language plpgsql
  stable
  rows 10
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_mergejoin = off
  set jit = off
as $$
#variable_conflict use_column
declare
  c_rerank constant int4 := greatest(50, p_limit + p_offset);
  c_greatest constant float8 := nullif(p_scores[1], 0);
  c_most constant float8 := ln(1 + (p_n + 0.5::float8) / 0.5::float8);
  v_base record;
  v_sparse public.sparsevec[];
  v_pair int8;
  v_pairs int8[] := '{}';
  v_pair_idfs float8[] := '{}';
  v_pair_total float8 := 0;
  v_idf float8;
begin
  for i in 2 .. coalesce(cardinality(p_terms), 0) loop
    continue when p_terms[i - 1] = p_terms[i] or p_terms[i - 1] = 0 or p_terms[i] = 0;
    v_pair := p_terms[i - 1]::int8 << 32 | p_terms[i];
    continue when v_pair = any (v_pairs);
    v_idf := least(p_idfs[array_position(p_stems, p_terms[i - 1])]
                   + p_idfs[array_position(p_stems, p_terms[i])], c_most);
    v_pairs := v_pairs || v_pair;
    v_pair_idfs := v_pair_idfs || v_idf;
    v_pair_total := v_pair_total + v_idf;
  end loop;
  v_sparse := array(select ('{' || t || ':1}/536870912')::public.sparsevec
                      from unnest(p_stems) with ordinality u(t, n) order by n);

  select array_agg(c.chunk_no order by c.base desc, c.chunk_no) as chunk_nos,
         array_agg(c.lexical order by c.base desc, c.chunk_no) as lexicals,
         array_agg(c.lexical_rank order by c.base desc, c.chunk_no) as lexical_ranks,
         array_agg(c.cosine order by c.base desc, c.chunk_no) as cosines,
         array_agg(c.vector_rank order by c.base desc, c.chunk_no) as vector_ranks,
         array_agg(c.idf_sum order by c.base desc, c.chunk_no) as idf_sums,
         array_agg(c.idf_maximum order by c.base desc, c.chunk_no) as idf_maxima
    into v_base
    from (select coalesce(l.chunk_no, v.chunk_no) as chunk_no, l.score as lexical,
                 case when l.rank <= p_depth then l.rank end as lexical_rank, v.cosine,
                 case when v.rank <= p_vector_depth then v.rank end as vector_rank,
                 l.idf_sum, l.idf_maximum,
                 coalesce(l.score / c_greatest, 0)
                 + p_vector_weight * coalesce(v.cosine, 0) as base
            from unnest(p_chunks, p_scores, p_idf_sums, p_idf_maxima)
                 with ordinality l(chunk_no, score, idf_sum, idf_maximum, rank)
            full join unnest(p_vector_chunks, p_cosines)
                      with ordinality v(chunk_no, cosine, rank) on v.chunk_no = l.chunk_no
           where l.rank <= p_depth or v.rank <= p_vector_depth
           order by base desc, 1
           limit c_rerank) c;

  return query
  with base as materialized (
    select c.*,
           -- Without reading the chunk: what it gets at least, and at most.
           c.base + p_sentence_weight * least(coalesce(c.idf_maximum / p_idf_total, 0), 1) as least,
           c.base + p_sentence_weight * least(coalesce(c.idf_sum / p_idf_total, 0), 1)
                  + p_phrase_weight * coalesce(v_pair_total / c_greatest, 0) as most
      from (select u.*, coalesce(u.lexical / c_greatest, 0)
                        + p_vector_weight * coalesce(u.cosine, 0) as base
              from unnest(v_base.chunk_nos, v_base.lexicals, v_base.lexical_ranks, v_base.cosines,
                          v_base.vector_ranks, v_base.idf_sums, v_base.idf_maxima)
                   u(chunk_no, lexical, lexical_rank, cosine, vector_rank, idf_sum, idf_maximum)
            offset 0) c),
  -- Where the query's words are; a sentence is numbered by the ends of sentences before it. The
  -- concatenation and the offsets unpack a long array once, not for each word.
  word as materialized (
    select k.chunk_no, q.term, q.idf, width_bucket(p.position, k.ends) as sentence,
           array_position(v_pairs, q.term::int8 << 32 | k.terms[p.position + 1]) as pair
      from (select k.chunk_no, k.terms, k.stems, array_positions(k.terms, 0) as ends
              from (select c.chunk_no, c.terms || '{}'::int4[] as terms, c.stems
                      from ragdb_data.chunk_word c
                     where c.org_no = p_org_no
                       and c.chunk_no = any (array(
                             select b.chunk_no
                               from base b
                              where b.idf_sum > b.idf_maximum
                                and b.most + 1e-9::float8 >= coalesce((
                                      select o.least
                                        from base o
                                       order by o.least desc
                                      offset p_limit + p_offset - 1
                                       limit 1), '-infinity')))
                    offset 0) k
            offset 0) k
      join unnest(p_stems, p_idfs, v_sparse) q(term, idf, stem)
        on k.stems operator(public.<#>) q.stem < 0
     cross join lateral unnest(array_positions(k.terms, q.term)) p(position)),
  sentence as (
    select s.chunk_no, max(s.idf) as idf
      from (select d.chunk_no, sum(d.idf) as idf
              from (select distinct w.chunk_no, w.sentence, w.idf, w.term from word w) d
             group by d.chunk_no, d.sentence) s
     group by s.chunk_no),
  phrase as (
    select d.chunk_no, sum(v_pair_idfs[d.pair]) as idf
      from (select distinct w.chunk_no, w.pair from word w where w.pair is not null) d
     group by d.chunk_no),
  ranked as (
    select b.*, coalesce(p.idf / c_greatest, 0) as phrase,
           least(coalesce(coalesce(s.idf, b.idf_maximum) / nullif(p_idf_total, 0), 0), 1)
             as sentence
      from base b
      left join sentence s on s.chunk_no = b.chunk_no
      left join phrase p on p.chunk_no = b.chunk_no),
  final as (
    select r.*,
           r.base + p_phrase_weight * r.phrase + p_sentence_weight * r.sentence as score
      from ranked r)
  select (row_number() over (order by f.score desc, f.chunk_no))::int4, f.chunk_no, f.score,
         f.lexical, f.lexical_rank::int4, f.cosine, f.vector_rank::int4, f.phrase, f.sentence
    from final f
   order by f.score desc, f.chunk_no
  offset p_offset
   limit p_limit;
end;
$$;

comment on function ragdb_data._rerank(
  int4, int4[], int4[], float8[], float8, float8, int8[], float8[], float8[], float8[], int4,
  int8[], float8[], int4, float8, float8, float8, int4, int4) is
$$The best of both legs by the sum of their scores, and these by phrases and sentences as well.

p_terms: the query's stems in order; p_stems: each once, with p_idfs. p_chunks to p_idf_maxima: what
_score_words() found, the first p_depth of it as candidates, the rest with its scores alone; so with
p_vector_chunks and p_vector_depth. Of the best 50 only those are read that can be among the
results: what phrases and sentences add to a score has a limit that the words' idf gives away.$$;

create or replace function ragdb_data._fuse(
  p_org_no int4, p_scopes int4[], p_mode text, p_terms int4[],
  p_n float8, p_length float8, p_dead int8[], p_chunks int8[],
  p_sealed_terms int4[], p_sealed_dfs float8[], p_sealed_chunks int8[],
  p_embedding public.halfvec, p_version int4, p_vector_chunks int8[], p_cosines float8[],
  p_has_all_vectors boolean,
  p_vector_weight float8, p_phrase_weight float8, p_sentence_weight float8,
  p_limit int4, p_offset int4, p_term_weights float8[] default null,
  p_has_models boolean default false, p_model_no int4 default null)
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
as $$
#variable_conflict use_column
declare
  v_depth int4 := greatest(100, p_limit + p_offset);
  v_vector_depth int4 := least(v_depth, coalesce(cardinality(p_vector_chunks), 0));
  v_words record;
  v_found record;
  v_chunks int8[] := p_vector_chunks;
  v_cosines float8[] := p_cosines;
  v_missing int8[];
  v_others int8[];
  v_other_cosines float8[];
  v_likeness float8 := 0;
  v_table_scale float8 := 1;
  v_constants float8[];
  v_confidence float8;
begin
  if p_mode <> 'vector' then
    v_words := ragdb_data._weigh_words(
      p_org_no, p_scopes, p_terms, p_term_weights, p_n, p_dead, p_sealed_terms, p_sealed_dfs);
    v_found := ragdb_data._score_words(
      p_org_no, p_scopes, v_words.terms, v_words.idfs, v_words.weights, v_words.priors, p_length,
      p_dead, p_chunks,
      case when p_sealed_chunks is not null then array(select unnest(p_sealed_chunks)
                                                       union
                                                       select unnest(p_vector_chunks)) end,
      p_vector_chunks, v_depth);
    v_likeness := coalesce(v_found.prior / v_words.prior_total, 0);
  end if;
  if p_has_models then
    v_table_scale := ragdb_data._table_scale(p_org_no);
    v_constants := ragdb_data._confidence(p_org_no, p_model_no, p_version);
  else
    select array[t.confidence_lexical, t.confidence_cosine, t.confidence_offset]
      into v_constants
      from ragdb_data.embedding_table_version t
     where t.version = p_version;
  end if;
  v_confidence := 1 / (1 + exp(-(v_constants[1] * v_likeness
                                 + v_constants[2] * coalesce(p_cosines[1], 0)
                                 + v_constants[3])));

  if p_mode = 'keyword' then
    return query
    select u.ordinal::int4 + p_offset, u.chunk_no, u.score, u.score, u.ordinal::int4 + p_offset,
           null::float8, null::int4, 0::float8, 0::float8, v_confidence
      from unnest(v_found.chunk_nos[p_offset + 1 : p_offset + p_limit],
                  v_found.scores[p_offset + 1 : p_offset + p_limit])
           with ordinality u(chunk_no, score, ordinal);
    return;
  elsif p_mode = 'vector' then
    return query
    select (row_number() over (order by u.cosine desc, u.chunk_no))::int4, u.chunk_no, u.cosine,
           null::float8, null::int4, u.cosine, u.ordinal::int4, 0::float8, 0::float8, v_confidence
      from unnest(p_vector_chunks, p_cosines) with ordinality u(chunk_no, cosine, ordinal)
     order by u.cosine desc, u.chunk_no
    offset p_offset
     limit p_limit;
    return;
  end if;

  if not p_has_all_vectors then
    v_missing := array(select u.chunk_no
                         from unnest(v_found.chunk_nos[: v_depth]) u(chunk_no)
                        where u.chunk_no not in (select unnest(p_vector_chunks)));
    select array_agg(v.chunk_no), array_agg(v.cosine)
      into v_others, v_other_cosines
      from (select e.chunk_no,
                   (1 - (e.embedding operator(public.<=>) p_embedding))
                   * case e.model_no when 0 then v_table_scale else 1 end as cosine
              from ragdb_data.chunk_vector e
             where p_model_no is null
               and e.org_no = p_org_no
               and e.version = p_version
               and e.chunk_no = any (v_missing)
            union all
            select e.chunk_no, 1 - (e.embedding operator(public.<=>) p_embedding)
              from ragdb_data.model_vector e
             where e.org_no = p_org_no
               and e.model_no = p_model_no
               and e.chunk_no = any (v_missing)
            union all
            select e.chunk_no, 1 - (e.embedding operator(public.<=>) p_embedding)
              from ragdb_data.chunk_vector e
             where p_model_no < 0
               and e.org_no = p_org_no
               and e.version = p_version
               and e.model_no = 0
               and e.chunk_no = any (v_missing)
            offset 0) v;
    v_chunks := v_chunks || v_others;
    v_cosines := v_cosines || v_other_cosines;
  end if;
  return query
  with ranked as materialized (
    select r.*
      from ragdb_data._rerank(
             p_org_no, p_terms, v_words.terms, v_words.idfs, v_words.idf_total, p_n,
             v_found.chunk_nos, v_found.scores, v_found.idf_sums, v_found.idf_maxima, v_depth,
             v_chunks, v_cosines, v_vector_depth, p_vector_weight, p_phrase_weight,
             p_sentence_weight, greatest(50, p_limit + p_offset), 0) r),
  moved as (
    select u.chunk_no, u.cosine
      from (select array_agg(r.chunk_no order by r.rank) as chunk_nos,
                   array_agg(r.cosine order by r.rank) as cosines
              from ranked r) a
     cross join lateral unnest(
             a.chunk_nos,
             ragdb_data._moved_cosines(
               p_org_no, p_version, p_model_no, p_embedding, a.chunk_nos, a.cosines))
               u(chunk_no, cosine)),
  final as (
    select r.*, coalesce(m.cosine, r.cosine) as moved_cosine,
           r.score + coalesce(p_vector_weight * (m.cosine - r.cosine), 0) as moved_score
      from ranked r
      join moved m on m.chunk_no = r.chunk_no)
  select (row_number() over (order by f.moved_score desc, f.chunk_no))::int4, f.chunk_no,
         f.moved_score, f.lexical, f.lexical_rank, f.moved_cosine, f.vector_rank,
         f.phrase, f.sentence, v_confidence
    from final f
   order by f.moved_score desc, f.chunk_no
  offset p_offset
   limit p_limit;
end;
$$;

comment on function ragdb_data._fuse(
  int4, int4[], text, int4[], float8, float8, int8[], int8[], int4[], float8[], int8[],
  public.halfvec, int4, int8[], float8[], boolean, float8, float8, float8, int4, int4, float8[],
  boolean, int4) is
$$The keyword leg, the fusion with the vector leg's result, and the rerank.

p_terms: the query's stems in order, and synonyms of theirs after a 0 each. p_term_weights: what
each counts, below 1 for a synonym; null when all count 1.
p_n, p_length: chunks in scope and their average length.
p_dead: chunks to count nowhere. p_chunks: the only ones to return, or null. p_sealed_terms,
p_sealed_dfs, p_sealed_chunks: document frequencies and candidates from the segments, null without
any. p_version: of the embeddings. p_has_all_vectors: there is none but in p_vector_chunks.
p_has_models: whether there are embedding models besides the table; p_model_no: what of, as
_search_model() says.
confidence reckons with 1,000 further chunks that have no word of the query: else, in a handful of
documents, one word they lack would outweigh all they have.$$;
