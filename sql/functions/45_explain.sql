-- Why a search returns what it returns, and why it does not return what somebody expected.

create or replace function ragdb_data._why_not(
  p_query text, p_limit int4, p_filters jsonb, p_mode text, p_workspace text, p_language text,
  p_correct boolean, p_chunks int8[], p_shown int8[])
  returns table (
    chunk_no int8, score float8, lexical float8, lexical_rank int4, cosine float8,
    vector_rank int4, phrase float8, sentence float8, confidence float8, reason text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  c_wide constant int4 := 1000;
  v_org int4 := ragdb.current_org_no();
  v_scopes int4[];
  v_language text;
  v_query record;
  v_phrases text[];
  v_ranked ragdb_data.ranked_chunk[];
  v_documents int8[];
  v_trace jsonb;
  v_terms int4[];
  v_embedding public.halfvec;
  v_wanted int8[];
  v_unwanted int8[];
begin
  select p.scopes, p.language into v_scopes, v_language
    from ragdb_data._place(p_workspace, p_language, p_query) p;
  select array_agg((s.chunk_no, s.score, s.lexical, s.lexical_rank, s.cosine, s.vector_rank,
                    s.phrase, s.sentence, s.confidence, null, null, null
                   )::ragdb_data.ranked_chunk order by s.rank) filter (where s.rank is not null),
         (array_agg(s.trace) filter (where s.rank is null))[1]
    into v_ranked, v_trace
    from ragdb_data._search(
           p_query, c_wide, 0, p_filters, p_mode, p_workspace, p_language, true, p_correct) s;
  if p_filters is not null and p_filters <> '{}' then
    v_documents := ragdb_data._matching_documents(v_org, v_scopes, p_filters);
  end if;
  v_query := ragdb_data._parse_query(coalesce(v_trace ->> 'corrected_query', p_query));
  v_phrases := (select array_agg(p) from jsonb_array_elements_text(
                                           nullif(v_trace -> 'phrases', 'null')) p);
  v_terms := ragdb_data._terms(v_language, v_query.words);
  v_embedding := ragdb.embed(v_query.words);
  select r.wanted, r.unwanted into v_wanted, v_unwanted
    from ragdb_data._resolve_phrases(
           v_org, v_scopes, v_language, v_phrases, v_phrases, v_query.excluded, null) r;

  return query
  select w.chunk_no, r.score,
         coalesce(r.lexical, l.lexical), r.lexical_rank,
         coalesce(r.cosine, 1 - (v.embedding operator(public.<=>) v_embedding)),
         case when p_mode <> 'keyword' and v.embedding is not null then
           coalesce(r.vector_rank, (
             select 1 + count(*)::int4
               from ragdb_data.chunk_vector o
              where o.org_no = v_org
                and o.version = v.version
                and o.scope_no = any (v_scopes)
                and (o.embedding operator(public.<=>) v_embedding) + 0
                    < (v.embedding operator(public.<=>) v_embedding))) end,
         r.phrase, r.sentence, r.confidence,
         case
           when k.chunk_no is null then 'There is no such chunk, or the caller may not read it.'
           when k.scope_no <> all (v_scopes) then 'It is not in the workspace searched.'
           when not exists (
                  select from ragdb_data.document d
                   where d.org_no = v_org
                     and d.body_no = k.body_no
                     and (v_documents is null or d.document_no = any (v_documents)))
             then 'The filter does not let its document through.'
           when k.chunk_no <> all (v_wanted) or k.chunk_no = any (v_unwanted)
             then 'It lacks a phrase that must occur, or has one that must not.'
           when k.chunk_no = any (p_shown) then 'It is a result.'
           when r.ordinal <= p_limit
             then 'It was left out by boosts, diversity, copies, the chunks per document or the'
                  ' minimum score.'
           when r.ordinal <= 50 then format(
             '%s chunks score higher; the last result has %s.',
             r.ordinal - 1, round((v_ranked[p_limit]).score::numeric, 3))
           when r.ordinal is not null then format(
             '%s chunks score higher; phrase and sentence count for the best 50 alone.',
             r.ordinal - 1)
           when p_mode = 'keyword' and l.lexical is null then 'It has no word of the query.'
           else format('It is not among the best %s by words or by meaning.', c_wide)
         end
    from unnest(p_chunks) w(chunk_no)
    left join lateral (
      select c.chunk_no, c.scope_no, c.body_no
        from ragdb_data.chunk c
       where c.org_no = v_org and c.chunk_no = w.chunk_no
      offset 0) k on true
    left join lateral (
      select e.version, e.embedding
        from ragdb_data.chunk_vector e
       where e.org_no = v_org
         and e.version = (select ragdb_data._embedding_version())
         and e.chunk_no = w.chunk_no
      offset 0) v on true
    left join lateral (
      select sum(ln(1 + (b.n - f.df + 0.5::float8) / (f.df + 0.5::float8))
                 * 2.2::float8 * t.tf / (t.tf + 0.3::float8 + 0.9::float8 * t.length / b.length))
               as lexical
        from (select (v_trace ->> 'chunks_in_scope')::float8 as n,
                     (v_trace ->> 'average_length')::float8 as length) b
       cross join lateral (
         select u.term, ragdb_data._length(c.terms) as length,
                sum(case when u.position < array_position(c.terms, 0) then 3 else 1 end)::float8
                  as tf
           from ragdb_data.chunk_word c
          cross join lateral unnest(c.terms) with ordinality u(term, position)
          where c.org_no = v_org
            and c.chunk_no = w.chunk_no
            and u.term = any (v_terms)
            and u.term <> 0
          group by u.term, c.terms) t
        join ragdb_data._frequencies(v_org, v_scopes, v_terms) f on f.term = t.term) l
      on p_mode <> 'vector'
    left join unnest(v_ranked) with ordinality r(
           chunk_no, score, lexical, lexical_rank, cosine, vector_rank, phrase, sentence,
           confidence, documents, document_no, boost, ordinal) on r.chunk_no = w.chunk_no;
end;
$$;

comment on function ragdb_data._why_not(
  text, int4, jsonb, text, text, text, boolean, int8[], int8[]) is
$$What kept chunks out of the results p_shown, with their scores and ranks among the best 1,000, and
in the vector leg among all.$$;

-- Its result has changed.
drop function if exists ragdb.explain_search(
  text, int4, jsonb, text, text, text, text[], boolean, float8, int4, boolean, jsonb, float8, int8,
  uuid);

create or replace function ragdb.explain_search(
  p_query text,
  p_limit int4 default 10,
  p_filters jsonb default null,
  p_mode text default 'hybrid',
  p_workspace text default null,
  p_language text default null,
  p_queries text[] default null,
  p_correct boolean default false,
  p_diversity float8 default 0,
  p_per_document int4 default null,
  p_distinct boolean default false,
  p_boosts jsonb default null,
  p_min_score float8 default null,
  p_chunk int8 default null,
  p_document uuid default null)
  returns table (
    rank int4, title text, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8, confidence float8, chunk_id int8, trace jsonb,
    normal_lexical float8, base float8, boost float8, reason text, words jsonb)
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
  c_chunks constant int4 := 20;
  v_org int4 := ragdb.current_org_no();
  v_found ragdb_data.ranked_chunk[];
  v_trace jsonb;
  v_weights record;
  v_asked int8[];
begin
  select array_agg((s.chunk_no, s.score, s.lexical, s.lexical_rank, s.cosine, s.vector_rank,
                    s.phrase, s.sentence, s.confidence, null, null, s.boost
                   )::ragdb_data.ranked_chunk order by s.rank) filter (where s.rank is not null),
         (array_agg(s.trace) filter (where s.rank is null))[1]
    into v_found, v_trace
    from ragdb_data._results(
           p_query, p_limit, 0, p_filters, p_mode, p_workspace, p_language,
           p_queries, p_correct, p_diversity, p_per_document, p_distinct, p_boosts,
           p_min_score, true) s;
  select w.* into v_weights
    from jsonb_to_record(v_trace -> 'weights') w(vector float8, phrase float8, sentence float8);
  rank := null;
  trace := v_trace;
  return next;

  if p_chunk is not null or p_document is not null then
    v_asked := array(
      select k.chunk_no
        from ragdb_data.document d
        join ragdb_data.chunk k on k.org_no = v_org and k.body_no = d.body_no
       where d.org_no = v_org and d.id = p_document
       order by k.chunk_no
       limit c_chunks) || p_chunk;
    v_asked := array_remove(v_asked, null);
  end if;

  return query
  select u.rank, b.title, u.score, u.lexical, u.lexical_rank, u.cosine, u.vector_rank,
         u.phrase, u.sentence, u.confidence, u.chunk_no, null::jsonb,
         case when p_mode = 'hybrid' then s.base - v_weights.vector * coalesce(u.cosine, 0) end,
         s.base, u.boost, u.reason, x.words
    from (select f.ordinal::int4 as rank, f.chunk_no, f.score, f.lexical, f.lexical_rank,
                 f.cosine, f.vector_rank, f.phrase, f.sentence, f.confidence, f.boost,
                 null as reason
            from unnest(v_found) with ordinality f(
                   chunk_no, score, lexical, lexical_rank, cosine, vector_rank, phrase, sentence,
                   confidence, documents, document_no, boost, ordinal)
          union all
          select null, w.chunk_no, w.score, w.lexical, w.lexical_rank, w.cosine, w.vector_rank,
                 w.phrase, w.sentence, w.confidence, null, w.reason
            from ragdb_data._why_not(
                   p_query, p_limit, p_filters, p_mode, p_workspace, p_language, p_correct,
                   v_asked, array(select f.chunk_no from unnest(v_found) f)) w
           where v_asked is not null) u
    left join ragdb_data._word_scores(
           v_org, v_trace ->> 'language', v_trace -> 'words',
           (v_trace ->> 'chunks_in_scope')::float8, (v_trace ->> 'average_length')::float8,
           array(select f.chunk_no from unnest(v_found) f) || v_asked) x
      on x.chunk_no = u.chunk_no and p_mode <> 'vector'
    left join lateral (
      select d.title
        from ragdb_data.chunk k
        join ragdb_data.document d on d.org_no = v_org and d.body_no = k.body_no
       where k.org_no = v_org and k.chunk_no = u.chunk_no
       order by d.document_no
       limit 1) b on true
   cross join lateral (
     select case
              when coalesce(cardinality(p_queries), 0) > 0 then null
              when p_mode = 'hybrid' then u.score / coalesce(u.boost, 1)
                                          - v_weights.phrase * u.phrase
                                          - v_weights.sentence * u.sentence
              else u.score / coalesce(u.boost, 1)
            end as base) s
   order by u.rank nulls last, u.score desc nulls last, u.chunk_no;
end;
$$;

comment on function ragdb.explain_search(
  text, int4, jsonb, text, text, text, text[], boolean, float8, int4, boolean, jsonb, float8, int8,
  uuid) is
$$Why search() returns what it returns, or does not return a chunk or a document.

First comes a row on what the legs did, without a chunk.
trace, in that row: words of the query with the chunks that have each and its idf; corrections,
synonyms; what is quoted and which phrases of it must occur; exclusions; chunks in scope and
matching; how the vector leg was searched and
why; candidates and reranked; weights; milliseconds per stage.
Then the results. normal_lexical: lexical / the best lexical; base: that + weight * cosine; score:
base + weights * phrase and sentence, times boost. base is null with several queries, whose features
are those of the first that found the chunk. words: what each word of the query contributes to
lexical, 0 where the chunk lacks it; a title counts three times. In mode hybrid the cosines of the
best 50 are with the query's vector moved towards those of the two best, all others and vector_rank
with the vector as it is.
Last, without a rank, the chunk p_chunk and the first 20 of p_document, each with its scores and the
reason why it is no result.
confidence: how surely the corpus is about the query, 0 to 1. Arguments and errors as search().$$;
