-- A search from the caller's words to ranked chunks: what is asked, of which scopes, past which
-- filter; then the vector leg, the sealed segments, and the fusion of 40_fusion.sql.
--
-- Filters and scopes hold inside each leg. A filter that lets through few chunks, up to 40,000, is
-- turned into these; one that lets through a good share of many is resolved for the candidates of
-- unfiltered legs, see 39_filtered_legs.sql; what is left is asked of more and more candidates,
-- until enough match. The vector leg scans all that matches when the HNSW index returned too few.

-- Its result has changed.
drop function if exists ragdb_data._search(
  text, int4, int4, jsonb, text, text, text, boolean, boolean, jsonb);

create or replace function ragdb_data._search(
  p_query text, p_limit int4, p_offset int4, p_filters jsonb,
  p_mode text, p_workspace text, p_language text,
  p_explain boolean default false, p_correct boolean default false, p_config jsonb default null)
  returns table (
    rank int4, chunk_no int8, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8, confidence float8,
    documents int8[], trace jsonb, language text)
  language plpgsql
  stable
  rows 10
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
#variable_conflict use_column
declare
  c_wide constant int4 := 10000;
  c_few constant int4 := 300;
  c_wide_share constant float8 := 0.15;
  c_deep constant int4 := 300;
  c_narrow constant int4 := 2000;
  v_org int4 := ragdb.require('rag:read');
  v_scopes int4[];
  v_weights float8[];
  v_language text;
  v_place record;
  v_query record;
  v_corrected text;
  v_term_weights float8[];
  v_synonyms jsonb;
  v_quoted text[];
  v_unwanted int8[];
  v_left_out int4;
  v_is_wide boolean;
  v_share float8;
  v_is_found boolean := false;
  v_depth int4 := greatest(100, p_limit + p_offset);
  v_terms int4[];
  v_version int4;
  v_embedding public.halfvec;
  v_has_models boolean;
  v_model_no int4;
  v_documents int8[];
  v_bodies int8[];
  v_chunks int8[];
  v_dead int8[];
  v_is_sealed boolean;
  v_sealed_terms int4[];
  v_sealed_dfs float8[];
  v_sealed_chunks int8[];
  v_n float8;
  v_length float8;
  v_matching int8;
  v_comparable int8;
  v_asked int4;
  v_is_few boolean;
  v_strategy text := 'none';
  v_vector_chunks int8[];
  v_cosines float8[];
  v_clock timestamptz[] := array[clock_timestamp()];
