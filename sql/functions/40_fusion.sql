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

-- What they took has changed.
drop function if exists ragdb_data._rerank(
  int4, int4[], int4[], float8[], float8, float8, int8[], float8[], float8[], float8[], int4,
  int8[], float8[], int4, float8, float8, float8, int4, int4);
drop function if exists ragdb_data._moved_cosines(
  int4, int4, int4, public.halfvec, int8[], float8[]);

create or replace function ragdb_data._rerank(
  p_org_no int4, p_terms int4[], p_stems int4[], p_idfs float8[], p_idf_total float8, p_n float8,
  p_chunks int8[], p_scores float8[], p_idf_sums float8[], p_idf_maxima float8[], p_depth int4,
  p_vector_chunks int8[], p_cosines float8[], p_vector_depth int4,
  p_embedding public.halfvec, p_version int4, p_model_no int4,
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
  set enable_mergejoin = off
  set enable_nestloop = off  -- arrays are taken for short
  set jit = off
as $$
#variable_conflict use_column
declare
  c_rerank constant int4 := greatest(50, p_limit + p_offset);
  c_seeds constant int4 := 2;
  c_greatest constant float8 := nullif(p_scores[1], 0);
  c_idf_total constant float8 := nullif(p_idf_total, 0);
  v_pairs record;
  v_base record;
  v_words record;
  v_moved float8[];
begin
  v_pairs := ragdb_data._pairs(p_terms, p_stems, p_idfs, p_n);

  select array_agg(b.chunk_no) as chunk_nos, array_agg(b.lexical) as lexicals,
         array_agg(b.lexical_rank) as lexical_ranks, array_agg(b.cosine) as cosines,
         array_agg(b.vector_rank) as vector_ranks, array_agg(b.base) as bases,
         array_agg(least(coalesce(b.idf_maximum / c_idf_total, 0), 1)) as sentences,
         -- One word is a sentence's best, and no phrase: these need not be read.
         array_agg(b.chunk_no) filter (where b.idf_sum > b.idf_maximum) as unread
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
                      with ordinality v(chunk_no, cosine, rank)
              on v.chunk_no = l.chunk_no
           where l.rank <= p_depth or v.rank <= p_vector_depth
           order by base desc, 1
           limit c_rerank) b;

  v_words := ragdb_data._phrases_and_sentences(
    p_org_no, v_base.unread, p_stems, p_idfs, v_pairs.pairs, v_pairs.idfs, c_greatest,
    c_idf_total);
  v_moved := ragdb_data._moved_cosines(
    p_org_no, p_version, p_model_no, p_embedding, v_base.chunk_nos, v_base.cosines,
    array(select u.chunk_no
            from unnest(v_base.chunk_nos, v_base.bases, v_base.sentences)
                 u(chunk_no, base, sentence)
            left join unnest(v_words.chunk_nos, v_words.phrases, v_words.sentences)
                      w(chunk_no, phrase, sentence) on w.chunk_no = u.chunk_no
           order by u.base + p_phrase_weight * coalesce(w.phrase, 0)
                    + p_sentence_weight * coalesce(w.sentence, u.sentence) desc, u.chunk_no
           limit c_seeds));

  return query
  select (row_number() over (order by f.score desc, f.chunk_no))::int4, f.chunk_no, f.score,
         f.lexical, f.lexical_rank::int4, f.moved, f.vector_rank::int4, f.phrase, f.sentence
    from (select r.*,
                 r.base + p_phrase_weight * r.phrase + p_sentence_weight * r.sentence
                 + p_vector_weight * coalesce(r.moved - r.cosine, 0) as score
            from (select u.chunk_no, u.lexical, u.lexical_rank, u.cosine, u.moved, u.vector_rank,
                         u.base, coalesce(w.phrase, 0) as phrase,
                         coalesce(w.sentence, u.sentence) as sentence
                    from unnest(v_base.chunk_nos, v_base.lexicals, v_base.lexical_ranks,
                                v_base.cosines, v_moved, v_base.vector_ranks, v_base.bases,
                                v_base.sentences)
                         u(chunk_no, lexical, lexical_rank, cosine, moved, vector_rank, base,
                           sentence)
                    left join unnest(v_words.chunk_nos, v_words.phrases, v_words.sentences)
                              w(chunk_no, phrase, sentence) on w.chunk_no = u.chunk_no) r) f
   order by f.score desc, f.chunk_no
  offset p_offset
   limit p_limit;
end;
$$;

comment on function ragdb_data._rerank(
  int4, int4[], int4[], float8[], float8, float8, int8[], float8[], float8[], float8[], int4,
  int8[], float8[], int4, public.halfvec, int4, int4, float8, float8, float8, int4, int4) is
$$The best of both legs by the sum of their scores, and these by phrases and sentences as well, with
the query's vector moved towards the best two.

p_terms: the query's stems in order; p_stems: each once, with p_idfs. p_chunks to p_idf_maxima: what
_score_words() found, the first p_depth of it as candidates, the rest with its scores alone; so with
p_vector_chunks and p_vector_depth. p_embedding, p_version, p_model_no: as of _fuse().$$;

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
  select r.*, v_confidence
    from ragdb_data._rerank(
           p_org_no, p_terms, v_words.terms, v_words.idfs, v_words.idf_total, p_n,
           v_found.chunk_nos, v_found.scores, v_found.idf_sums, v_found.idf_maxima, v_depth,
           v_chunks, v_cosines, v_vector_depth, p_embedding, p_version, p_model_no,
           p_vector_weight, p_phrase_weight, p_sentence_weight, p_limit, p_offset) r;
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
