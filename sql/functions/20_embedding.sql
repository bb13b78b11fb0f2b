-- Embeddings without a model server. The table ragdb_data.embedding_token holds one vector per
-- WordPiece token, fitted so that the sum of a text's vectors points where a sentence
-- transformer points; an embedding is that sum at unit length. Every query and every new chunk
-- is embedded here, inside the transaction that needs it.
--
-- Nothing depends on the locale of the database: letters and case come from the built-in
-- collation pg_c_utf8, comparisons use "C".

create or replace function ragdb.words(p_text text)
  returns text[]
  language plpgsql
  immutable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  -- Punctuation, symbols, controls, private use, and every space but the plain one: leaving that
  -- out makes a match rare, which is worth half of the time.
  v_separator constant text collate "pg_c_utf8" := '[[:punct:][:cntrl:]'
    '\u00A0\u1680\u2000-\u200B\u2028\u2029\u202F\u205F\u3000\uE000-\uF8FF]';
  -- Superscripts, fractions, circled numbers and ideographs stand alone: 10² is not 102.
  v_single constant text collate "pg_c_utf8" := '([\u00B2\u00B3\u00B9\u00BC-\u00BE\u2070-\u207F'
    '\u2150-\u215F\u2460-\u249B\u3038-\u303A\u3192-\u319F\u3220-\u32BF\u3400-\u4DBF\u4E00-\u9FFF'
    '\uF900-\uFAFF\U00020000-\U0003FFFF])';
  -- Accents, Hebrew and Arabic points, kana voicing; soft hyphens, joiners, directions, selectors.
  v_mark constant text collate "pg_c_utf8" := '[\u0300-\u036F\u0483-\u0489\u0591-\u05C7'
    '\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06ED\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF'
    '\u3099\u309A\uFE20-\uFE2F\u00AD\u200C-\u200F\u202A-\u202E\u2060-\u206F\uFE00-\uFE0F\uFEFF'
    '\U000E0000-\U000E0FFF]';
  v_text text collate "pg_c_utf8" := p_text;
begin
  if octet_length(v_text) > length(v_text) then
    v_text := regexp_replace(v_text, v_separator, ' ', 'g');
  end if;

  -- Most English text is plain ASCII once its typographic quotes and dashes are gone.
  if octet_length(v_text) = length(v_text) then
    v_text := regexp_replace(lower(v_text collate "C"), '[^a-z0-9 ]', ' ', 'g');
  else
    v_text := regexp_replace(v_text, v_single, ' \1 ', 'g');
    v_text := lower(normalize(v_text, nfkd));
    v_text := regexp_replace(v_text, v_mark, '', 'g');
    v_text := regexp_replace(v_text, v_separator, ' ', 'g');
  end if;

  return array_remove(string_to_array(v_text, ' '), '');
end;
$$;

comment on function ragdb.words(text) is
$$Split a text into lower-case words without accents.

Punctuation and symbols separate words, each Chinese or Japanese ideograph is a word of its own,
ligatures and full-width forms become plain letters. The result is the same in every locale.
Example: select ragdb.words('Crème brûlée, 24/7') gives {creme,brulee,24,7}.$$;


create or replace function ragdb_data._embedding_version()
  returns int4
  language plpgsql
  stable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
begin
  return coalesce(
    (select o.version
       from ragdb_data.outdated_organization o
      where o.org_no = ragdb.current_org_no()),
    (select max(t.version) from ragdb_data.embedding_table_version t));
end;
$$;

comment on function ragdb_data._embedding_version() is
$$The version of the embedding table that the caller's organization is searched with: the newest,
or, while ragdb.reembed() has not finished, the one before.$$;


create or replace function ragdb_data._word_pieces(p_words text[], p_version int4)
  returns table (word text, embedding public.halfvec)
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
begin
  -- The longest token that fits is the last, in byte order, of the prefixes of what is left of the
  -- word; the index, read backwards, finds it in one descent. No token has over 18 characters.
  return query
  with recursive piece as (
    select w.word collate "C" as word,
           w.word collate "C" as rest,
           '' collate "C" as prefix,
           null::public.halfvec as embedding
      from unnest(p_words) as w (word)
     where length(w.word) <= 100
    union all
    select p.word,
           substr(p.rest, 1 + coalesce(length(t.token) - length(p.prefix), 1)),
           '##',
           t.embedding
      from piece p
      left join lateral (
             select e.token, e.embedding
               from ragdb_data.embedding_token e
              where e.version = p_version
                and e.token = any (array(
                      select p.prefix
                             || left(p.rest, generate_series(1, least(18, length(p.rest))))))
              order by e.token desc
              limit 1) t on true
     where p.rest <> ''
  )
  select p.word, p.embedding from piece p where p.embedding is not null;
end;
$$;

comment on function ragdb_data._word_pieces(text[], int4) is
$$The vectors of the tokens that spell each word, a row per token and word.

Takes the longest token that fits, again and again (WordPiece); a character that no token starts
with is skipped. A word of more than 100 characters has no rows.$$;


