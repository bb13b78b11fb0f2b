-- The words of sealed chunks, learnt for 43_spelling.sql: ragdb_data.spelling has the hash of each,
-- and of each without one of its letters, beside the stem by which a chunk is found that has it.

create or replace function ragdb_data._learn_words()
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_mergejoin = off
  set enable_sort = off
  set work_mem = '64MB'
as $$
declare
  c_segments constant int4 := 5;
  c_group constant int4 := 250;  -- a lexeme has at most 256 positions in a tsvector
  v_end constant text := ragdb_data._end_mark();
  v_dense constant text := '[' || ragdb_data._dense() || ']';
  v_org int4 := ragdb.current_org_no();
  v_scopes int4[] := ragdb.current_scopes();
  v_segment record;
  v_languages text[];
  v_words text[];
  v_rows int8;
  v_learnt int8 := 0;
begin
  delete from ragdb_data.spelled_segment k
   where k.org_no = v_org
     and k.scope_no = any (v_scopes)
     and not exists (select from ragdb_data.segment g
                      where g.org_no = v_org and g.segment_no = k.segment_no);
  if found then
    delete from ragdb_data.spelling s
     where s.org_no = v_org
       and s.scope_no = any (v_scopes)
       and not exists (select from ragdb_data.segment_posting g
                        where g.org_no = v_org
                          and g.term = s.term
                          and g.scope_no = s.scope_no);
  end if;
  for v_segment in
    select g.segment_no, g.scope_no
      from ragdb_data.segment g
     where g.org_no = v_org
       and g.scope_no = any (v_scopes)
       and not exists (select from ragdb_data.spelled_segment k
                        where k.org_no = v_org and k.segment_no = g.segment_no)
     order by g.segment_no desc
     limit c_segments
  loop
    -- Rows are found by ranges of one value in their order: see put_documents().
    select array_agg(w.language), array_agg(w.word)
      into v_languages, v_words
      from (select k.language, u.word
              from (select s.chunk_no
                      from ragdb_data.slot s
                     where s.org_no = v_org
                       and s.slot_no between 4096::int8 * v_segment.segment_no
                                         and 4096::int8 * v_segment.segment_no + 4095
                     order by s.slot_no
                    offset 0) t
             cross join lateral (
               select b.language, b.title, c.content
                 from ragdb_data.chunk c
                cross join lateral (
                  select o.language, o.title
                    from ragdb_data.body o
                   where o.org_no = v_org and o.body_no between c.body_no and c.body_no
                   order by o.body_no
                   limit 1) b
                where c.org_no = v_org and c.chunk_no between t.chunk_no and t.chunk_no
                order by c.chunk_no
                limit 1) k
             cross join lateral unnest(tsvector_to_array(to_tsvector(
                     'pg_catalog.simple',
                     regexp_replace(
                       lower(concat_ws(' ', k.title, k.content) collate "pg_c_utf8"),
                       '[^[:alpha:]]+', ' ', 'g')))) u(word)
             where length(u.word) between 4 and 20
             group by k.language, u.word
            having count(*) > 1) w
     where w.word !~ v_dense;
    -- Those that are not known: a word is a variant of itself.
    select array_agg(w.language order by w.language), array_agg(w.word order by w.language)
      into v_languages, v_words
      from unnest(v_languages, v_words) w(language, word)
     where (select true
              from ragdb_data.spelling s
             where s.org_no = v_org
               and s.variant between hashtext(w.word) and hashtext(w.word)
               and s.scope_no between v_segment.scope_no and v_segment.scope_no
             order by s.variant
             limit 1) is null;

    -- Stemmed as sentences of one text: what is before the n-th end belongs to the n-th. The first
    -- stem counts.
    insert into ragdb_data.spelling (org_no, scope_no, variant, term)
    select distinct v_org, v_segment.scope_no,
           hashtext(case n.letter when 0 then s.word
                      else overlay(s.word placing '' from n.letter for 1) end),
           s.term
      from (select distinct on (g.language, g.group_no, p.sentence)
                   g.words[p.sentence + 1] as word, p.term
              from (select w.language, (w.ordinal - 1) / c_group as group_no,
                           array_agg(w.word order by w.ordinal) as words,
                           to_tsvector(
                             w.language::regconfig,
                             string_agg(w.word, ' ' || v_end || ' ' order by w.ordinal)) as lexemes
                      from unnest(v_languages, v_words) with ordinality w(language, word, ordinal)
                     group by 1, 2) g
             cross join lateral (
               select p.position, 1 + (hashtext(u.lexeme) & 536870911) as term,
                      u.lexeme = v_end as is_end,
                      (count(*) filter (where u.lexeme = v_end) over (order by p.position))::int4
                        as sentence
                 from unnest(g.lexemes) u
                cross join unnest(u.positions) p(position)) p
             where not p.is_end
             order by g.language, g.group_no, p.sentence, p.position) s
     cross join lateral generate_series(0, length(s.word)) n(letter)
    on conflict do nothing;
    get diagnostics v_rows = row_count;
    v_learnt := v_learnt + v_rows;
    insert into ragdb_data.spelled_segment (org_no, scope_no, segment_no)
    values (v_org, v_segment.scope_no, v_segment.segment_no)
    on conflict do nothing;
  end loop;
  return v_learnt;
end;
$$;

comment on function ragdb_data._learn_words() is
$$Put the words of at most 5 new segments, those that two chunks of one have, into
ragdb_data.spelling; returns how many rows that made. Where segments were made anew, words that are
no more go.$$;
