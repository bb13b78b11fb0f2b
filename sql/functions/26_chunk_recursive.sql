-- Chunking: how a text is cut into the pieces that are embedded, indexed and cited.
--
-- Every chunk is an exact slice of the source: content = substr(text, char_start + 1, char_end -
-- char_start). Offsets count characters from 0, the end is exclusive. chunk_recursive() packs as
-- much as fits and equals LangChain's RecursiveCharacterTextSplitter; chunk_markdown() follows
-- headings and paragraphs and lets the content choose the cuts, so that an edit stays local. All
-- of it takes linear time: pieces carry their byte offsets, for a slice of bytea is found at once
-- where substr() counts characters from the start.

create or replace function ragdb_data._whitespace()
  returns text
  language sql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select E' \t\n\x0b\f\r\x1c\x1d\x1e\x1f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005'
          '\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';
$$;

comment on function ragdb_data._whitespace() is
$$Every character that is trimmed from the ends of a chunk.

The whitespace of Unicode and the four ASCII separators, as in Python's str.strip().$$;


create or replace function ragdb_data._ascii_words(p_text text)
  returns int
  language sql
  stable
  parallel safe
  security invoker
  -- A capital has one bit less than its small letter: so words that begin with a letter, without
  -- all letters; then those that begin with a digit, and all but digits and blanks, letters too.
  return (bit_count(convert_to(upper(p_text collate "C"), 'UTF8'))
          - bit_count(convert_to(initcap(p_text collate "C"), 'UTF8')))::int
         + regexp_count(p_text collate "C", '(?:^|[^a-zA-Z0-9])[0-9]')
         + octet_length(
             regexp_replace(replace(replace(p_text, ' ', ''), E'\n', ''), '[0-9]+', '', 'g'));

comment on function ragdb_data._ascii_words(text) is
$$How many words and punctuation marks a text of plain ASCII has, where blanks and newlines are its
only control characters and spaces: as _tokens() would count them one by one.$$;


create or replace function ragdb_data._tokens(p_text text)
  returns int
  language sql
  stable
  parallel safe
  security invoker
  -- Each match of a regular expression starts its machine anew: runs of letters are matched whole,
  -- and what they have beyond their first eight is counted by itself.
  return case
           when octet_length(p_text) = length(p_text)
                and p_text collate "C" !~ '[\x01-\x09\x0b-\x1f\x7f]'
             then ragdb_data._ascii_words(p_text)
           else regexp_count(
                  p_text collate "pg_c_utf8",
                  '[^[:space:]\x1c-\x1f[:punct:]\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3'
                  '\uf900-\ufaff\U00020000-\U0003ffff]+'
                  '|[[:punct:]\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff'
                  '\U00020000-\U0003ffff]')
         end
         + regexp_count(
             p_text collate "pg_c_utf8",
             '[^[:space:]\x1c-\x1f[:punct:]\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff'
             '\U00020000-\U0003ffff]{8}'
             '(?=[^[:space:]\x1c-\x1f[:punct:]\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3'
             '\uf900-\ufaff\U00020000-\U0003ffff])');

comment on function ragdb_data._tokens(text) is
$$count_tokens() without settings of its own, so that it is part of whatever expression calls it.

The collation gives character classes the same meaning on every server.$$;


create or replace function ragdb.count_tokens(p_text text)
  returns int
  language sql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select ragdb_data._tokens(p_text);
$$;

comment on function ragdb.count_tokens(text) is
$$Estimate how many tokens a language model makes of a text.

A punctuation mark, a symbol and an East Asian character count one each; any other word counts one
for every eight letters begun. On plain English that is within 5 % of the number of BERT WordPiece
tokens (0.95 to 1.03 model tokens for each one estimated, 1.1 on medical terms); a model with an
English vocabulary makes 1.7 tokens for each one estimated on German. Independent of locale and
model.$$;


create or replace function ragdb_data._check_chunk_size(p_size int, p_overlap int, p_unit text)
  returns void
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if p_unit is null or p_unit not in ('characters', 'tokens') then
    raise exception 'The unit of a chunk size is characters or tokens.'
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_unit',
            detail     = format('unit: %s', p_unit),
            hint       = 'Tokens are estimated by ragdb.count_tokens().';
  end if;

  if p_size is null or p_overlap is null or p_size < 1
     or p_overlap < 0 or p_overlap >= p_size then
    raise exception 'A chunk needs a size of at least 1 and an overlap smaller than the size.'
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_size',
            detail     = format('size: %s, overlap: %s', p_size, p_overlap),
            hint       = 'For example size 512 and overlap 50.';
  end if;
end;
$$;

comment on function ragdb_data._check_chunk_size(int, int, text) is
$$Refuse a chunk size that cannot work.

Raises PT422 invalid_chunk_unit and invalid_chunk_size.$$;


create or replace function ragdb_data._recursive_spans(
  p_text          text,
  p_size          int,
  p_overlap       int,
  p_separators    text[],
  p_tokens       boolean,
  p_char          int,
  p_byte          int)
  returns table (char_start int, char_end int, byte_start int, byte_end int, indivisible boolean)
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_separator    text;
  v_finer        text[] := '{}';
  v_piece        text collate "pg_c_utf8";
  v_prefix       text := '';
  v_chars        int;
  v_bytes        int;
  v_length       int;
  v_total        int := 0;
  v_lengths      int[];
  v_char_lengths int[];
  v_byte_lengths int[];
  v_head         int := 1;
  v_tail         int := 0;
