-- Text as the keyword leg sees it: stems in reading order, hashed to 29 bits.
--
-- Stemming and stop words are PostgreSQL's text search configurations (Snowball). Its parser would
-- take 'node.js', 'a/b' or 'x@y.z' for one word that no query finds by its parts, so punctuation
-- becomes space first. hashtext() is stable within a major version of PostgreSQL: after pg_upgrade
-- to another one, chunks are indexed anew.

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
  v_words tsvector := to_tsvector(p_language::regconfig, ragdb_data._plain_words(p_text));
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
