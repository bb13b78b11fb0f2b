-- The query as it is written: "an exact phrase" must occur, -word and -"a phrase" must not.
--
-- A quotation mark opens a phrase at the start of a word and closes it at the end of one; a dash
-- excludes where a letter or a phrase follows it and nothing goes before. Every other quotation
-- mark and dash is text. Phrases hold as filters do, inside each leg: they resolve to chunks, by
-- the postings of their stems and then by the order of the chunk's words.

create or replace function ragdb_data._parse_query(
  p_query text, out words text, out phrases text[], out excluded text[])
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_phrase constant text := '"[^"]*[[:alnum:]][^"]*"(?![[:alnum:]"])';
  c_start constant text := '(?<![^\s(])';
  v_query text := translate(p_query, '“”„‟«»', '""""""') collate "pg_c_utf8";
  v_rest text;
begin
  words := p_query;
  if v_query !~ (c_start || '-?"|' || c_start || '-[[:alpha:]]') then
    return;
  end if;
  select array_agg(btrim(m.match[1], '"')) into phrases
    from regexp_matches(v_query, c_start || '(' || c_phrase || ')', 'g') m(match);
  select array_agg(btrim(m.match[1], '"')) into excluded
    from regexp_matches(v_query, c_start || '-(' || c_phrase || ')', 'g') m(match);
  v_rest := regexp_replace(v_query, c_start || '-' || c_phrase, ' ', 'g');
  select excluded || array_agg(m.match[1]) into excluded
    from regexp_matches(
           regexp_replace(v_rest, c_start || c_phrase, ' ', 'g'),
           c_start || '-([[:alpha:]][^\s"]*)', 'g') m(match);
  v_rest := regexp_replace(
    v_rest, '(' || c_start || c_phrase || ')|' || c_start || '-[[:alpha:]][^\s"]*', '\1', 'g');
  if v_rest !~ '[[:alnum:]]' then
    -- Nothing is left to search for: so it was not meant that way.
    phrases := null;
    excluded := null;
  elsif phrases is not null or excluded is not null then
    words := translate(v_rest, '"', ' ');
  end if;
end;
$$;

comment on function ragdb_data._parse_query(text) is
$$What a query asks for: its words without the syntax, phrases that must occur and words or phrases
that must not; null without any.

A query of exclusions alone is read as text. No text is an error.$$;