begin
  if p_query is null or p_query !~ '\S' then
    raise exception 'The query is empty.'
      using errcode = 'PT422', constraint = 'empty_query', hint = 'Ask for at least one word.';
  elsif length(p_query) > 10000 then
    raise exception 'The query has % characters; at most 10,000 are searched.', length(p_query)
      using errcode = 'PT422', constraint = 'query_too_long', hint = 'Shorten the query.';
  elsif p_limit is null or p_limit not between 1 and 11000
        or p_offset is null or p_offset not between 0 and 10000 then
    raise exception 'The limit must be 1 to 1000 and the offset 0 to 10000.'
      using errcode = 'PT422',
            constraint = 'invalid_limit',
            hint = 'The default limit is 10, the default offset 0.';
  elsif p_mode is null or p_mode not in ('hybrid', 'keyword', 'vector') then
    raise exception 'The search mode % is not known.', p_mode
      using errcode = 'PT422',
            constraint = 'unknown_search_mode',
            hint = 'One of: hybrid, keyword, vector';
  end if;

  v_place := ragdb_data._place(p_workspace, p_language, p_query);
  v_scopes := v_place.scopes;
  v_language := v_place.language;
  v_weights := ragdb_data._ranking_weights(
    v_org, case when p_workspace is null then '{0}' else v_scopes || 0 end, p_config);
  if p_workspace is not null and p_config -> 'shared' = 'false' then
    v_scopes := array_remove(v_scopes, 0);
  end if;
  if p_correct then
    v_corrected := ragdb_data._corrected(v_org, v_scopes, v_language, p_query);
  end if;
  v_query := ragdb_data._parse_query(coalesce(v_corrected, p_query));
  v_quoted := v_query.phrases;
  if v_quoted is not null and ragdb_data._is_sentence(v_language, v_query.around) then
    v_query.phrases := v_query.required;
  end if;
  if p_mode <> 'vector' then
    v_terms := array_remove(ragdb_data._terms(v_language, v_query.words), 0);
    v_place := ragdb_data._synonyms(v_org, v_scopes, v_language, v_terms);
    v_terms := v_place.terms;
    v_term_weights := v_place.weights;
    v_synonyms := v_place.applied;
  end if;
  v_version := ragdb_data._embedding_version();
  -- No policy to evaluate: nearly free where there is no model.
  v_has_models := exists (select from ragdb_data.embedding_model);
  if p_mode <> 'keyword' then
    if v_has_models then
      select q.model_no, q.embedding into v_model_no, v_embedding
        from ragdb_data._query_vector(v_org, v_query.words, p_config) q;
    else
      v_embedding := ragdb_data._embed(v_query.words, v_version);
    end if;
  end if;
  v_clock := v_clock || clock_timestamp();

  select t.n + s.n - d.n,
         greatest((t.length + s.length - d.length) / nullif(t.n + s.n - d.n, 0), 1),
         s.n > 0,
         coalesce(d.unsealed, '{}')
    into v_n, v_length, v_is_sealed, v_dead
    from (select count(*)::float8 as n, coalesce(sum(p.length), 0)::float8 as length
            from ragdb_data.posting p
           where p.org_no = v_org and p.term = 0 and p.scope_no = any (v_scopes)) t,
         (select coalesce(sum(g.chunks), 0)::float8 as n,
                 coalesce(sum(g.length), 0)::float8 as length
            from ragdb_data.segment g
           where g.org_no = v_org and g.scope_no = any (v_scopes)) s,
         (select count(d.slot_no)::float8 as n,
                 coalesce(sum(d.length) filter (where d.slot_no is not null), 0)::float8 as length,
                 array_agg(d.chunk_no) filter (where d.slot_no is null) as unsealed
            from ragdb_data.dead_chunk d
           where d.org_no = v_org and d.scope_no = any (v_scopes)) d;

  if p_filters is not null and p_filters <> '{}' then
    if v_is_sealed and v_n > c_narrow and v_depth <= c_deep and v_model_no is null
       and v_query.phrases is null and v_query.excluded is null
    then
      v_share := ragdb_data._filter_share(v_org, v_scopes, p_filters);
    end if;
    if v_share >= c_wide_share and v_share * v_n > c_narrow then
      select l.documents, l.vector_chunks, l.cosines, l.strategy,
             l.sealed_chunks, l.terms, l.dfs, l.tail_chunks
        into v_documents, v_vector_chunks, v_cosines, v_strategy,
             v_sealed_chunks, v_sealed_terms, v_sealed_dfs, v_chunks
        from ragdb_data._filtered_legs(
               v_org, v_scopes, p_filters, v_share, v_n::int8, v_embedding, v_terms,
               v_depth,
               -- Up to 10,000 chunks what is found does not depend on how.
               case when v_n <= c_wide then v_depth + 20
                 else greatest(v_depth * 3 / 4, p_limit + p_offset + 20) end) l;
      v_is_found := v_documents is not null;
    end if;
    if not v_is_found then
      select f.documents, f.bodies, f.chunks into v_documents, v_bodies, v_chunks
        from ragdb_data._filtered(v_org, v_scopes, p_filters) f;
    end if;
  end if;
  if v_query.phrases is not null or v_query.excluded is not null then
    select r.wanted, r.unwanted, r.phrases into v_chunks, v_unwanted, v_query.phrases
      from ragdb_data._resolve_phrases(
             v_org, v_scopes, v_language, v_query.phrases, v_query.required, v_query.excluded,
             v_chunks, v_bodies) r;
  end if;
  v_clock := v_clock || clock_timestamp();

  v_is_wide := v_bodies is not null and v_chunks is null;
  v_left_out := coalesce(cardinality(v_unwanted), 0);
  v_matching := case
    when v_is_found then v_share * v_n
    when v_chunks is not null then cardinality(v_chunks)
    when v_is_wide then c_wide + 1
    else v_n - v_left_out end;
  -- Then both legs return all that matches.
  v_is_few := v_matching + v_left_out <= c_few;

  if v_embedding is not null and not v_is_found then
    -- HNSW filters by body alone: phrases leave no more than it takes for the exact scan. Of a few
    -- chunks to leave out, that many more are asked for.
    v_comparable := case
      when v_query.phrases is null and v_query.excluded is null
           or v_chunks is null then v_matching + v_left_out
      else least(v_matching, 2000) end;
    v_asked := case when v_is_few then c_few else v_depth + v_left_out end;
    if v_model_no is null then
      select v.chunk_nos, v.cosines, v.strategy
        into v_vector_chunks, v_cosines, v_strategy
        from ragdb_data._nearest(
               v_org, v_scopes, v_embedding, v_comparable, v_bodies, v_chunks, v_asked,
               v_version) v;
    else
      select v.chunk_nos, v.cosines, v.strategy
        into v_vector_chunks, v_cosines, v_strategy
        from ragdb_data._nearest_of_model(
               v_org, v_scopes, v_model_no, v_embedding, v_comparable, v_bodies, v_chunks,
               v_asked) v;
    end if;
    if v_left_out > 0 then
      select array_agg(v.chunk_no order by v.ordinal), array_agg(v.cosine order by v.ordinal)
        into v_vector_chunks, v_cosines
        from (select u.chunk_no, u.cosine, u.ordinal
                from unnest(v_vector_chunks, v_cosines)
                     with ordinality u(chunk_no, cosine, ordinal)
               where u.chunk_no <> all (v_unwanted)
               order by u.ordinal
               limit greatest(v_depth, c_few)) v;
    end if;
  end if;
  v_clock := v_clock || clock_timestamp();

  if v_is_sealed and not v_is_found and cardinality(v_terms) > 0 then
    if v_is_few and v_chunks is not null then
      v_sealed_chunks := v_chunks;
      select f.terms, f.dfs into v_sealed_terms, v_sealed_dfs
        from ragdb_data._sealed_frequencies(v_org, v_scopes, v_terms) f;
    elsif v_is_wide then
      select c.chunk_nos, c.terms, c.dfs into v_sealed_chunks, v_sealed_terms, v_sealed_dfs
        from ragdb_data._sealed_within(
               v_org, v_scopes, v_terms, v_bodies, v_depth + 20 + v_left_out) c;
    elsif v_chunks is not null then
      select c.chunk_nos, c.terms, c.dfs into v_sealed_chunks, v_sealed_terms, v_sealed_dfs
        from ragdb_data._sealed_among(
               v_org, v_scopes, v_terms, v_chunks, v_depth + 20 + v_left_out) c;
    else
      select c.chunk_nos, c.terms, c.dfs into v_sealed_chunks, v_sealed_terms, v_sealed_dfs
        from ragdb_data._sealed_candidates(
               v_org, v_scopes, v_terms, v_depth + 20 + v_left_out) c;
    end if;
  end if;
  if v_is_wide or v_left_out > 0 then
    -- The keyword leg's tail takes a list of what it may return; the sealed were asked above.
    if v_left_out > 0 and v_sealed_chunks is not null then
      v_sealed_chunks := array(select c from unnest(v_sealed_chunks) c
                                where c <> all (v_unwanted));
    end if;
    v_chunks := array(
      select c.chunk_no
        from ragdb_data.chunk c
       where c.org_no = v_org
         and c.chunk_no = any (array(select p.chunk_no
                                       from ragdb_data.posting p
                                      where p.org_no = v_org
                                        and p.term = 0
                                        and p.scope_no = any (v_scopes)))
         and c.chunk_no <> all (coalesce(v_unwanted, '{}'))
         and (v_bodies is null or c.body_no in (select unnest(v_bodies))));
  end if;
  v_clock := v_clock || clock_timestamp();

  return query
  select f.*, v_documents, null::jsonb, v_language
    from ragdb_data._fuse(
           v_org, v_scopes, p_mode, v_terms, v_n, v_length, v_dead, v_chunks,
           v_sealed_terms, v_sealed_dfs, v_sealed_chunks,
           v_embedding, v_version, v_vector_chunks, v_cosines, v_is_few,
           v_weights[1], v_weights[2], v_weights[3], p_limit, p_offset, v_term_weights,
           v_has_models, v_model_no) f;
  if p_explain then
    documents := v_documents;
    trace := jsonb_build_object(
      'mode', p_mode,
      'language', v_language,
      'corrected_query', v_corrected,
      'words', ragdb_data._word_statistics(v_org, v_scopes, v_language, v_query.words, v_n),
      'synonyms', v_synonyms,
      'quoted', to_jsonb(v_quoted),
      'phrases', to_jsonb(v_query.phrases),
      'excluded', to_jsonb(v_query.excluded),
      'scopes', cardinality(v_scopes),
      'chunks_in_scope', v_n,
      'average_length', v_length,
      'query_terms', coalesce(cardinality(array_remove(v_terms, 0)), 0),
      'filter_strategy', case
        when v_is_found then 'candidates'
        when v_documents is not null then 'resolved'
        else 'none' end,
      'matching_documents', case when not v_is_found then cardinality(v_documents) end,
      'matching_chunks', v_matching,
      'selectivity', case when not v_is_wide then v_matching / nullif(v_n, 0) end,
      'keyword_candidates', case when p_mode = 'vector' then 0 else v_depth end,
      'embedding_model', (select e.name from ragdb_data.embedding_model e
                           where e.model_no = v_model_no),
      'vector_strategy', v_strategy,
      'vector_reason', case
        when p_mode = 'keyword' then 'the mode is keyword'
        when v_strategy = 'exact' and v_matching <= c_narrow
          then 'at most 2,000 chunks match: an exact scan is quick, and complete'
        when v_strategy = 'exact'
          then 'few match of what the index holds: an exact scan is faster, and complete'
        when v_strategy = 'hnsw' then 'many chunks match, and the index holds them'
        when v_strategy = 'exact after hnsw' then 'the index returned too few of those that match'
        else 'nothing matches' end,
      'vector_candidates', coalesce(cardinality(v_vector_chunks), 0),
      'reranked', case when p_mode = 'hybrid' then greatest(50, p_limit + p_offset) else 0 end,
      'weights', jsonb_build_object('vector', v_weights[1], 'phrase', v_weights[2],
                                    'sentence', v_weights[3]),
      'query_ms', 1000 * extract(epoch from v_clock[2] - v_clock[1]),
      'filter_ms', 1000 * extract(epoch from v_clock[3] - v_clock[2]),
      'vector_ms', 1000 * extract(epoch from v_clock[4] - v_clock[3]),
      'sealed_candidates', coalesce(cardinality(v_sealed_chunks), 0),
      'sealed_ms', 1000 * extract(epoch from v_clock[5] - v_clock[4]),
      'fusion_ms', 1000 * extract(epoch from clock_timestamp() - v_clock[5]));
    return next;
  end if;
end;
$$;

comment on function ragdb_data._search(
  text, int4, int4, jsonb, text, text, text, boolean, boolean, jsonb) is
$$The ranking behind search(), explain_search() and ask(): chunks with every feature of their score.

documents: what the filter let through, or null. p_explain: with one more row, without a rank, whose
trace says what the legs did. p_correct: misspelt words are replaced first. p_config: of an
evaluation, other weights, and {"shared": false} to leave out what the whole organization shares.$$;