create or replace function ragdb_data._word_embeddings(p_words text[], p_version int4)
  returns table (word text, embedding public.vector)
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return query
  with known as materialized (
    select e.token as word, e.embedding::public.vector as embedding
      from ragdb_data.embedding_token e
     where e.version = p_version and e.token = any (p_words)
  )
  select k.word, k.embedding from known k
  union all
  select p.word, public.sum(p.embedding::public.vector)
    from ragdb_data._word_pieces(array(
           select u.word collate "C" from unnest(p_words) u (word)
           except
           select k.word from known k), p_version) p
   group by p.word;
end;
$$;

comment on function ragdb_data._word_embeddings(text[], int4) is
$$The vector of each word: its token's, or the sum of those that spell it.

A word that no token has a part in has no row, nor has a repeated word two.$$;


create or replace function ragdb_data._embed(p_text text, p_version int4)
  returns public.halfvec
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_words text[] := ragdb.words(p_text);
  v_known int8;
  v_sum public.vector;
begin
  -- Most queries are made of words that are tokens.
  select count(*), public.sum(t.embedding::public.vector)
    into v_known, v_sum
    from unnest(v_words) w(word)
   cross join lateral (
     select e.embedding
       from ragdb_data.embedding_token e
      where e.version = p_version and e.token = w.word collate "C"
     offset 0) t;
  if v_known < cardinality(v_words) then
    select public.sum(p.embedding::public.vector) into v_sum
      from ragdb_data._word_pieces(v_words, p_version) p;
  end if;
  return public.l2_normalize(v_sum)::public.halfvec;
end;
$$;

comment on function ragdb_data._embed(text, int4) is
$$embed() with a version of the embedding table.$$;


create or replace function ragdb.embed(p_text text)
  returns public.halfvec
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return ragdb_data._embed(p_text, ragdb_data._embedding_version());
end;
$$;

comment on function ragdb.embed(text) is
$$The embedding of a text: 256 dimensions, unit length, null when no word of it is known.

In a query over a table write (select ragdb.embed('...')), so that it is computed once and not for
every row. For many texts use ragdb.embed_batch().
Example: select ragdb.embed('rotate keys') operator(public.<=>) ragdb.embed('change the key');$$;


create or replace function ragdb.embed_batch(
  p_texts        text[],
  p_titles       text[] default null,
  p_title_weight float8 default 0.3,
  p_version      int4 default null)
  returns table (ordinal int, embedding public.halfvec)
  language plpgsql
  stable parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan  -- planning takes longer than embedding a short text
  set work_mem = '64MB'                     -- a kilobyte for every distinct word
as $$
declare
  v_title_weight constant public.vector := array_fill(p_title_weight::real, array[256]);
  v_version constant int4 := coalesce(p_version, ragdb_data._embedding_version());
begin
  if cardinality(p_titles) <> coalesce(cardinality(p_texts), 0) then
    raise exception 'There are not as many titles as texts.'
      using errcode    = 'PT400',
            constraint = 'titles_mismatch',
            hint       = 'Pass one title per text, or null for all of them.';
  end if;

  return query
  with source as materialized (
    select t.ordinal::int as ordinal,
           t.body,
           t.title,
           -- Negative, so that titles and texts number one list of passages.
           -(min(t.ordinal) over (partition by t.title collate "C"))::int as title_no
      from unnest(p_texts, p_titles) with ordinality as t (body, title, ordinal)
  ),
  passage as (
    select s.ordinal as passage_no, s.body as content from source s
    union all
    select s.title_no, s.title from source s where s.ordinal = -s.title_no
  ),
  occurrence as materialized (
    select p.passage_no, w.word collate "C" as word
      from passage p
     cross join unnest(ragdb.words(p.content)) as w (word)
  ),
  direction as materialized (
    select o.passage_no, public.l2_normalize(public.sum(w.embedding)) as unit
      from occurrence o
      join ragdb_data._word_embeddings(
             array(select distinct d.word from occurrence d), v_version) w
        on w.word = o.word collate "C"
     group by o.passage_no
  )
  select s.ordinal,
         case
           when body.unit is null then title.unit
           when title.unit is null then body.unit
           else public.l2_normalize(
                  body.unit operator(public.+) (title.unit operator(public.*) v_title_weight))
         end::public.halfvec
    from source s
    left join direction body on body.passage_no = s.ordinal
    left join direction title on title.passage_no = s.title_no
   order by s.ordinal;
end;
$$;

comment on function ragdb.embed_batch(text[], text[], float8, int4) is
$$The embeddings of many texts, each with its title folded in.

Returns a row per text, in order. An embedding is text + weight * title, all at unit length; a text
without known words has the direction of its title, and null when that has none either.
Every distinct word and title is looked up once. p_version: of the embedding table, default the one
that the caller's organization is searched with.
Raises PT400 titles_mismatch when there are titles but not one per text.
Example: select * from ragdb.embed_batch(array['First text.', 'Second text.']);$$;