create or replace function ragdb_data._query_text(p_query text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  return (ragdb_data._parse_query(p_query)).words;

comment on function ragdb_data._query_text(text) is
$$The words of a query without its syntax: what is compared with texts.$$;

create or replace function ragdb_data._spoken_language(
  p_org_no int4, p_scopes int4[], p_language text, p_query text)
  returns text
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_languages text[] := array(
    select distinct l.language
      from ragdb_data.scope_language l
     where l.org_no = p_org_no and l.scope_no = any (p_scopes)
     limit 20);
begin
  if v_languages = array[p_language] or v_languages = '{}' then
    return p_language;
  elsif cardinality(v_languages) = 1 then
    return v_languages[1];
  end if;
  return (
    select l.language
      from unnest(v_languages) l(language)
     cross join lateral (
       select count(*) filter (
                where exists (select from ragdb_data.posting p
                               where p.org_no = p_org_no
                                 and p.term = t.term
                                 and p.scope_no = any (p_scopes))
                   or exists (select from ragdb_data.segment_posting g
                               where g.org_no = p_org_no
                                 and g.term = t.term
                                 and g.scope_no = any (p_scopes)))::float8
              / greatest(count(*), 1) as known
         from (select distinct u.term
                 from unnest(ragdb_data._terms(l.language, left(p_query, 1000))) u(term)
                where u.term <> 0) t) k
     order by k.known desc, l.language <> p_language, l.language
     limit 1);
end;
$$;

comment on function ragdb_data._spoken_language(int4, int4[], text, text) is
$$Language a query is in: of those the texts of the scopes are in, the one with the greatest share of
the query's stems known there; p_language where that does not tell.$$;

create or replace function ragdb_data._place(
  p_workspace text, p_language text, p_query text, out scopes int4[], out language text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_context text[] := ragdb_data._context();
  v_org int4 := v_context[1]::int4;
  v_workspace ragdb_data.workspace;
begin
  scopes := string_to_array(v_context[6], ',')::int4[];
  language := v_context[7];
  if p_workspace is not null then
    v_workspace := ragdb_data._workspace(p_workspace);
    language := v_workspace.language;
    scopes := array(select s.scope_no
                      from ragdb_data.scope s
                     where s.org_no = v_org
                       and s.scope_no = any (scopes)
                       and (s.scope_no = 0 or s.workspace_no = v_workspace.workspace_no));
  end if;
  if p_language is not null then
    language := ragdb_data._language(p_language);
  else
    language := ragdb_data._spoken_language(v_org, scopes, language, p_query);
  end if;
end;
$$;

comment on function ragdb_data._place(text, text, text) is
$$Where a search looks, and how its query is read: the caller's scopes, or those of a workspace; the
language as said, else the one of the texts there that the query seems to be in.

Raises PT422 unknown_language, PT404 workspace_not_found.$$;

create or replace function ragdb_data._chunks_with(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_limit int4 default null)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_distinct int4[] := array(select distinct t from unnest(p_terms) t where t <> 0);
  v_found int8[];
begin
  select array_agg(c.chunk_no) into v_found
    from (select p.chunk_no
            from ragdb_data.posting p
           where p.org_no = p_org_no
             and p.term = any (v_distinct)
             and p.scope_no = any (p_scopes)
           group by p.chunk_no
          having count(*) = cardinality(v_distinct)) c;
  -- One bit a chunk of the segment: has it all of them?
  select v_found || array_agg(s.chunk_no) into v_found
    from (select g.segment_no,
                 bit_and(public.binary_quantize(g.impacts::public.vector)::bit(4000)) as holds
            from ragdb_data.segment_posting g
           where g.org_no = p_org_no
             and g.term = any (v_distinct)
             and g.scope_no = any (p_scopes)
           group by g.segment_no
          having count(*) = cardinality(v_distinct)) b
   cross join lateral string_to_table(b.holds::text, null) with ordinality h(bit, position)
    join ragdb_data.slot s
      on s.org_no = p_org_no and s.slot_no = 4096::int8 * b.segment_no + h.position - 1
   where bit_count(b.holds) > 0
     and h.bit = '1';

  -- Their order, and that they live: words go with their chunk.
  return array(
    select w.chunk_no
      from (select u.chunk_no from unnest(v_found) u(chunk_no) order by u.chunk_no desc) f
     cross join lateral (
       select c.chunk_no, c.terms || '{}'::int4[] as terms
         from ragdb_data.chunk_word c
        where c.org_no = p_org_no and c.chunk_no = f.chunk_no
       offset 0) w
     where cardinality(p_terms) = 1
        or exists (
             select from unnest(array_positions(w.terms, p_terms[1])) p(position)
              where w.terms[p.position : p.position + cardinality(p_terms) - 1] = p_terms)
     limit p_limit);
end;
$$;

comment on function ragdb_data._chunks_with(int4, int4[], int4[], int4) is
$$Chunks of the scopes that have these stems, one directly after the other; at most p_limit of
them.$$;

create or replace function ragdb_data._phrase_terms(p_language text, p_phrase text)
  returns int4[]
  language sql
  stable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  -- The end of a sentence counts within a phrase, not around it.
  select t.terms[min(u.position) : max(u.position)]
    from (select ragdb_data._terms(p_language, p_phrase) as terms) t
   cross join lateral unnest(t.terms) with ordinality u(term, position)
   where u.term <> 0
   group by t.terms
$$;

comment on function ragdb_data._phrase_terms(text, text) is
$$The stems of a phrase as they stand in a chunk's words; null when all are stop words.$$;

create or replace function ragdb_data._resolve_phrases(
  p_org_no int4, p_scopes int4[], p_language text, p_phrases text[], p_excluded text[],
  p_chunks int8[], p_few int4 default 1000, out wanted int8[], out unwanted int8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_phrase text;
  v_terms int4[];
  v_found int8[];
begin
  wanted := p_chunks;
  foreach v_phrase in array coalesce(p_phrases, '{}') loop
    v_terms := ragdb_data._phrase_terms(p_language, v_phrase);
    continue when v_terms is null;
    v_found := ragdb_data._chunks_with(p_org_no, p_scopes, v_terms);
    wanted := case when wanted is null then v_found
                else array(select unnest(wanted) intersect select unnest(v_found)) end;
  end loop;
  foreach v_phrase in array coalesce(p_excluded, '{}') loop
    v_terms := ragdb_data._phrase_terms(p_language, v_phrase);
    continue when v_terms is null;
    unwanted := array(select unnest(unwanted)
                      union
                      select unnest(ragdb_data._chunks_with(p_org_no, p_scopes, v_terms)));
  end loop;
  if wanted is not null then
    wanted := array(select unnest(wanted) except select unnest(unwanted));
    unwanted := null;
  elsif cardinality(unwanted) > p_few then
    wanted := array(
      select u.chunk_no
        from (select p.chunk_no
                from ragdb_data.posting p
               where p.org_no = p_org_no and p.term = 0 and p.scope_no = any (p_scopes)
              union all
              select s.chunk_no
                from ragdb_data.slot s
               where s.org_no = p_org_no and s.scope_no = any (p_scopes)
              except
              select unnest(unwanted)) u);
    unwanted := null;
  end if;
end;
$$;

comment on function ragdb_data._resolve_phrases(
  int4, int4[], text, text[], text[], int8[], int4) is
$$What phrases and exclusions leave of p_chunks, or of the scopes when that is null.

Either wanted, the only chunks to return, or unwanted, at most p_few to leave out; the other is
null, and so are both when nothing is asked for.$$;
