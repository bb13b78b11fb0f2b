-- The right spelling of words that no chunk has.
--
-- A misspelt word is compared with the words of the chunks themselves: those of the tail are read;
-- those of sealed chunks are found by the hashes in ragdb_data.spelling and then read from a chunk
-- that has them. So no word is ever proposed that the caller could not read at that moment.

create or replace function ragdb_data._frequencies(
  p_org_no int4, p_scopes int4[], p_terms int4[])
  returns table (term int4, df int8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  select q.term,
         (select count(*)
            from ragdb_data.posting p
           where p.org_no = p_org_no
             and p.term = q.term
             and p.scope_no = any (p_scopes))
         + (select coalesce(sum(g.df), 0)
              from ragdb_data.segment_posting g
             where g.org_no = p_org_no
               and g.term = q.term
               and g.scope_no = any (p_scopes))
         - (select count(*)
              from ragdb_data.dead_chunk d
             where d.org_no = p_org_no
               and d.scope_no = any (p_scopes)
               and q.term = any (d.terms))
    from (select distinct t as term from unnest(p_terms) t where t <> 0) q;
end;
$$;

comment on function ragdb_data._frequencies(int4, int4[], int4[]) is
$$In how many chunks of the scopes each stem is.$$;

create or replace function ragdb_data._variants(p_word text)
  returns int4[]
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select array_agg(distinct hashtext(
           case n when 0 then p_word else overlay(p_word placing '' from n for 1) end))
    from generate_series(0, length(p_word)) n
$$;

comment on function ragdb_data._variants(text) is
$$Hashes of a word, and of what is left of it without one of its letters.

Words that are one letter apart (missing, added, other, or swapped with its neighbour) have one in
common.$$;

create or replace function ragdb_data._misspelling_pattern(p_word text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select '\m(?:' || string_agg(distinct v.pattern, '|') || ')\M'
    from generate_series(1, length(p_word) + 1) n
   cross join lateral (values
           (overlay(p_word placing '[[:alpha:]]' from n for 1)),
           (overlay(p_word placing '[[:alpha:]]' from n for 0)),
           (overlay(p_word placing '' from n for 1)),
           (overlay(p_word placing reverse(substr(p_word, n, 2)) from n for 2))) v(pattern)
$$;

comment on function ragdb_data._misspelling_pattern(text) is
$$Regular expression for the words that are one letter apart from a word of letters.$$;

create or replace function ragdb_data._suggestions(
  p_org_no int4, p_scopes int4[], p_language text, p_query text)
  returns table (word text, suggestion text, chunks int8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
  set jit = off
as $$
#variable_conflict use_column
declare
  c_words constant int4 := 5;
  c_unlearnt constant int4 := 4000;
  v_words text[];
  v_patterns text[];
  v_chunks int8[];
begin
  v_words := array(
    select w.word
      from (select distinct on (m.match[1]) m.match[1] as word, m.ordinal,
                   (ragdb_data._phrase_terms(p_language, m.match[1]))[1] as term
              from regexp_matches(
                     lower(p_query collate "pg_c_utf8"), '([[:alpha:]]{4,20})', 'g')
                   with ordinality m(match, ordinal)
             where m.match[1] !~ ('[' || ragdb_data._dense() || ']')
             order by m.match[1], m.ordinal) w
      join ragdb_data._frequencies(
             p_org_no, p_scopes, ragdb_data._terms(p_language, p_query)) f
        on f.term = w.term and f.df = 0
     where not exists (select from ragdb_data.synonym s
                        where s.org_no = p_org_no
                          and s.scope_no = any (p_scopes)
                          and w.term = any (s.terms))
     order by w.ordinal
     limit c_words);
  if cardinality(v_words) = 0 then
    return;
  end if;
  select array_agg(ragdb_data._misspelling_pattern(w) order by n) into v_patterns
    from unnest(v_words) with ordinality u(w, n);

  v_chunks := array(
    select u.chunk_no
      from (select p.chunk_no
              from ragdb_data.posting p
             where p.org_no = p_org_no and p.term = 0 and p.scope_no = any (p_scopes)
            union all
            select s.chunk_no
              from ragdb_data.segment g
              join ragdb_data.slot s
                on s.org_no = p_org_no and s.slot_no / 4096 = g.segment_no
             where g.org_no = p_org_no
               and g.scope_no = any (p_scopes)
               and not exists (select from ragdb_data.spelled_segment k
                                where k.org_no = p_org_no
                                  and k.segment_no = g.segment_no)) u
     order by u.chunk_no desc
     limit c_unlearnt);
  select v_chunks || array_agg(c.chunk_no) into v_chunks
    from (select distinct s.term
            from ragdb_data.spelling s
           where s.org_no = p_org_no
             and s.variant = any (array(select v from unnest(v_words) w,
                                               unnest(ragdb_data._variants(w)) v))
             and s.scope_no = any (p_scopes)) t
   cross join lateral unnest(
           ragdb_data._chunks_with(p_org_no, p_scopes, array[t.term], 3)) c(chunk_no);

  return query
  select distinct on (w.ordinal) w.word, r.suggestion, f.df
    from (select lower(m.match[1]) as suggestion,
                 (ragdb_data._phrase_terms(min(b.language), lower(m.match[1])))[1] as term
            from ragdb_data.chunk k
            join ragdb_data.body b on b.org_no = p_org_no and b.body_no = k.body_no
           cross join lateral regexp_matches(
                   concat_ws(' ', b.title, k.content) collate "pg_c_utf8",
                   '(' || array_to_string(v_patterns, '|') || ')', 'gi') m(match)
           where k.org_no = p_org_no
             and k.chunk_no = any (v_chunks)
             and k.scope_no = any (p_scopes)
           group by 1) r
    join unnest(v_words, v_patterns) with ordinality w(word, pattern, ordinal)
      on r.suggestion ~ w.pattern
   cross join lateral ragdb_data._frequencies(p_org_no, p_scopes, array[r.term]) f
   order by w.ordinal, f.df desc, r.suggestion;
end;
$$;

comment on function ragdb_data._suggestions(int4, int4[], text, text) is
$$For each word of a query that no chunk of the scopes has, at most 5, the most frequent word one
letter apart that one has.

Read from the newest 4,000 chunks whose words are not learnt yet, and from any that are.$$;

create or replace function ragdb_data._corrected(
  p_org_no int4, p_scopes int4[], p_language text, p_query text)
  returns text
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_suggested record;
  v_query text;
begin
  for v_suggested in
    select s.word, s.suggestion
      from ragdb_data._suggestions(p_org_no, p_scopes, p_language, p_query) s
  loop
    v_query := regexp_replace(coalesce(v_query, p_query) collate "pg_c_utf8",
                              '\m' || v_suggested.word || '\M', v_suggested.suggestion, 'gi');
  end loop;
  return v_query;
end;
$$;

comment on function ragdb_data._corrected(int4, int4[], text, text) is
$$A query with its misspelt words replaced; null when there are none.$$;

create or replace function ragdb.suggest(
  p_query text,
  p_workspace text default null,
  p_language text default null)
  returns table (word text, suggestion text, chunks int8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select s.word, s.suggestion, s.chunks
    from ragdb_data._place(p_workspace, p_language, p_query) p
   cross join ragdb_data._suggestions(
           ragdb.require('rag:read'), p.scopes, p.language,
           ragdb_data._query_text(left(p_query, 10000))) s;
end;
$$;

comment on function ragdb.suggest(text, text, text) is
$$What words of a query were probably meant: those that no document the caller may search has, each
with the most frequent word of these documents that is one letter apart.

chunks: how many have the suggestion. Words of 4 to 20 letters. Needs rag:read. Raises PT422
unknown_language, PT404 workspace_not_found.$$;

create or replace function ragdb.corrected_query(
  p_query text,
  p_workspace text default null,
  p_language text default null)
  returns text
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select ragdb_data._corrected(
             ragdb.require('rag:read'), p.scopes, p.language, left(p_query, 10000))
      from ragdb_data._place(p_workspace, p_language, p_query) p);
end;
$$;

comment on function ragdb.corrected_query(text, text, text) is
$$A query with the replacements of suggest(), for "did you mean"; null when there are none.

Needs rag:read. Raises PT422 unknown_language, PT404 workspace_not_found.$$;
