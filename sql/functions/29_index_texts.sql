-- What a chunk's index rows are made from, for many chunks at once: its stems and its vector.
--
-- Both legs need the words of a text, and texts repeat their words: each distinct word of a batch
-- is stemmed and looked up once, and the texts are put together from that.

create or replace function ragdb_data._is_plain(p_text text)
  returns boolean
  language sql
  immutable
  security invoker
  parallel safe
  return octet_length(p_text) = length(p_text)
         or p_text collate "C" !~
            '[^\u0001-\u007F\u00A0-\u00A9\u00AB\u00AC\u00AE-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF'
            '-\u012F\u0131-\u017F\u0386-\u03CE\u0400-\u045F\u2010-\u2015\u2018-\u201F\u2022'
            '\u2026\u20AC]';

comment on function ragdb_data._is_plain(text) is
$$Whether both legs see the same words in a text: Latin, Greek and Cyrillic letters and their usual
punctuation, but no combining marks, superscripts or other letters in disguise.$$;

create or replace function ragdb_data._index_texts(
  p_language text, p_titles text[], p_contents text[], p_version int4)
  returns table (ordinal int4, terms int4[], embedding public.halfvec)
  language plpgsql
  stable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_sort = on
  set enable_mergejoin = off  -- the sizes of what is unnested are guesses
  set work_mem = '64MB'  -- a kilobyte for every distinct word
as $$
declare
  c_group constant int4 := 250;  -- a lexeme has at most 256 positions in a tsvector
  v_end constant text := ragdb_data._end_mark();
  v_title_weight constant public.vector := array_fill(0.3::real, array[256]);
begin
  return query
  with source as materialized (
    select t.ordinal::int4 as ordinal, t.content, t.title,
           -- Negative, so that titles and texts number one list of passages.
           -(min(t.ordinal) over (partition by t.title collate "C"))::int4 as title_no
      from unnest(p_contents, p_titles) with ordinality t(content, title, ordinal)),
  passage as materialized (
    select p.passage_no, p.content, ragdb_data._is_plain(p.content) as is_plain
      from (select s.ordinal as passage_no, s.content from source s
            union all
            select s.title_no, s.title from source s where s.ordinal = -s.title_no) p),
  occurrence as materialized (
    select p.passage_no, u.word collate "C" as word, u.position::int4 as position
      from passage p
     cross join string_to_table(ragdb_data._plain_words(p.content), ' ')
             with ordinality u(word, position)
     where p.is_plain
       and u.word <> ''),
  other as materialized (
    select p.passage_no, u.word collate "C" as word
      from passage p
     cross join unnest(ragdb.words(p.content)) u(word)
     where not p.is_plain),
  word as materialized (
    select d.word, (row_number() over ())::int4 - 1 as word_no
      from (select distinct o.word from occurrence o where o.word <> v_end) d),
  -- Words as sentences of one text: what is before the n-th end belongs to the n-th.
  stem as materialized (
    select w.word, s.position, s.term
      from (select c_group * t.group_no + t.sentence as word_no, t.position, t.term
              from (select g.group_no, p.position, 1 + (hashtext(u.lexeme) & 536870911) as term,
                           u.lexeme = v_end as is_end,
                           (count(*) filter (where u.lexeme = v_end)
                            over (partition by g.group_no order by p.position))::int4 as sentence
                      from (select w.word_no / c_group as group_no,
                                   to_tsvector(
                                     p_language::regconfig,
                                     string_agg(w.word, ' ' || v_end || ' ' order by w.word_no))
                                     as lexemes
                              from word w
                             group by 1) g
                     cross join unnest(g.lexemes) u
                     cross join unnest(u.positions) p(position)) t
             where not t.is_end) s
      join word w on w.word_no = s.word_no
    union all
    select v_end collate "C", 0, 0),
  stems as (
    select o.passage_no, array_agg(s.term order by o.position, s.position) as terms
      from occurrence o
      join stem s on s.word = o.word
     group by o.passage_no
    union all
    select p.passage_no, ragdb_data._terms(p_language, p.content)
      from passage p
     where not p.is_plain),
  vocabulary as materialized (
    select w.word from word w
    union
    select o.word from other o),
  spelling as materialized (
    select v.word, u.part collate "C" as part
      from vocabulary v
     cross join unnest(ragdb.words(v.word)) u(part)
     where octet_length(v.word) > length(v.word)),
  part as materialized (
    select e.word, e.embedding
      from ragdb_data._word_embeddings(array(
             select v.word from vocabulary v where octet_length(v.word) = length(v.word)
             union
             select s.part from spelling s), p_version) e),
  meaning as (
    select p.word, p.embedding from part p where octet_length(p.word) = length(p.word)
    union all
    select s.word, public.sum(p.embedding)
      from spelling s
      join part p on p.word = s.part
     group by s.word),
  direction as materialized (
    select o.passage_no, public.l2_normalize(public.sum(m.embedding)) as unit
      from (select c.passage_no, c.word from occurrence c
            union all
            select r.passage_no, r.word from other r) o
      join meaning m on m.word = o.word
     group by o.passage_no)
  select s.ordinal,
         coalesce(array_remove(title_stems.terms, 0), '{}') || 0 || coalesce(stems.terms, '{}'),
         case
           when body.unit is null then title.unit
           when title.unit is null then body.unit
           else public.l2_normalize(
                  body.unit operator(public.+) (title.unit operator(public.*) v_title_weight))
         end::public.halfvec
    from source s
    left join stems on stems.passage_no = s.ordinal
    left join stems title_stems on title_stems.passage_no = s.title_no
    left join direction body on body.passage_no = s.ordinal
    left join direction title on title.passage_no = s.title_no
   order by s.ordinal;
end;
$$;

comment on function ragdb_data._index_texts(text, text[], text[], int4) is
$$Stems and vector of each of the texts under its title: as _terms() of the title, 0, _terms() of
the text, and as embed_batch().$$;
