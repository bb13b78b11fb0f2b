-- What callers search with: the ranking of 41_ranking.sql with titles, snippets and the place of
-- each chunk, or explained.

create or replace function ragdb_data._highlight_pattern(p_language text, p_query text)
  returns text
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select '\m(?:'
         || string_agg(regexp_replace(l, '(?<=....)[iy]$', ''), '|' order by length(l) desc, l)
         || ')[[:alnum:]]{0,4}\M'
    from unnest(tsvector_to_array(to_tsvector(
           p_language::regconfig,
           regexp_replace(
             lower(p_query collate "pg_c_utf8"),
             '[^[:alnum:]]+' collate "pg_c_utf8", ' ', 'g')))) l
   where l !~ '[^[:alnum:]]'
$$;

comment on function ragdb_data._highlight_pattern(text, text) is
$$Regular expression for the words of a query in a text, found by their stems; null when all are
stop words.$$;

create or replace function ragdb_data._snippet(p_content text, p_pattern text)
  returns text
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_hit int4 := regexp_instr(p_content collate "pg_c_utf8", p_pattern, 1, 1, 0, 'i');
  v_start int4 := case when v_hit > 80 then v_hit - 60 else 1 end;
  v_text text := regexp_replace(
    substr(p_content, v_start, 240), '\s{2,}|(?! )\s', ' ', 'g');
begin
  -- Words that the cut went through are left out.
  if v_start > 1 then
    v_text := '… ' || substr(v_text, strpos(v_text, ' ') + 1);
  end if;
  if v_start + 240 <= length(p_content) then
    v_text := left(v_text, length(v_text) - strpos(reverse(v_text), ' ')) || ' …';
  end if;
  v_text := btrim(v_text);
  return coalesce(regexp_replace(v_text collate "pg_c_utf8", p_pattern, '**\&**', 'gi'), v_text);
end;
$$;

comment on function ragdb_data._snippet(text, text) is
$$About 240 characters around the first match of a pattern, on one line, with the matches between **
and **.$$;

create or replace function ragdb.search(
  p_query text,
  p_limit int4 default 10,
  p_filters jsonb default null,
  p_mode text default 'hybrid',
  p_workspace text default null,
  p_language text default null,
  p_offset int4 default 0)
  returns table (
    rank int4, title text, snippet text, score float8, url text, heading_path text[], page int4,
    document_id uuid, chunk_id int8, char_start int4, char_end int4,
    lexical_score float8, lexical_rank int4, vector_score float8, vector_rank int4,
    content text)
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
  v_org int4 := ragdb.current_org_no();
  v_pattern text;
begin
  v_pattern := ragdb_data._highlight_pattern(
    ragdb_data._query_language(p_language, p_workspace), p_query);
  return query
  select s.rank, d.title, ragdb_data._snippet(c.content, v_pattern), s.score, d.url,
         c.heading_path, c.page, d.id, c.chunk_no, c.char_start, c.char_end,
         s.lexical, s.lexical_rank, s.cosine, s.vector_rank, c.content
    from ragdb_data._search(
           p_query, p_limit, p_offset, p_filters, p_mode, p_workspace, p_language) s
   cross join lateral (
     select k.*
       from ragdb_data.chunk k
      where k.org_no = v_org and k.chunk_no = s.chunk_no
     offset 0) c
   cross join lateral (
     select d.title, d.url, d.id
       from ragdb_data.document d
      where d.org_no = v_org
        and d.body_no = c.body_no
        and (s.documents is null or d.document_no = any (s.documents))
      order by d.document_no
      limit 1) d
   order by s.rank;
end;
$$;

comment on function ragdb.search(text, int4, jsonb, text, text, text, int4) is
$$Search the caller's documents; the best chunks first.

p_mode: hybrid, keyword (BM25 only) or vector. p_limit 1 to 1000, p_offset for the next page.
p_workspace: a slug or id; then only its documents, the caller's own in it, and those shared with
the organization. p_language: of the query, default the workspace's.
p_filters: keys document, source, label, lang, date, title, metadata.<path>, and, or, not; operators
eq ne gt gte lt lte in contains exists.
Never fewer rows than the limit while that many chunks match; in mode keyword a chunk matches when
it has a word of the query.
score: hybrid about 0 to 3, keyword BM25, vector cosine. lexical_score and vector_score are the
legs' own, null where the leg had none.
Example: select title, score, snippet from ragdb.search('rotate keys', 5, '{"lang": "en"}');
Needs rag:read. Raises PT422 empty_query, query_too_long, invalid_limit, unknown_search_mode,
unknown_filter_key, unknown_filter_operator, invalid_filter or unknown_language, PT404
workspace_not_found.$$;

create or replace function ragdb.explain_search(
  p_query text,
  p_limit int4 default 10,
  p_filters jsonb default null,
  p_mode text default 'hybrid',
  p_workspace text default null,
  p_language text default null)
  returns table (
    rank int4, title text, score float8,
    lexical float8, lexical_rank int4, cosine float8, vector_rank int4,
    phrase float8, sentence float8, confidence float8, chunk_id int8, trace jsonb)
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
  v_org int4 := ragdb.current_org_no();
begin
  return query
  select s.rank, b.title, s.score, s.lexical, s.lexical_rank, s.cosine, s.vector_rank,
         s.phrase, s.sentence, s.confidence, s.chunk_no, s.trace
    from ragdb_data._search(
           p_query, p_limit, 0, p_filters, p_mode, p_workspace, p_language,
           p_explain => true) s
    left join lateral (
      select d.title
        from ragdb_data.chunk k
        join ragdb_data.document d on d.org_no = v_org and d.body_no = k.body_no
       where k.org_no = v_org and k.chunk_no = s.chunk_no
       order by d.document_no
       limit 1) b on true
   order by s.rank nulls first;
end;
$$;

comment on function ragdb.explain_search(text, int4, jsonb, text, text, text) is
$$Why search() returns what it returns: every feature of each result's score.

First comes a row on what the legs did.
trace, in the row without a rank: chunks in scope and matching, candidates, exact or HNSW,
milliseconds per stage.
confidence: how surely the corpus is about the query, 0 to 1; the same in every row. Arguments and
errors as search().$$;
