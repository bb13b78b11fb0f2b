-- From ranked chunks to a page of results: several queries in one ranking, boosts, variety, and
-- pages that fit together.
--
-- Results are ordered in windows: of the best 50 first (or a page, where that is more), then of the
-- best 200 those not listed yet, and so on, so that a later page never changes an earlier one. In
-- each window:
--   queries     a chunk's score is the mean of its scores for the query and for the alternatives;
--               where one of them did not find it, the least that this one found counts
--   boosts      score * (1 + weight * 2^(-age / half life)) * (1 + weight of each label); in every
--               mode a boost means the same, whatever its scores' range
--   diversity   maximal marginal relevance: the next is the one with the greatest
--               (1 - diversity) * score / best score - diversity * greatest cosine to those before
--
-- Without any of these a page is the ranking itself.

-- Its result has changed.
drop function if exists ragdb_data._results(
  text, int4, int4, jsonb, text, text, text, text[], boolean, float8, int4, boolean, jsonb,
  float8, boolean);

create or replace function ragdb_data._results(
  p_query text, p_limit int4, p_offset int4, p_filters jsonb,
  p_mode text, p_workspace text, p_language text,
  p_queries text[] default null, p_correct boolean default false,
  p_diversity float8 default 0, p_per_document int4 default null,
  p_distinct boolean default false, p_boosts jsonb default null,
  p_min_score float8 default null, p_explain boolean default false)
  returns table (
    rank int4, chunk_no int8, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8, confidence float8,
    documents int8[], boost float8, trace jsonb, language text)
  language plpgsql
  stable
  rows 10
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  c_deepest constant int4 := 11000;
  v_org int4;
  v_queries text[];
  v_is_plain boolean;
  v_window int4;
  v_ranked ragdb_data.ranked_chunk[];
  v_query_nos int4[];
  v_found ragdb_data.ranked_chunk[];
  v_listed ragdb_data.ranked_chunk[] := '{}';
  v_seen int8[] := '{}';
  v_shown int8[] := '{}';
  v_documents int8[] := '{}';
  v_order int8[];
  v_trace jsonb;
  v_traced jsonb;
  v_language text;
  v_is_last boolean;
  v_row ragdb_data.ranked_chunk;