begin
  char_start := p_char;
  char_end := p_char;
  byte_start := p_byte;
  byte_end := p_byte;
  indivisible := false;

  for v_i in 1 .. cardinality(p_separators) loop
    v_separator := p_separators[v_i];
    exit when v_separator = '';

    if strpos(p_text, v_separator) > 0 then
      v_finer := p_separators[v_i + 1 :];
      exit;
    end if;
  end loop;

  -- The open chunk is [start, end); with an overlap, head .. tail are the pieces it is made of.
  foreach v_piece in array string_to_array(p_text, nullif(v_separator, '')) loop
    v_piece := v_prefix || v_piece;
    v_prefix := v_separator;
    v_chars := char_length(v_piece);
    v_bytes := octet_length(v_piece);
    v_length := case when p_tokens then ragdb_data._tokens(v_piece) else v_chars end;

    if v_length < p_size then
      if v_total + v_length > p_size and char_end > char_start then
        return next;

        if p_overlap = 0 then
          char_start := char_end;
          byte_start := byte_end;
          v_total := 0;
        end if;

        while v_total > p_overlap or v_total + v_length > p_size and v_total > 0 loop
          v_total := v_total - v_lengths[v_head];
          char_start := char_start + v_char_lengths[v_head];
          byte_start := byte_start + v_byte_lengths[v_head];
          v_head := v_head + 1;
        end loop;
      end if;

      if p_overlap > 0 then
        v_tail := v_tail + 1;
        v_lengths[v_tail] := v_length;
        v_char_lengths[v_tail] := v_chars;
        v_byte_lengths[v_tail] := v_bytes;
      end if;

      v_total := v_total + v_length;
      char_end := char_end + v_chars;
      byte_end := byte_end + v_bytes;
    else
      if char_end > char_start then
        return next;
      end if;

      char_start := char_end + v_chars;
      byte_start := byte_end + v_bytes;

      if v_finer = '{}' then
        return query select char_end, char_start, byte_end, byte_start, true;
      else
        return query
          select *
            from ragdb_data._recursive_spans(v_piece, p_size, p_overlap, v_finer, p_tokens,
                                             char_end, byte_end);
      end if;

      char_end := char_start;
      byte_end := byte_start;
      v_total := 0;
      v_head := v_tail + 1;
    end if;
  end loop;

  if char_end > char_start then
    return next;
  end if;
end;
$$;

comment on function ragdb_data._recursive_spans(text, int, int, text[], boolean, int, int) is
$$The chunks of a text before they are trimmed, as character and byte offsets.

Splits at the first separator the text contains, merges what is shorter than p_size and descends
to the finer separators in what is not; a separator opens the piece after it. A piece that no
separator divides is returned as it is, indivisible. p_tokens: measured in tokens, not characters.
p_char and p_byte are the offsets of p_text itself.$$;


create or replace function ragdb.chunk_recursive(
  p_text       text,
  p_size       int default 512,
  p_overlap    int default 50,
  p_separators text[] default array[E'\n\n', E'\n', ' ', ''],
  p_unit       text default 'tokens')
  returns table (ordinal int, char_start int, char_end int, content text, heading_path text[])
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_bytes constant bytea := convert_to(p_text, 'UTF8');
  v_space constant text := ragdb_data._whitespace();
begin
  perform ragdb_data._check_chunk_size(p_size, p_overlap, p_unit);

  if coalesce(cardinality(p_separators), 0) = 0
     or array_position(p_separators, null) is not null then
    raise exception 'A list of separators is needed, none of them null.'
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_separators',
            hint       = $hint$For example array[E'\n\n', E'\n', ' ', ''].$hint$;
  end if;

  if p_text is null then
    return;
  end if;

  return query
    select row_number() over ()::int - 1,
           span.char_start + trimmed.skipped,
           span.char_start + trimmed.skipped + char_length(trimmed.content),
           trimmed.content,
           '{}'::text[]
      from ragdb_data._recursive_spans(
             p_text, p_size, p_overlap, p_separators,
             p_unit = 'tokens', 0, 0) as span
     cross join lateral (
           select convert_from(
                    substring(v_bytes from span.byte_start + 1 for span.byte_end - span.byte_start),
                    'UTF8') as content) as slice
     cross join lateral (
           select case when span.indivisible then slice.content
                       else btrim(slice.content, v_space) end as content,
                  case when span.indivisible then 0
                       else char_length(slice.content) - char_length(ltrim(slice.content, v_space))
                  end as skipped) as trimmed
     where btrim(trimmed.content, v_space) <> '';
end;
$$;

comment on function ragdb.chunk_recursive(text, int, int, text[], text) is
$$Split a text at the coarsest separators that give chunks of at most p_size.

The chunks equal those of LangChain's RecursiveCharacterTextSplitter with the same separators
(kept at the start of a piece), size and overlap, where p_unit chooses its length function:
characters, or tokens as ragdb.count_tokens() estimates them. One difference: a chunk of nothing
but whitespace, which LangChain returns when not even its last separator divides a long run of
blanks, is left out. A piece that no separator divides is returned whole, however long; the
separator '' divides everything.

Example: select * from ragdb.chunk_recursive(body, 256, 0, p_unit => 'characters');

Raises PT422 invalid_chunk_size, invalid_chunk_unit, invalid_chunk_separators.$$;
