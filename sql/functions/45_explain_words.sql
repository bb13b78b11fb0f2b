-- The words of a query, told to whoever asks why a search returned what it did: how rare each is,
-- and what each contributed to the keyword score of a chunk.

create or replace function ragdb_data._word_statistics(
  p_org_no int4, p_scopes int4[], p_language text, p_words text, p_n float8)
  returns jsonb
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_words text[] := array(
    select w.word
      from (select distinct on (m.match[1]) m.match[1] as word, m.ordinal
              from regexp_matches(lower(p_words collate "pg_c_utf8"), '([[:alnum:]]+)', 'g')
                   with ordinality m(match, ordinal)
             order by m.match[1], m.ordinal) w
     order by w.ordinal
     limit 100);
begin
  return (
    select jsonb_agg(
             jsonb_build_object('word', w.word)
             || case when t.terms is null then jsonb_build_object('stop_word', true)
                  else jsonb_build_object(
                         'chunks', f.df,
                         'idf', ln(1 + (p_n - f.df + 0.5::float8) / (f.df + 0.5::float8)))
                end order by w.ordinal)
      from unnest(v_words) with ordinality w(word, ordinal)
     cross join lateral (
       select ragdb_data._phrase_terms(p_language, w.word) as terms
      offset 0) t
      left join lateral (
        select min(f.df)::float8 as df
          from ragdb_data._frequencies(p_org_no, p_scopes, t.terms) f) f on true);
end;
$$;

comment on function ragdb_data._word_statistics(int4, int4[], text, text, float8) is
$$The words of a query as they were given, with the chunks that have each and its idf among p_n.$$;

create or replace function ragdb_data._word_scores(
  p_org_no int4, p_language text, p_words jsonb, p_n float8, p_length float8, p_chunks int8[])
  returns table (chunk_no int8, words jsonb)
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
  with word as materialized (
    select w.word, w.idf, array(select distinct t from unnest(p.terms) t where t <> 0) as terms
      from jsonb_to_recordset(p_words) w(word text, idf float8)
     cross join lateral (
       select ragdb_data._phrase_terms(p_language, w.word) as terms
      offset 0) p
     where w.idf is not null)
  select c.chunk_no,
         jsonb_object_agg(
           w.word,
           w.idf * 2.2::float8 * f.tf
           / (f.tf + 0.3::float8 + 0.9::float8 * ragdb_data._length(c.terms) / p_length))
    from ragdb_data.chunk_word c
   cross join word w
   cross join lateral (
     -- As often as the whole word can be there: one of a script without spaces is several terms.
     select min(n.tf)::float8 as tf
       from unnest(w.terms) t(term)
      cross join lateral (
        select coalesce(sum(case when p.position < array_position(c.terms, 0) then 3 else 1 end), 0)
                 as tf
          from unnest(array_positions(c.terms, t.term)) p(position)) n) f
   where c.org_no = p_org_no and c.chunk_no = any (p_chunks)
   group by c.chunk_no;
end;
$$;

comment on function ragdb_data._word_scores(int4, text, jsonb, float8, float8, int8[]) is
$$What each word of a query contributes to the keyword scores of chunks, 0 where they lack it.

p_words: what _word_statistics() tells; p_n, p_length: chunks in scope and their average length.$$;
