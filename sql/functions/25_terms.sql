-- Text as the keyword leg sees it: stems in reading order, hashed to 29 bits.
--
-- Stemming and stop words are PostgreSQL's text search configurations (Snowball). Its parser would
-- take 'node.js', 'a/b' or 'x@y.z' for one word that no query finds by its parts, so punctuation
-- becomes space first. hashtext() is stable within a major version of PostgreSQL: after pg_upgrade
-- to another one, chunks are indexed anew.
--
-- Scripts that put no space between words (Chinese, Japanese, Thai, ...; Korean, whose endings no
-- stemmer here knows, is treated alike) are indexed by their pairs of neighbouring characters, each
-- written as a word of ASCII that the parser takes as it is.

create or replace function ragdb_data._find_language(p_language text)
  returns text
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
  select c.cfgname::text
    from pg_ts_config c
   where c.cfgnamespace = 'pg_catalog'::regnamespace
     and c.cfgname = coalesce('{
           "ar": "arabic", "ca": "catalan", "da": "danish", "de": "german", "el": "greek",
           "en": "english", "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish",
           "fr": "french", "ga": "irish", "hi": "hindi", "hu": "hungarian", "hy": "armenian",
           "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali", "nl": "dutch",
           "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
           "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish"
         }'::jsonb ->> split_part(lower(btrim(p_language)), '-', 1), lower(btrim(p_language)))
$$;

comment on function ragdb_data._find_language(text) is
$$Name of the text search configuration of a language, by ISO 639-1 code (en, de-AT) or name
(english, simple); null if unknown.$$;

create or replace function ragdb_data._language(p_language text)
  returns text
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_language text := ragdb_data._find_language(p_language);
begin
  if v_language is null then
    raise exception 'The language % is not known.', p_language
      using errcode = 'PT422',
            constraint = 'unknown_language',
            hint = 'An ISO 639-1 code or one of: '
                   || (select string_agg(c.cfgname, ', ' order by c.cfgname) from pg_ts_config c
                        where c.cfgnamespace = 'pg_catalog'::regnamespace);
  end if;
  return v_language;
end;
$$;

comment on function ragdb_data._language(text) is
$$_find_language() that raises PT422 unknown_language instead of returning null.$$;

create or replace function ragdb_data._dense()
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  return '\u0E01-\u0E4E\u0E81-\u0EDF\u1000-\u109F\u1100-\u11FF\u1780-\u17D3\u3005-\u3007'
         '\u3041-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uAC00-\uD7AF\uF900-\uFAFF'
         '\uFF01-\uFF9F\U00020000-\U0003134F';

comment on function ragdb_data._dense() is
$$Characters of scripts that put no space between words, and the full-width forms used among them,
for a bracket expression.$$;

create or replace function ragdb_data._is_dense(p_letter int4)
  returns boolean
  language sql
  immutable
  security invoker
  parallel safe
  -- Where the ranges of _dense() begin and where they have ended, in turns.
  return width_bucket(
           p_letter,
           '{3585,3663,3713,3808,4096,4256,4352,4608,6016,6100,12293,12296,12353,12544,12784,12800,'
           '13312,19904,19968,40960,44032,55216,63744,64256,65281,65440,131072,201552}'::int4[])
         % 2 = 1;

comment on function ragdb_data._is_dense(int4) is
$$Whether a character, by its number, is one of _dense(); null for none.$$;

create or replace function ragdb_data._bigrams(p_text text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select string_agg(
           case
             when not p.is_dense then chr(p.letter)
             when p.next_is_dense
               then ' cj7' || to_hex(p.letter) || 'x' || to_hex(p.next_letter) || ' '
             when p.last_is_dense then ' '
             else ' cj7' || to_hex(p.letter) || ' '
           end, '' order by p.ordinal)
    from (select n.letter, n.next_letter, n.ordinal,
                 ragdb_data._is_dense(n.letter) as is_dense,
                 ragdb_data._is_dense(n.next_letter) as next_is_dense,
                 ragdb_data._is_dense(n.last_letter) as last_is_dense
            from (select u.letter, u.ordinal,
                         lead(u.letter) over w as next_letter,
                         lag(u.letter) over w as last_letter
                    from (select ascii(l.letter) as letter, l.ordinal
                            from string_to_table(
                                   -- Ideographic sentences end here; tone marks of Thai and Lao
                                   -- are left out.
                                   regexp_replace(
                                     normalize(
                                       regexp_replace(
                                         p_text, '[\u3002\uFF61\uFF01\uFF1F]', '. ', 'g'), nfkc),
                                     '[\u0E47-\u0E4E\u0EC8-\u0ECD]', '', 'g'),
                                   null) with ordinality l(letter, ordinal)) u
                  window w as (order by u.ordinal)) n) p
$$;

comment on function ragdb_data._bigrams(text) is
$$A text whose characters of scripts without spaces are replaced by their pairs, written as words;
one that stands alone by itself.$$;

create or replace function ragdb_data._end_mark()
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  return '7eos7';

comment on function ragdb_data._end_mark() is
$$What stands for the end of a sentence among words: letters and digits mixed are stemmed by no
configuration.$$;

create or replace function ragdb_data._plain_words(p_text text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  -- Every match of a regular expression costs as much as replacing a character throughout a page:
  -- what is frequent goes before.
  return regexp_replace(
    replace(replace(replace(replace(replace(replace(replace(replace(
      regexp_replace(
        lower(p_text collate "pg_c_utf8"),
        '[.!?]["'')\]]*\s+|\n\s*\n', ' ' || ragdb_data._end_mark() || ' ', 'g'),
      E'\n', ' '), ',', ' '), '-', ' '), '(', ' '), ')', ' '), '_', ' '), '/', ' '), ':', ' '),
    '[^[:alnum:] ]', ' ', 'g');

comment on function ragdb_data._plain_words(text) is
$$A text in lower case as words and ends of sentences, with nothing but spaces between.$$;

create or replace function ragdb_data._terms(p_language text, p_text text)
  returns int4[]
  language plpgsql
  stable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_end constant text := ragdb_data._end_mark();
  v_words tsvector := to_tsvector(
    p_language::regconfig,
    ragdb_data._plain_words(
      -- Plain ASCII is told by its length alone.
      case when octet_length(p_text) > length(p_text)
                and p_text ~ ('[' || ragdb_data._dense() || ']')
        then ragdb_data._bigrams(p_text)
        else p_text end));
begin
  return (
    select coalesce(
             array_agg(
               case u.lexeme when v_end then 0 else 1 + (hashtext(u.lexeme) & 536870911) end
               order by p.position),
             '{}')
      from unnest(v_words) u
     cross join unnest(u.positions) p(position));
end;
$$;

comment on function ragdb_data._terms(text, text) is
$$Hashed stems of a text in reading order, without stop words; 0 where a sentence or paragraph ends.

p_language: name of a text search configuration. Hashes are 1 to 2^29.$$;

create or replace function ragdb_data._length(p_terms int4[])
  returns int4
  language sql
  immutable
  security invoker
  parallel safe
  return cardinality(array_remove(p_terms, 0)) + 2 * (array_position(p_terms, 0) - 1);

comment on function ragdb_data._length(int4[]) is
$$Length of a chunk as BM25 counts it, from its words: the title's, which end at the first 0, three
times.$$;
