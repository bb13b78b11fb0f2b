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

create or replace function ragdb_data._check_boosts(p_boosts jsonb)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_wrong text;
  v_recency jsonb := p_boosts -> 'recency';
begin
  if jsonb_typeof(p_boosts) <> 'object' then
    v_wrong := 'The boosts are not a JSON object.';
  elsif exists (select from jsonb_object_keys(p_boosts) k where k not in ('recency', 'labels')) then
    v_wrong := 'Boosts are given by recency and labels alone.';
  elsif p_boosts ? 'recency' and (
          jsonb_typeof(v_recency) <> 'object'
          or exists (select from jsonb_each(v_recency) e
                      where e.key not in ('half_life_days', 'weight')
                         or jsonb_typeof(e.value) <> 'number')
          or coalesce((v_recency ->> 'half_life_days')::numeric, 30) not between 0.001 and 100000
          or coalesce((v_recency ->> 'weight')::numeric, 0.2) not between 0 and 10
          or scale((v_recency ->> 'weight')::numeric) > 100) then
    v_wrong := 'recency takes half_life_days above 0 and a weight from 0 to 10.';
  elsif p_boosts ? 'labels' and (
          jsonb_typeof(p_boosts -> 'labels') <> 'object'
          or exists (select from jsonb_each(p_boosts -> 'labels') e
                      where jsonb_typeof(e.value) <> 'number'
                         or (e.value #>> '{}')::numeric not between -0.9 and 10
                         or scale((e.value #>> '{}')::numeric) > 100)) then
    v_wrong := 'labels takes a weight from -0.9 to 10 for each label.';
  end if;
  if v_wrong is not null then
    raise exception '%', v_wrong
      using errcode = 'PT422',
            constraint = 'invalid_boosts',
            hint = 'For example {"recency": {"half_life_days": 30, "weight": 0.2},'
                   ' "labels": {"policy": 0.3}}';
  end if;
end;
$$;

comment on function ragdb_data._check_boosts(jsonb) is
$$Raise PT422 invalid_boosts unless these are boosts.$$;

create or replace function ragdb_data._fuse_queries(
  p_org_no int4, p_ranked ragdb_data.ranked_chunk[], p_query_nos int4[], p_queries int4,
  p_window int4, p_boosts jsonb)
  returns ragdb_data.ranked_chunk[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return array(
    with hit as materialized (
      select u.chunk_no, u.score, u.lexical, u.lexical_rank, u.cosine, u.vector_rank,
             u.phrase, u.sentence, u.confidence, u.documents, p_query_nos[u.ordinal] as query_no
        from unnest(p_ranked) with ordinality u(
               chunk_no, score, lexical, lexical_rank, cosine, vector_rank, phrase, sentence,
               confidence, documents, document_no, boost, ordinal)),
    -- What a chunk that a query did not find has at most; none at all when it found fewer than it
    -- was asked for.
    missing as materialized (
      select h.query_no,
             case when count(*) < p_window then least(min(h.score), 0) else min(h.score) end
               as score
        from hit h
       group by h.query_no),
    fused as (
      select h.chunk_no, min(h.query_no) as query_no, max(h.confidence) as confidence,
             (sum(h.score)
              + (select coalesce(sum(m.score), 0) from missing m
                  where m.query_no <> all (array_agg(h.query_no)))) / p_queries as score
        from hit h
       group by h.chunk_no)
    select (h.chunk_no,
            case when f.score > 0 then f.score * b.boost else f.score / b.boost end,
            h.lexical, h.lexical_rank, h.cosine, h.vector_rank, h.phrase, h.sentence,
            f.confidence, h.documents, d.document_no, b.boost)::ragdb_data.ranked_chunk
      from fused f
      join hit h on h.chunk_no = f.chunk_no and h.query_no = f.query_no
     cross join lateral (
       select k.body_no
         from ragdb_data.chunk k
        where k.org_no = p_org_no and k.chunk_no = h.chunk_no
       offset 0) c
     cross join lateral (
       select d.document_no, d.labels, coalesce(d.dated_at, d.updated_at) as dated_at
         from ragdb_data.document d
        where d.org_no = p_org_no
          and d.body_no = c.body_no
          and (h.documents is null or d.document_no = any (h.documents))
        order by d.document_no
        limit 1) d
     cross join lateral (
       select (1 + coalesce((p_boosts #>> '{recency,weight}')::float8, 0.2::float8)
                   * case when p_boosts ? 'recency' then
                       exp(greatest(-700, -ln(2::float8)
                           * greatest(0, extract(epoch from now() - d.dated_at)::float8 / 86400)
                           / coalesce((p_boosts #>> '{recency,half_life_days}')::float8, 30)))
                     else 0 end)
              * coalesce((select exp(sum(ln(1 + (l.value #>> '{}')::float8)))
                            from jsonb_each(p_boosts -> 'labels') l
                           where l.key = any (d.labels)), 1) as boost) b
     order by 1);
end;
$$;

comment on function ragdb_data._fuse_queries(
  int4, ragdb_data.ranked_chunk[], int4[], int4, int4, jsonb) is
$$One list of what several queries found, with boosted scores and the document of each chunk.

p_query_nos: which of the p_queries found each of p_ranked, from 1; the features are those of the
first. p_window: how many chunks each was asked for.$$;

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
      from (select a.embedding
              from ragdb_data.chunk_vector a
             where a.org_no = p_org_no and a.chunk_no = p_chunk_no
            offset 0) a
      join ragdb_data.chunk_vector b
        on b.org_no = p_org_no
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
      left join ragdb_data.chunk_vector v on v.org_no = p_org_no and v.chunk_no = u.chunk_no
      left join ragdb_data.chunk_vector c on c.org_no = p_org_no and c.chunk_no = v_best
     where u.chunk_no <> v_best;
  end loop;
  return v_chosen;
end;
$$;

comment on function ragdb_data._diversify(int4, int8[], float8[], float8) is
$$Chunks, best first, in the order of maximal marginal relevance.$$;

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

create or replace function ragdb_data._surroundings(
  p_org_no int4, p_chunk_no int8, p_neighbours int4, p_section boolean,
  out char_start int4, out char_end int4, out content text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_variable
declare
  c_most constant int4 := 20;
  v_chunk ragdb_data.chunk;
  v_first int4;
  v_last int4;
begin
  select k.* into v_chunk
    from ragdb_data.chunk k
   where k.org_no = p_org_no and k.chunk_no = p_chunk_no;
  v_first := v_chunk.ordinal - p_neighbours;
  v_last := v_chunk.ordinal + p_neighbours;
  if p_section and cardinality(v_chunk.heading_path) > 0 then
    select greatest(coalesce(max(k.ordinal) filter (where k.ordinal < v_chunk.ordinal) + 1, 0),
                    v_chunk.ordinal - c_most),
           least(coalesce(min(k.ordinal) filter (where k.ordinal > v_chunk.ordinal) - 1,
                          2147483647),
                 v_chunk.ordinal + c_most)
      into v_first, v_last
      from ragdb_data.chunk k
     where k.org_no = p_org_no
       and k.body_no = v_chunk.body_no
       and k.ordinal between v_chunk.ordinal - c_most - 1 and v_chunk.ordinal + c_most + 1
       and k.heading_path[: cardinality(v_chunk.heading_path)] <> v_chunk.heading_path;
    v_first := least(v_first, v_chunk.ordinal - p_neighbours);
    v_last := greatest(v_last, v_chunk.ordinal + p_neighbours);
  end if;
  select min(k.char_start), max(k.char_end) into char_start, char_end
    from ragdb_data.chunk k
   where k.org_no = p_org_no
     and k.body_no = v_chunk.body_no
     and k.ordinal between v_first and v_last;
  select substr(b.content, char_start + 1, char_end - char_start) into content
    from ragdb_data.body b
   where b.org_no = p_org_no and b.body_no = v_chunk.body_no;
end;
$$;

comment on function ragdb_data._surroundings(int4, int8, int4, boolean) is
$$A chunk's text with that of its neighbours, or of the section it stands in with all that is below
its heading, at most 20 chunks to either side, and where that is in the document.$$;