begin
  if p_limit is null or p_limit not between 1 and 1000
     or p_offset is null or p_offset not between 0 and 10000 then
    raise exception 'The limit must be 1 to 1000 and the offset 0 to 10000.'
      using errcode = 'PT422',
            constraint = 'invalid_limit',
            hint = 'The default limit is 10, the default offset 0.';
  elsif p_diversity is null or not (p_diversity between 0 and 1) or p_per_document < 1
        or p_correct is null or p_distinct is null or p_min_score = 'NaN' then
    raise exception 'The diversity must be 0 to 1, the chunks per document at least 1, and the'
                    ' minimum score a number.'
      using errcode = 'PT422',
            constraint = 'invalid_option',
            hint = 'Leave out what is not wanted.';
  elsif cardinality(p_queries) > 10 then
    raise exception 'A search has at most 10 alternative queries.'
      using errcode = 'PT422', constraint = 'too_many_queries', hint = 'Leave some out.';
  end if;
  if p_boosts is not null then
    perform ragdb_data._check_boosts(p_boosts);
  end if;

  v_is_plain := coalesce(cardinality(p_queries), 0) = 0
                and p_diversity = 0 and p_per_document is null and not p_distinct
                and p_boosts is null and p_min_score is null;
  if v_is_plain and (p_offset = 0 or p_limit + p_offset <= 50) then
    return query
    select s.rank, s.chunk_no, s.score, s.lexical, s.lexical_rank, s.cosine, s.vector_rank,
           s.phrase, s.sentence, s.confidence, s.documents, null::float8, s.trace, s.language
      from ragdb_data._search(
             p_query, p_limit, p_offset, p_filters, p_mode, p_workspace, p_language,
             p_explain, p_correct) s;
    return;
  end if;

  v_org := ragdb.current_org_no();
  v_queries := array[p_query] || p_queries;
  v_window := greatest(50, p_limit);
  loop
    v_ranked := '{}';
    v_query_nos := '{}';
    v_is_last := true;
    for v_no in 1 .. cardinality(v_queries) loop
      select v_ranked || coalesce(array_agg(
               (s.chunk_no, s.score, s.lexical, s.lexical_rank, s.cosine, s.vector_rank,
                s.phrase, s.sentence, s.confidence, s.documents, null, null
               )::ragdb_data.ranked_chunk order by s.rank) filter (where s.rank is not null), '{}'),
             v_query_nos || array_fill(v_no, array[(count(s.rank))::int4]),
             v_is_last and count(s.rank) < v_window,
             (array_agg(s.trace) filter (where s.rank is null))[1],
             case v_no when 1 then min(s.language) else v_language end
        into v_ranked, v_query_nos, v_is_last, v_traced, v_language
        from ragdb_data._search(
               v_queries[v_no], v_window, 0, p_filters, p_mode, p_workspace, p_language,
               p_explain and v_no = 1, p_correct) s;
      v_trace := coalesce(v_traced, v_trace);
    end loop;
    v_found := ragdb_data._fuse_queries(
      v_org, v_ranked, v_query_nos, cardinality(v_queries), v_window, p_boosts);
    select array_agg(u order by u.score desc, u.chunk_no) into v_found
      from unnest(v_found) u
     where u.chunk_no <> all (v_seen)
       and (p_min_score is null or u.score >= p_min_score);
    if p_diversity > 0 and v_found is not null then
      v_order := ragdb_data._diversify(
        v_org, array(select u.chunk_no from unnest(v_found) u),
        array(select u.score from unnest(v_found) u), p_diversity);
      select array_agg(u order by o.ordinal) into v_found
        from unnest(v_found) u
        join unnest(v_order) with ordinality o(chunk_no, ordinal) on o.chunk_no = u.chunk_no;
    end if;
    foreach v_row in array coalesce(v_found, '{}') loop
      v_seen := v_seen || v_row.chunk_no;
      continue when cardinality(array_positions(v_documents, v_row.document_no))
                    >= p_per_document;
      continue when p_distinct and ragdb_data._is_copy(v_org, v_row.chunk_no, v_shown);
      v_listed := v_listed || v_row;
      v_shown := v_shown || v_row.chunk_no;
      v_documents := v_documents || v_row.document_no;
      exit when cardinality(v_listed) >= p_offset + p_limit;
    end loop;
    exit when cardinality(v_listed) >= p_offset + p_limit or v_is_last
              or v_window = c_deepest;
    v_window := least(4 * v_window, c_deepest);
  end loop;

  return query
  select u.ordinal::int4, u.chunk_no, u.score, u.lexical, u.lexical_rank, u.cosine,
         u.vector_rank, u.phrase, u.sentence, u.confidence, u.documents, u.boost, null::jsonb,
         v_language
    from unnest(v_listed) with ordinality u(
           chunk_no, score, lexical, lexical_rank, cosine, vector_rank, phrase, sentence,
           confidence, documents, document_no, boost, ordinal)
   where u.ordinal > p_offset
   order by u.ordinal
   limit p_limit;
  if p_explain then
    return query
    select null::int4, null::int8, null::float8, null::float8, null::int4, null::float8,
           null::int4, null::float8, null::float8, null::float8, null::int8[], null::float8,
           v_trace || jsonb_build_object(
             'queries', cardinality(v_queries), 'window', v_window,
             'left_out', cardinality(v_seen) - cardinality(v_listed)), v_language;
  end if;
end;
$$;

comment on function ragdb_data._results(
  text, int4, int4, jsonb, text, text, text, text[], boolean, float8, int4, boolean, jsonb,
  float8, boolean) is
$$The ranking as callers page through it: see search(), whose arguments these are.

boost: what a chunk's score was multiplied by, or null. p_explain: with one more row, without a
rank, whose trace says what the legs did.$$;
