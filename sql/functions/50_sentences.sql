-- Sentences: which of them, in the best passages, answers the question.

create or replace function ragdb_data._sentences(p_text text)
  returns table (ordinal int4, char_start int4, sentence text)
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select row_number() over (order by p.ordinal)::int4,
         (p.past - length(ltrim(p.piece, E' \t\n\r')))::int4,
         substr(p_text, (p.past - length(ltrim(p.piece, E' \t\n\r')))::int4 + 1,
                length(btrim(p.piece, E' \t\n\r')))
    from (select s.piece, s.ordinal,
                 sum(length(s.piece)) over (order by s.ordinal) as past,
                 sum(regexp_count(s.piece, '^\s*(```|~~~)', 1, 'n'))
                   over (order by s.ordinal) as fences
            from string_to_table(
                   regexp_replace(
                     translate(p_text, E'\x1e', ' '),
          '([.!?]["'')\]]*[ \t\r\n]+(?=["''(\[]?[[:upper:]0-9])|\n[ \t]*(?=\n|[-*+|>#]|\d+[.)]\s))'
                       collate "pg_c_utf8",
                     E'\\1\x1e', 'g'),
                   E'\x1e') with ordinality s(piece, ordinal)) p
   where p.piece ~ '\S'
     and p.fences % 2 = 0
     and p.piece !~ '^\s*(```|~~~)'
$$;

comment on function ragdb_data._sentences(text) is
$$Sentences, list items and paragraphs of a text with their offsets in it, in characters from 0; not
code between fences.$$;

create or replace function ragdb_data._question_kind(p_question text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select case
    when lower(p_question) ~ '\m(how (many|much|long|often|old|far|large|big|tall|fast))\M'
      then '\d|\m(one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million)\M'
    when lower(p_question) ~ '\m(when|what year|which year|what date)\M'
      then '\m(1\d|20)\d\d\M|\d+ (day|week|month|year)|'
           '\m(January|February|March|April|May|June|July|August|September|October|November|'
           'December)\M'
    when lower(p_question) ~ '\m(who|whom|whose|where)\M'
      then '[^.\s]\s+[A-Z][a-z]+'
  end
$$;

comment on function ragdb_data._question_kind(text) is
$$Regular expression that a sentence answering this kind of question (how many, when, who) is
expected to match; null if any does.$$;

create or replace function ragdb_data._best_sentences(
  p_question text, p_language text, p_chunk_ids int8[], p_contents text[], p_scores float8[])
  returns table (chunk_id int8, char_start int4, sentence text, score float8)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_terms int4[] := array_remove(ragdb_data._terms(p_language, p_question), 0);
  v_embedding public.halfvec := ragdb.embed(p_question);
  v_kind text := ragdb_data._question_kind(p_question);
  v_sentences text[];
  v_chunks int4[];
  v_starts int4[];
begin
  select array_agg(s.sentence order by c.ordinal, s.ordinal),
         array_agg(c.ordinal::int4 order by c.ordinal, s.ordinal),
         array_agg(s.char_start order by c.ordinal, s.ordinal)
    into v_sentences, v_chunks, v_starts
    from unnest(p_contents) with ordinality c(content, ordinal)
   cross join lateral ragdb_data._sentences(c.content) s
   where s.sentence !~ '^(#{1,6}\s|```|~~~|[|:\s-]+$)'
     and length(s.sentence) between 12 and 1200;

  return query
  with word as materialized (
    select s.ordinal, t.term,
           lead(t.term) over (partition by s.ordinal order by t.position) as next_term
      from unnest(v_sentences) with ordinality s(sentence, ordinal)
     cross join lateral unnest(
             array_remove(ragdb_data._terms(p_language, s.sentence), 0))
             with ordinality t(term, position)),
  -- Rarity among these sentences stands in for the corpus: the words that tell them apart count
  -- most.
  weight as materialized (
    select q.term,
           ln(1 + cardinality(v_sentences)::float8
                  / (0.5::float8 + count(distinct w.ordinal))) as idf
      from (select distinct unnest(v_terms) as term) q
      left join word w on w.term = q.term
     group by q.term),
  coverage as (
    select d.ordinal, sum(x.idf) / (select sum(w.idf) from weight w) as share
      from (select distinct w.ordinal, w.term from word w) d
      join weight x on x.term = d.term
     group by d.ordinal),
  pair as (
    select a.term, b.term as next_term
      from unnest(v_terms) with ordinality a(term, position)
      join unnest(v_terms) with ordinality b(term, position) on b.position = a.position + 1),
  phrase as (
    select d.ordinal, count(*)::float8 / greatest(1, cardinality(v_terms) - 1) as share
      from (select distinct w.ordinal, p.term, p.next_term
              from word w
              join pair p on p.term = w.term and p.next_term = w.next_term) d
     group by d.ordinal)
  select p_chunk_ids[v_chunks[u.ordinal]], v_starts[u.ordinal], u.sentence,
         coalesce(c.share, 0)
         + 0.3::float8 * coalesce(h.share, 0)
         + 0.5::float8 * coalesce(1 - (e.embedding operator(public.<=>) v_embedding), 0)
         + case
             when v_kind is null then 0
             when u.sentence ~ v_kind then 0.15::float8
             else -0.15::float8
           end
         + 0.5::float8 * (p_scores[v_chunks[u.ordinal]] - p_scores[1])
    from unnest(v_sentences) with ordinality u(sentence, ordinal)
    left join coverage c on c.ordinal = u.ordinal
    left join phrase h on h.ordinal = u.ordinal
    left join ragdb.embed_batch(v_sentences) e on e.ordinal = u.ordinal
   order by 4 desc, u.ordinal;
end;
$$;

comment on function ragdb_data._best_sentences(text, text, int8[], text[], float8[]) is
$$Sentences of the passages (ids, texts and search scores, best passage first) by how well each
answers the question.

score = share of the question's idf + .3 phrase + .5 cosine +- .15 for the kind of question + .5
(passage score - best passage score).$$;
