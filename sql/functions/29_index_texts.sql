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
  set enable_mergejoin = off  -- the sizes of what is unnested are guesses:
  set enable_nestloop = off   -- whatever is joined is hashed
  set work_mem = '64MB'       -- a kilobyte for every distinct word
as $$
declare
  c_group constant int4 := 250;  -- a lexeme has at most 256 positions in a tsvector
  c_longest constant int4 := 2046;  -- bytes of a lexeme
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
    select p.passage_no, p.is_plain,
           case when p.is_plain
             then array_remove(string_to_array(ragdb_data._plain_words(p.content), ' '), '')
             else ragdb.words(p.content) end as words,
           case when not p.is_plain then ragdb_data._terms(p_language, p.content) end as terms
      from (select t.passage_no, t.content, ragdb_data._is_plain(t.content) as is_plain
              from (select s.ordinal as passage_no, s.content from source s
                    union all
                    select s.title_no, s.title from source s where s.ordinal = -s.title_no) t
            offset 0) p),
  word as materialized (
    select d.word, (row_number() over ())::int4 - 1 as word_no
      from (select distinct u.word collate "C" as word
              from passage p
             cross join unnest(p.words) u(word)) d
     where d.word <> v_end and octet_length(d.word) <= c_longest),
  -- Words as sentences of one text: what is before the n-th end belongs to the n-th. A term is
  -- numbered among those of its word, mostly one, in the bits above its hash.
  stem as materialized (
    select c_group * s.group_no + s.sentence as word_no, s.is_first,
           least(s.position - s.ended, 127)::int8 << 30 | s.term as term
      from (select g.group_no, p.position, 1 + (hashtext(u.lexeme) & 536870911) as term,
                   u.lexeme = v_end as is_end,
                   coalesce(lag(u.lexeme = v_end) over w, true) as is_first,
                   (count(*) filter (where u.lexeme = v_end) over w)::int4 as sentence,
                   coalesce(max(p.position) filter (where u.lexeme = v_end) over w, 0) as ended
              from (select w.word_no / c_group as group_no,
                           to_tsvector(
                             p_language::regconfig,
                             string_agg(w.word, ' ' || v_end || ' ' order by w.word_no))
                             as lexemes
                      from word w
                     group by 1) g
             cross join unnest(g.lexemes) u
             cross join unnest(u.positions) p(position)
            window w as (partition by g.group_no order by p.position)) s
     where not s.is_end),
  spelling as materialized (
    select w.word, u.part collate "C" as part
      from word w
     cross join unnest(ragdb.words(w.word)) u(part)
     where octet_length(w.word) > length(w.word)),
  part as materialized (
    select e.word, e.embedding
      from ragdb_data._word_embeddings(array(
             select w.word from word w where octet_length(w.word) = length(w.word)
             union
             select s.part from spelling s), p_version) e),
  meaning as (
    select p.word, p.embedding from part p where octet_length(p.word) = length(p.word)
    union all
    select s.word, public.sum(p.embedding)
      from spelling s
      join part p on p.word = s.part
     group by s.word),
  -- A row for each term, of which the first has the vector; that these are few is what the planner
  -- must believe, so that it hashes them and not the texts.
  known as materialized (
    select w.word, s.term, case when s.is_first is not false then m.embedding end as embedding
      from word w
      left join stem s on s.word_no = w.word_no
      left join meaning m on m.word = w.word
     where octet_length(w.word) between 1 and c_longest
    union all
    select v_end collate "C", 0, null),
  -- In front of that, the place of the word: the terms of a passage are in the order of the keys.
  made as (
    select p.passage_no,
           array_agg(u.position << 37 | k.term) filter (where k.term is not null) as keys,
           public.l2_normalize(public.sum(k.embedding)) as unit
      from passage p
     cross join unnest(p.words) with ordinality u(word, position)
      join known k on k.word = u.word collate "C"
     group by p.passage_no),
  indexed as materialized (
    select p.passage_no, m.unit,
           case when p.is_plain
             then array(select (k.key & 1073741823)::int4 from unnest(m.keys) k(key) order by k.key)
             else p.terms end as terms
      from passage p
      left join made m on m.passage_no = p.passage_no)
  select s.ordinal,
         array_remove(title.terms, 0) || 0 || body.terms,
         case
           when body.unit is null then title.unit
           when title.unit is null then body.unit
           else public.l2_normalize(
                  body.unit operator(public.+) (title.unit operator(public.*) v_title_weight))
         end::public.halfvec
    from source s
    join indexed body on body.passage_no = s.ordinal
    join indexed title on title.passage_no = s.title_no
   order by s.ordinal;
end;
$$;

comment on function ragdb_data._index_texts(text, text[], text[], int4) is
$$Stems and vector of each of the texts under its title: as _terms() of the title, 0, _terms() of
the text, and as embed_batch().$$;
