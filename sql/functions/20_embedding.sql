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
  v_separator constant text := '[[:punct:][:cntrl:]\u00A0\u1680\u2000-\u200B\u2028\u2029\u202F'
    '\u205F\u3000\uE000-\uF8FF]';
  -- Superscripts, fractions and ideographs stand alone: 10² is not 102.
  v_single constant text := '([\u00B2\u00B3\u00B9\u00BC-\u00BE\u2070-\u207F\u2150-\u215F'
    '\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\U00020000-\U0003FFFF])';
  -- Accents, Hebrew and Arabic points, kana voicing; soft hyphens, joiners, directions, selectors.
  v_mark constant text := '[\u0300-\u036F\u0483-\u0489\u0591-\u05C7\u0610-\u061A\u064B-\u065F\u0670'
    '\u06D6-\u06ED\u1AB0-\u1AFF\u1DC0-\u1DFF\u20D0-\u20FF\u3099\u309A\uFE20-\uFE2F'
    '\u00AD\u200C-\u200F\u202A-\u202E\u2060-\u206F\uFE00-\uFE0F\uFEFF\U000E0000-\U000E0FFF]';
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


create or replace function ragdb._word_pieces(p_words text[])
  returns table (word text, embedding public.halfvec)
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  -- All prefixes of what is left of a word, sorted, end in the longest one: read backwards, the
  -- index finds the longest token that fits in one descent.
  return query
  with recursive piece as (
    select w.word collate "C" as word,
           w.word collate "C" as rest,
           '' collate "C" as prefix,
           null::text collate "C" as token
      from unnest(p_words) as w (word)
     where length(w.word) <= 100
    union all
    select p.word,
           substr(p.rest, 1 + coalesce(length(t.token) - length(p.prefix), 1)),
           '##',
           t.token
      from piece p
      left join lateral (
             select e.token
               from ragdb_data.embedding_token e
              where e.token = any (array(
                      select p.prefix || left(p.rest, generate_series(1, least(18, length(p.rest))))))
              order by e.token desc
              limit 1) t on true
     where p.rest <> ''
  )
  select p.word, e.embedding
    from piece p
    join ragdb_data.embedding_token e on e.token = p.token;
end;
$$;

comment on function ragdb._word_pieces(text[]) is
$$The vectors of the pieces that words are made of, for words that are not tokens themselves.

Takes the longest token that fits, again and again (WordPiece); a character that no token begins
with is skipped. Words of more than 100 characters have no pieces.$$;


create or replace function ragdb.embed(p_text text)
  returns public.halfvec
  language plpgsql
  stable strict parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_sum public.vector;
  v_unknown text[];
begin
  select public.sum(w.embedding), array_agg(w.word) filter (where w.embedding is null)
    into v_sum, v_unknown
    from (select u.word,
                 (select e.embedding::public.vector
                    from ragdb_data.embedding_token e
                   where e.token = u.word collate "C") as embedding
            from unnest(ragdb.words(p_text)) as u (word)) w;

  if v_unknown is not null then
    select public.sum(s.part)
      into v_sum
      from (select v_sum as part
            union all
            select p.embedding::public.vector from ragdb._word_pieces(v_unknown) p) s;
  end if;

  return public.l2_normalize(v_sum);
end;
$$;

comment on function ragdb.embed(text) is
$$The embedding of a text: 256 dimensions, unit length, null when no word of it is known.

In a query write (select ragdb.embed('...')) rather than the bare call, so that it is computed once
and not for every row. For many texts ragdb.embed_batch() is faster.
Example: select ragdb.embed('rotate keys') operator(public.<=>) ragdb.embed('change the key').$$;
