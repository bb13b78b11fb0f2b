-- What callers search with: the ranking of 41_ranking.sql with titles, snippets and the place of
-- each chunk, or explained.

create or replace function ragdb_data._highlight_pattern(p_language text, p_query text)
  returns text
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select '(?i)' || nullif(concat_ws('|', w.pattern, d.pattern), '')
    from (select '\m(?:'
                 || string_agg(regexp_replace(l, '(?<=....)[iy]$', ''), '|'
                               order by length(l) desc, l)
                 || ')[[:alnum:]]{0,4}\M' as pattern
            from unnest(tsvector_to_array(to_tsvector(
                   p_language::regconfig,
                   regexp_replace(
                     lower(p_query collate "pg_c_utf8"),
                     '[^[:alnum:]]+' collate "pg_c_utf8", ' ', 'g')))) l
           where l !~ '[^[:alnum:]]'
             and (octet_length(l) = length(l) or l !~ ('[' || ragdb_data._dense() || ']'))) w
    left join (
      select '[' || string_agg(distinct m.match[1], '') || ']'
             || case when p_query ~ ('[' || ragdb_data._dense() || ']{2}') then '{2,}' else '' end
             as pattern
        from regexp_matches(p_query, '([' || ragdb_data._dense() || '])', 'g') m(match)
       where octet_length(p_query) > length(p_query)) d on true
$$;

comment on function ragdb_data._highlight_pattern(text, text) is
$$Regular expression for the words of a query in a text, found by their stems, and for runs of its
characters in scripts without spaces; null when all are stop words.$$;

create or replace function ragdb_data._snippet(p_content text, p_pattern text)
  returns text
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_content text collate "pg_c_utf8" := p_content || '';  -- unpacked once
  -- Not regexp_instr(), for which the pattern would be compiled once more.
  v_hit int4 := strpos(v_content, substring(v_content, p_pattern));
  v_start int4 := case when v_hit > 80 then v_hit - 60 else 1 end;
  v_text text collate "pg_c_utf8" := substr(v_content, v_start, 240);
begin
  v_text := replace(replace(replace(v_text, E'\n', ' '), E'\t', ' '), E'\r', ' ');
  while strpos(v_text, '  ') > 0 loop
    v_text := replace(v_text, '  ', ' ');
  end loop;
  -- Words that the cut went through are left out.
  if v_start > 1 then
    v_text := '… ' || substr(v_text, strpos(v_text, ' ') + 1);
  end if;
  if v_start + 240 <= length(v_content) then
    v_text := left(v_text, length(v_text) - strpos(reverse(v_text), ' ')) || ' …';
  end if;
  v_text := btrim(v_text);
  return coalesce(regexp_replace(v_text, p_pattern, '**\&**', 'g'), v_text);
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
  p_offset int4 default 0,
  p_queries text[] default null,
  p_correct boolean default false,
  p_diversity float8 default 0,
  p_per_document int4 default null,
  p_distinct boolean default false,
  p_boosts jsonb default null,
  p_min_score float8 default null,
  p_neighbours int4 default 0,
  p_section boolean default false)
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
begin
  if p_neighbours is null or p_neighbours not between 0 and 20 or p_section is null then
    raise exception 'The neighbours must be 0 to 20.'
      using errcode = 'PT422',
            constraint = 'invalid_option',
            hint = 'p_section => true returns the whole section.';
  end if;
  return query
  with found as materialized (
    select s.*, d.title, d.url, d.id,
           c.heading_path, c.page, c.char_start, c.char_end, c.content
      from ragdb_data._results(
             p_query, p_limit, p_offset, p_filters, p_mode, p_workspace, p_language,
             p_queries, p_correct, p_diversity, p_per_document, p_distinct, p_boosts,
             p_min_score) s
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
        limit 1) d)
  select f.rank, f.title,
         ragdb_data._snippet(f.content, w.pattern),
         f.score, f.url, f.heading_path, f.page, f.id, f.chunk_no,
         coalesce(a.char_start, f.char_start), coalesce(a.char_end, f.char_end),
         f.lexical, f.lexical_rank, f.cosine, f.vector_rank, coalesce(a.content, f.content)
    from found f
   cross join lateral (
     select ragdb_data._highlight_pattern(
              (select min(o.language) from found o),
              concat_ws(' ', ragdb_data._query_text(p_query),
                        array_to_string(p_queries, ' '))) as pattern
     offset 0) w
    -- The condition stands inside, so that nothing is called where it does not hold.
    left join lateral (
      select x.*
        from ragdb_data._surroundings(v_org, f.chunk_no, p_neighbours, p_section) x
       where p_neighbours > 0 or p_section
      offset 0) a on true
   order by f.rank;
end;
$$;

comment on function ragdb.search(
  text, int4, jsonb, text, text, text, int4, text[], boolean, float8, int4, boolean, jsonb, float8,
  int4, boolean) is
$$Search the caller's documents; the best chunks first.

p_query: words or a question. "An exact phrase" among words must occur, -word (of two letters) and
-"a phrase" must not; both by stems, chunk by chunk. In a question or sentence (it has a stop word
outside the phrases, or ends with ?), and where no chunk that matches otherwise has all the phrases,
which a notice tells, quoted words are words like others. +"A phrase" must occur in any case. Other
quotation marks and dashes are text.
p_mode: hybrid, keyword (BM25 only) or vector. p_limit 1 to 1000, p_offset for the next page: pages
of one size neither repeat a chunk nor skip one while nothing is written; to page through one state,
ask in one transaction of isolation level repeatable read.
p_workspace: a slug or id; then only its documents, the caller's own in it, and those shared with
the organization. p_language: of the query, default the one of the texts there that it seems to be
in.
p_filters: keys document, source, label, lang, date, title, metadata.<path>, and, or, not; operators
eq ne gt gte lt lte in contains exists.
Never fewer rows than the limit while that many chunks match; in mode keyword a chunk matches when
it has a word of the query or a synonym.
score: hybrid about 0 to 3, keyword BM25, vector cosine. lexical_score and vector_score are the
legs' own, null where the leg had none.
p_queries: up to 10 other ways to ask the same; the score is the mean over all. p_correct: replace
words that no document has, as corrected_query() does.
p_diversity: 0 to 1, how much a result loses by being like those before it. p_per_document: at most
so many chunks of each. p_distinct: leave out chunks nearly the same as a better one.
p_boosts: {"recency": {"half_life_days": 30, "weight": 0.2}, "labels": {"policy": 0.3}}; a score is
multiplied by 1 + weight * 2^(-age / half life), by the document's date or else its last change, and
by 1 + weight for each label. p_min_score: leave out lower ones, boosts reckoned in. These choose
among the best 50, then the best 200, and so on.
p_neighbours: return so many chunks before and after in content too, 0 to 20; p_section: the whole
section under the chunk's heading, at most 20 chunks to either side. char_start and char_end are
those of content.
Example: select title, score, snippet from ragdb.search('rotate keys', 5, '{"lang": "en"}');
Needs rag:read. Raises PT422 empty_query, query_too_long, invalid_limit, unknown_search_mode,
unknown_filter_key, unknown_filter_operator, invalid_filter, invalid_boosts, invalid_option,
too_many_queries or unknown_language, PT404 workspace_not_found.$$;

