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


create or replace function ragdb_data._token_pattern()
  returns text
  language sql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select '[^[:space:]\x1c-\x1f[:punct:]' || east_asian || ']{1,8}|[[:punct:]' || east_asian || ']'
    from (values ('\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff'))
         as script (east_asian);
$$;

comment on function ragdb_data._token_pattern() is
$$The regular expression that matches one estimated token.

To be used under collate "pg_c_utf8", which gives its character classes the same meaning on every
server. See ragdb.count_tokens().$$;


create or replace function ragdb.count_tokens(p_text text)
  returns int
  language sql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select regexp_count(p_text collate "pg_c_utf8", ragdb_data._token_pattern());
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
  p_token_pattern text,
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
    v_length := case when p_token_pattern is null then v_chars
                     else regexp_count(v_piece, p_token_pattern) end;

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
            from ragdb_data._recursive_spans(v_piece, p_size, p_overlap, v_finer, p_token_pattern,
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

comment on function ragdb_data._recursive_spans(text, int, int, text[], text, int, int) is
$$The chunks of a text before they are trimmed, as character and byte offsets.

Splits at the first separator the text contains, merges what is shorter than p_size and descends
to the finer separators in what is not; a separator opens the piece after it. A piece that no
separator divides is returned as it is, indivisible. p_token_pattern null measures in characters.
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
             case when p_unit = 'tokens' then ragdb_data._token_pattern() end, 0, 0) as span
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


create or replace function ragdb_data._heading_text(p_heading text)
  returns text
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_text text collate "pg_c_utf8" := btrim(left(p_heading, 500), ragdb_data._whitespace());
begin
  v_text := regexp_replace(v_text, '^#{1,6}(?=[[:space:]]|$)[[:space:]]*', '');
  v_text := regexp_replace(v_text, '(^|[[:space:]])#+$', '');
  v_text := regexp_replace(v_text, '[[:space:]]*\{#[^}]*\}$', '');
  v_text := regexp_replace(v_text, '!\[([^]]*)\](\([^)]*\)|\[[^]]*\])', '\1', 'g');
  v_text := regexp_replace(v_text, '\[([^]]*)\](\([^)]*\)|\[[^]]*\])', '\1', 'g');

  -- Code between backticks is literal; the odd parts are the text around it.
  select string_agg(case when n % 2 = 0 then part else regexp_replace(
           regexp_replace(regexp_replace(regexp_replace(part,
             '</?[a-z][^>]*>', '', 'gi'),
             '(?<!\\)(\*\*\*|\*\*|\*|~~)(?! )([^*~]*[^*~ \\])\1', '\2', 'g'),
             '(?<![[:alnum:]\\])(___|__|_)(?! )([^_]*[^_ \\])\1(?![[:alnum:]])', '\2', 'g'),
             '\\([[:punct:]])', '\1', 'g') end, '' order by n)
    into v_text
    from string_to_table(v_text, '`') with ordinality as piece (part, n);

  return coalesce(btrim(v_text, ragdb_data._whitespace()), '');
end;
$$;

comment on function ragdb_data._heading_text(text) is
$$The words of a Markdown heading, without its marks.

Drops the number signs, an {#anchor}, emphasis, backticks, HTML tags and backslashes, and keeps
the text of links and images. Reads the first 500 characters only.$$;


create or replace function ragdb_data._markdown_blocks(p_text text)
  returns table (char_start int, char_end int, byte_start int, byte_end int,
                 heading_level int, heading text, solid boolean, opens_page boolean)
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_space    constant text := ragdb_data._whitespace();
  v_text     text := coalesce(p_text, '');
  v_line     text collate "pg_c_utf8";
  v_visible  text collate "pg_c_utf8";    -- the line without trailing whitespace
  v_body     text collate "pg_c_utf8";    -- and without its indentation
  v_first    text collate "pg_c_utf8";
  v_title    text;                        -- the open block, if an underline can make it a heading
  v_closing  text;                        -- what ends the open fence, HTML block or front matter
  v_margin   int := 3;                    -- how far that may be indented
  v_list     int := 0;                    -- the column where the text of the open list item begins
  v_lines    int := 0;                    -- of the open block
  v_char     int := 0;
  v_byte     int := 0;
  v_page     boolean := false;
  v_indent   int;
  v_level    int;
  v_heading  text;
  v_solid    boolean;
  v_sole     text;
  v_opens    boolean;                     -- does the line end the block before it,
  v_closes   boolean;                     -- and its own?
begin
  if strpos(v_text, E'\r') > 0 then
    v_text := regexp_replace(v_text, '\r(?!\n)', E'\n', 'g');
  end if;

  if left(v_text, 4000) ~ '^\ufeff?---[ \t]*\r?\n\w[^\n]*:.*\n(---|\.\.\.)[ \t]*\r?(\n|$)' then
    v_closing := '^(---|\.\.\.)$';
  end if;

  -- A form feed ends a line as a newline does, but stays at its end.
  foreach v_line in array string_to_array(replace(v_text, E'\f', E'\f\n'), E'\n') loop
    v_visible := rtrim(v_line, v_space);
    v_body := ltrim(v_visible, v_space || case v_char when 0 then E'\ufeff' else '' end);
    v_first := left(v_body, 1);
    v_indent := char_length(v_line) - char_length(ltrim(v_line, ' '));
    v_level := null;
    v_solid := false;
    v_sole := null;
    v_opens := false;
    v_closes := right(v_line, 1) = E'\f';

    if substr(v_line, v_indent + 1, 1) = E'\t' then
      v_indent := v_indent + 4;
    end if;

    if v_closing is not null then
      if v_char > 0 and v_indent <= v_margin and v_body ~* v_closing then
        v_closes := true;
        v_closing := null;
      end if;

    elsif v_body = '' then
      v_opens := true;

    elsif v_first in ('`', '~') and v_indent <= v_list + 3
          and v_body ~ '^(`{3,}[^`]*|~{3,}.*)$' then
      v_opens := true;
      v_solid := true;
      v_margin := v_indent + 3;
      v_closing := format('^%s{%s,}$', v_first,
                          char_length(v_body) - char_length(ltrim(v_body, v_first)));

    elsif v_first = '#' and v_body ~ '^#{1,6}([ \t]|$)'
          and v_indent <= 3 and (v_list = 0 or v_indent < v_list) then
      v_opens := true;
      v_closes := true;
      v_list := 0;
      v_level := char_length(substring(v_body from '^#+'));
      v_heading := v_body;

    elsif v_first in ('=', '-') and v_lines = 1 and v_title is not null
          and v_indent <= 3 and v_body ~ '^(=+|-+)$' then
      v_closes := true;
      v_level := case v_first when '=' then 1 else 2 end;
      v_heading := v_title;

    elsif v_first in ('-', '*', '_', '=')
          and v_body ~ '^((-[ \t]*){3,}|(\*[ \t]*){3,}|(_[ \t]*){3,}|={3,})$' then
      v_opens := true;
      v_closes := true;
      v_list := least(v_list, v_indent);

    elsif strpos('-*+0123456789', v_first) > 0 and v_body ~ '^([-*+]|\d{1,9}[.)])[ \t]' then
      v_list := v_indent + char_length(substring(v_body from '^[^ \t]+[ \t]+'));

    else
      v_list := least(v_list, v_indent);

      if v_first = '<' and v_body ~ '^<!--' and v_body !~ '-->' then
        v_closing := '-->';
        v_margin := char_length(v_text);
      elsif v_first = '<' and v_body ~* '^<(pre|script|style|textarea)\M'
            and v_body !~* '</(pre|script|style|textarea)>' then
        v_closing := '</(pre|script|style|textarea)>';
        v_margin := char_length(v_text);
      elsif v_first in ('|', '-', ':') and v_lines > 0 and strpos(v_body, '|') > 0
            and v_body ~ '^\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?$' then
        v_solid := true;
      elsif v_list = 0 and v_indent <= 3 and v_first not in ('<', '|', '>') then
        v_sole := v_body;
      end if;
    end if;

    if v_opens and v_lines > 0 then
      return next;
      v_lines := 0;
    end if;

    if v_body <> '' then
      if v_lines = 0 then
        char_start := v_char;
        byte_start := v_byte;
        heading_level := null;
        heading := null;
        solid := false;
        opens_page := v_page;
        v_page := false;
        v_title := v_sole;
      end if;

      v_lines := v_lines + 1;
      char_end := v_char + char_length(v_visible);
      byte_end := v_byte + octet_length(v_visible);
      solid := solid or v_solid;

      if v_level is not null then
        heading_level := v_level;
        heading := ragdb_data._heading_text(v_heading);
      end if;
    end if;

    if v_closes and v_lines > 0 then
      return next;
      v_lines := 0;
    end if;

    v_char := v_char + char_length(v_line) + 1;
    v_byte := v_byte + octet_length(v_line) + 1;

    if right(v_line, 1) = E'\f' then
      v_char := v_char - 1;
      v_byte := v_byte - 1;
      v_page := true;
    end if;
  end loop;

  if v_lines > 0 then
    return next;
  end if;
end;
$$;

comment on function ragdb_data._markdown_blocks(text) is
$$The headings, paragraphs, lists, tables and code blocks of a Markdown text, with their offsets.

Blank lines separate blocks and belong to none. Headings are ATX (# Title) and setext (one line
underlined with = or -), outside list items, quotes, fenced and indented code, HTML comments and
<pre>, and YAML front matter. solid marks what should not be divided: a fenced block, a table.
opens_page marks the first block after a form feed.$$;


create or replace function ragdb_data._divide(
  p_text          text,
  p_limit         int,
  p_token_pattern text,
  p_pieces        text[],
  p_char          int,
  p_byte          int)
  returns table (char_start int, char_end int, byte_start int, byte_end int, length int, key bigint)
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_space   constant text := ragdb_data._whitespace();
  v_piece   text collate "pg_c_utf8";
  v_visible text collate "pg_c_utf8";
begin
  char_start := p_char;
  byte_start := p_byte;

  for v_piece in
    select piece[1] from regexp_matches(p_text collate "pg_c_utf8", p_pieces[1], 'g') as piece
  loop
    v_visible := rtrim(v_piece, v_space);
    length := case when p_token_pattern is null then char_length(v_visible)
                   else regexp_count(v_visible, p_token_pattern) end;

    if length > p_limit then
      return query
        select *
          from ragdb_data._divide(v_piece, p_limit, p_token_pattern, p_pieces[2:],
                                  char_start, byte_start);
    elsif v_visible <> '' then
      char_end := char_start + char_length(v_visible);
      byte_end := byte_start + octet_length(v_visible);
      key := (hashtext(left(v_visible, 24))::bigint << 32) + hashtext(v_visible);
      return next;
    end if;

    char_start := char_start + char_length(v_piece);
    byte_start := byte_start + octet_length(v_piece);
  end loop;
end;
$$;

comment on function ragdb_data._divide(text, int, text, text[], int, int) is
$$Divide a text into units of at most p_limit, at the coarsest level that allows it.

p_pieces are regular expressions from coarse to fine; the matches of each cover a text without
gaps. A piece that is too long is divided by the next. The key is a hash of the unit's opening,
then of all of it: the order in which chunk_markdown() considers cutting before it.$$;


create or replace function ragdb_data._markdown_units(
  p_text text, p_limit int, p_token_pattern text)
  returns table (char_start int, char_end int, byte_start int, byte_end int, length int, key bigint,
                 heading_level int, heading text, opens_page boolean)
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_sentence constant text :=
    $re$(?:[^.!?。！？]|[.!?]+["')\]’”»]*[^.!?。！？"')\]’”»[:space:]])*$re$
    || $re$[.!?。！？]*["')\]’”»]*[\s\x1c-\x1f]*$re$;
  c_item     constant text := '[^\n]*(?:\n+(?![ \t]*(?:[-*+]|\d{1,9}[.)])[ \t])[^\n]+)*\n*';
  c_smaller  constant text[] := array[
    '[^\n]*\n?',
    '[[:space:]]*(?:[^[:space:]]+[[:space:]]*){1,16}',
    '[[:space:]]*[^[:space:]]{1,32}[[:space:]]*',
    '.'];
  v_bytes    constant bytea := convert_to(p_text, 'UTF8');
  v_block    record;
  v_content  text collate "pg_c_utf8";
  v_headings int;      -- where the headings right above begin, or how many tokens they have
  v_limit    int;
begin
  for v_block in select * from ragdb_data._markdown_blocks(p_text) loop
    v_content := convert_from(
      substring(v_bytes from v_block.byte_start + 1 for v_block.byte_end - v_block.byte_start),
      'UTF8');
    length := case when p_token_pattern is null then char_length(v_content)
                   else regexp_count(v_content, p_token_pattern) end;
    v_limit := p_limit;

    -- A paragraph leaves room for the headings above it, so that they stay together.
    if v_block.heading_level is not null then
      v_headings := case when p_token_pattern is null then coalesce(v_headings, v_block.char_start)
                         else coalesce(v_headings, 0) + length end;
    elsif v_headings is not null then
      if p_token_pattern is null then
        v_headings := v_block.char_start - v_headings;
      end if;

      if not v_block.solid and v_headings <= p_limit / 2 then
        v_limit := p_limit - v_headings;
      end if;

      v_headings := null;
    end if;

    if length <= v_limit then
      char_start := v_block.char_start;
      char_end := v_block.char_end;
      byte_start := v_block.byte_start;
      byte_end := v_block.byte_end;
      key := (hashtext(left(v_content, 24))::bigint << 32) + hashtext(v_content);
      heading_level := v_block.heading_level;
      heading := v_block.heading;
      opens_page := v_block.opens_page;
      return next;
    else
      return query
        select unit.char_start, unit.char_end, unit.byte_start, unit.byte_end, unit.length,
               unit.key, v_block.heading_level,
               case when unit.ordinality = 1 then v_block.heading end,
               v_block.opens_page and unit.ordinality = 1
          from ragdb_data._divide(
                 v_content, v_limit, p_token_pattern,
                 case when v_block.solid then c_smaller
                      else c_item || (c_sentence || c_smaller) end,
                 v_block.char_start, v_block.byte_start)
               with ordinality as unit;
    end if;
  end loop;
end;
$$;

comment on function ragdb_data._markdown_units(text, int, text) is
$$What chunk_markdown() never divides: blocks, and the parts of those longer than p_limit.

A long list is divided into its items, a long paragraph or item into sentences, a long sentence or
solid block into lines, a long line into groups of words, these into letters. heading_level marks
the units of a heading, heading the first of them.$$;


create or replace function ragdb_data._group_sections(
  p_begins int[], p_ends int[], p_levels int[], p_bodies int[], p_pages boolean[], p_short int)
  returns int[]
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_sections constant int := coalesce(cardinality(p_ends), 0);
  v_groups   int[] := '{}';
  v_count    int := 0;
  v_first    int := 1;
  v_small    boolean;
begin
  for v_section in 1 .. v_sections loop
    v_small := p_ends[v_section] - p_begins[v_first] < p_short;

    continue when v_small and v_section < v_sections
                  and not p_pages[v_section + 1]
                  and p_levels[v_section + 1] >= p_levels[v_first];

    if not (v_small and v_count > 0 and not p_pages[v_first]
            and (p_levels[v_first] > p_levels[v_first - 1]
                 or p_bodies[v_section] = p_bodies[v_first - 1])) then
      v_count := v_count + 1;
    end if;

    v_groups[v_count] := v_section;
    v_first := v_section + 1;
  end loop;

  return v_groups;
end;
$$;

comment on function ragdb_data._group_sections(int[], int[], int[], int[], boolean[], int) is
$$Which sections share chunks: the last section of every group.

A section shorter than p_short joins the sibling or child after it, else the parent before it; a
heading without any text joins whatever is before it. No group crosses the begin of a page.
p_bodies counts the units other than headings up to the end of each section.$$;


create or replace function ragdb_data._choose_cuts(
  p_begins int[], p_ends int[], p_keys bigint[], p_first int, p_last int, p_limit int)
  returns int[]
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_never  constant bigint := 9223372036854775807;
  v_chunks int[] := '{}';
  v_count  int := 0;
  v_first  int := p_first;
  v_lasts  int[] := array[p_last];      -- ends of the range to divide, on those right of it
  v_depths int[] := array[0];
  v_top    int := 1;
  v_last   int;
  v_low    int;
  v_high   int;
  v_cut    int;
  v_key    bigint;
begin
  while v_top > 0 loop
    v_last := v_lasts[v_top];

    if v_first = v_last or p_ends[v_last] - p_begins[v_first] <= p_limit then
      v_count := v_count + 1;
      v_chunks[v_count] := v_last;
      v_first := v_last + 1;
      v_top := v_top - 1;
      continue;
    end if;

    v_cut := null;
    v_key := c_never;

    if v_depths[v_top] < 64 then
      v_low := v_first + 1;
      v_high := v_last;

      while v_low <= v_high and p_ends[v_low - 1] - p_begins[v_first] < p_limit / 4 loop
        v_low := v_low + 1;
      end loop;

      while v_low <= v_high and p_ends[v_last] - p_begins[v_high] < p_limit / 4 loop
        v_high := v_high - 1;
      end loop;

      for v_unit in v_low .. v_high loop
        if p_keys[v_unit] < v_key then
          v_key := p_keys[v_unit];
          v_cut := v_unit;
        end if;
      end loop;
    end if;

    if v_cut is null then
      v_cut := v_first + 1;

      while v_cut < v_last
            and p_begins[v_cut] - p_begins[v_first] < (p_ends[v_last] - p_begins[v_first]) / 2 loop
        v_cut := v_cut + 1;
      end loop;

      if p_keys[v_cut] = c_never and v_cut > v_first + 1 then
        v_cut := v_cut - 1;
      end if;
    end if;

    v_depths[v_top] := v_depths[v_top] + 1;
    v_lasts[v_top + 1] := v_cut - 1;
    v_depths[v_top + 1] := v_depths[v_top];
    v_top := v_top + 1;
  end loop;

  return v_chunks;
end;
$$;

comment on function ragdb_data._choose_cuts(int[], int[], bigint[], int, int, int) is
$$Cut the units p_first to p_last into chunks of at most p_limit: the last unit of every chunk.

What is too long is cut before the unit with the smallest key that leaves a quarter of p_limit on
both sides, then both halves likewise. So a cut depends on the units around it, not on where the
chunk before it ended, and an edit moves no cut elsewhere. Where no key decides (the largest
bigint forbids a cut), or after 64 cuts in a row that brought little, the middle is taken.$$;


create or replace function ragdb.chunk_markdown(
  p_text    text,
  p_size    int default 512,
  p_overlap int default 0,
  p_unit    text default 'tokens')
  returns table (ordinal int, char_start int, char_end int, content text, heading_path text[])
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_never       constant bigint := 9223372036854775807;
  v_bytes       constant bytea := convert_to(p_text, 'UTF8');
  v_limit       int;
  v_unit        record;
  v_stack       text[] := array_fill(''::text, array[6]);

  -- Units, with their begin and end counted in p_unit.
  v_units       int := 0;
  v_char_starts int[];
  v_char_ends   int[];
  v_byte_starts int[];
  v_byte_ends   int[];
  v_begins      int[];
  v_ends        int[];
  v_keys        bigint[];
  v_headings    boolean[];
  v_section_of  int[];

  -- Sections; a page break divides them.
  v_sections    int := 0;
  v_lasts       int[];
  v_from        int[];
  v_to          int[];
  v_levels      int[];
  v_paths       text[];
  v_pages       boolean[];
  v_bodies      int[];

  v_group       int;
  v_first       int := 1;
  v_last        int;
  v_start       int;
  v_head        int;
  v_path        text[];
  v_other       text[];
begin
  perform ragdb_data._check_chunk_size(p_size, p_overlap, p_unit);
  v_limit := p_size - p_overlap;

  for v_unit in
    select *
      from ragdb_data._markdown_units(
             p_text, v_limit, case when p_unit = 'tokens' then ragdb_data._token_pattern() end)
  loop
    v_units := v_units + 1;
    v_char_starts[v_units] := v_unit.char_start;
    v_char_ends[v_units] := v_unit.char_end;
    v_byte_starts[v_units] := v_unit.byte_start;
    v_byte_ends[v_units] := v_unit.byte_end;
    v_begins[v_units] := case when p_unit = 'characters' then v_unit.char_start
                              else coalesce(v_ends[v_units - 1], 0) end;
    v_ends[v_units] := v_begins[v_units] + v_unit.length;
    v_keys[v_units] := case when v_headings[v_units - 1] then c_never else v_unit.key end;
    v_headings[v_units] := v_unit.heading_level is not null;

    if v_units = 1 or v_unit.opens_page or v_unit.heading is not null then
      if v_unit.heading is not null then
        v_stack := v_stack[: v_unit.heading_level - 1] || v_unit.heading
                   || array_fill(''::text, array[6 - v_unit.heading_level]);
      end if;

      v_sections := v_sections + 1;
      v_from[v_sections] := v_begins[v_units];
      v_pages[v_sections] := v_unit.opens_page;
      v_levels[v_sections] := coalesce(v_unit.heading_level, v_levels[v_sections - 1], 0);
      v_paths[v_sections] := array_to_string(array_remove(v_stack, ''), E'\n');
      v_bodies[v_sections] := coalesce(v_bodies[v_sections - 1], 0);
    end if;

    v_section_of[v_units] := v_sections;
    v_lasts[v_sections] := v_units;
    v_to[v_sections] := v_ends[v_units];

    if not v_headings[v_units] then
      v_bodies[v_sections] := v_bodies[v_sections] + 1;
    end if;
  end loop;

  ordinal := 0;

  foreach v_group in array
    ragdb_data._group_sections(
      v_from, v_to, v_levels, v_bodies, v_pages,
      least(case p_unit when 'tokens' then 20 else 100 end, v_limit / 4))
  loop
    v_head := v_first;     -- where an overlap may begin: not with all of the chunk before

    foreach v_last in array
      ragdb_data._choose_cuts(v_begins, v_ends, v_keys, v_first, v_lasts[v_group], v_limit)
    loop
      v_path := null;

      for v_i in v_first .. v_last loop
        continue when v_headings[v_i] or v_levels[v_section_of[v_i]] = 0;
        v_other := string_to_array(v_paths[v_section_of[v_i]], E'\n');
        v_path := coalesce(v_path, v_other);

        while v_path <> v_other[: cardinality(v_path)] loop
          v_path := trim_array(v_path, 1);
        end loop;
      end loop;

      v_start := v_first;

      while v_start > v_head and v_begins[v_first] - v_begins[v_start - 1] <= p_overlap loop
        v_start := v_start - 1;
      end loop;

      char_start := v_char_starts[v_start];
      char_end := v_char_ends[v_last];
      content := convert_from(
        substring(v_bytes from v_byte_starts[v_start] + 1
                          for v_byte_ends[v_last] - v_byte_starts[v_start]), 'UTF8');
      heading_path := coalesce(v_path, string_to_array(v_paths[v_section_of[v_last]], E'\n'));
      return next;
      ordinal := ordinal + 1;
      v_head := v_first + 1;
      v_first := v_last + 1;
    end loop;
  end loop;
end;
$$;

comment on function ragdb.chunk_markdown(text, int, int, text) is
$$Split Markdown, or any text in paragraphs, along its headings and paragraphs.

Chunks have at most p_size (characters, or tokens as ragdb.count_tokens() estimates them) and hold
whole paragraphs, list blocks, tables and code blocks; only what is longer than a chunk is
divided, at the ends of sentences, lines or words. A heading begins a chunk and stays with the
text below it. heading_path lists the headings above the text, outermost first, in plain words. A
section of less than 20 tokens (100 characters) joins the sibling or child after it, else the
parent before it; the path of such a chunk is what the paths of its texts have in common, where
headings without text and the text before the first heading do not count. A form feed begins a new
chunk.

Where a long section is cut depends on the paragraphs around the cut only: an edit normally
changes the chunk it is in and at most the next, however long the document. p_overlap repeats that
much of the chunk before, in whole paragraphs, within a section.

Example: select heading_path, content from ragdb.chunk_markdown(body);

Raises PT422 invalid_chunk_size, invalid_chunk_unit.$$;


create or replace function ragdb.chunk_text(p_text text, p_profile jsonb default '{}')
  returns table (ordinal int, char_start int, char_end int, content text, heading_path text[],
                 page int)
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_profile    constant jsonb := coalesce(p_profile, '{}');
  v_pages      constant text[] := string_to_array(coalesce(p_text, ''), E'\f');
  v_paged      constant boolean := cardinality(v_pages) > 1;
  v_fault      text;
  v_unit       text;
  v_size       int;
  v_overlap    int;
  v_separators text[];
  v_page       text;
  v_number     int := 0;
  v_start      int := 0;
  v_starts     int[] := '{}';
  v_chunks     int := 0;
  v_count      int;
begin
  if jsonb_typeof(v_profile) = 'object' then
    select string_agg(format('%s: %s', key, value), ', ')
      into v_fault
      from jsonb_each(v_profile)
     where case key
             when 'chunker' then value in ('"markdown"', '"recursive"')
             when 'unit' then value in ('"characters"', '"tokens"')
             when 'size' then value::text ~ '^-?\d{1,9}$'
             when 'overlap' then value::text ~ '^-?\d{1,9}$'
             when 'separators' then v_profile ->> 'chunker' = 'recursive'
                                    and jsonb_typeof(value) = 'array'
                                    and value <> '[]'
                                    and not value @? '$[*] ? (@.type() <> "string")'
           end is not true;
  else
    v_fault := v_profile::text;
  end if;

  if v_fault is not null then
    raise exception 'The chunk profile has an unknown key or a bad value.'
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_profile',
            detail     = v_fault,
            hint       = 'Keys: chunker (markdown or recursive), size and overlap (integers), '
                         'unit (tokens or characters), separators (strings; recursive only).';
  end if;

  v_unit := coalesce(v_profile ->> 'unit', 'tokens');
  v_size := coalesce((v_profile ->> 'size')::int, 512);

  if v_profile ->> 'chunker' = 'recursive' then
    v_overlap := coalesce((v_profile ->> 'overlap')::int, least(50, v_size / 10));
    v_separators := case when v_profile ? 'separators'
                         then array(select jsonb_array_elements_text(v_profile -> 'separators'))
                         else array[E'\n\n', E'\n', ' ', ''] end;
    perform ragdb_data._check_chunk_size(v_size, v_overlap, v_unit);

    foreach v_page in array v_pages loop
      v_number := v_number + 1;

      return query
        select v_chunks + chunk.ordinal, v_start + chunk.char_start, v_start + chunk.char_end,
               chunk.content, chunk.heading_path, case when v_paged then v_number end
          from ragdb.chunk_recursive(v_page, v_size, v_overlap, v_separators, v_unit) as chunk;

      get diagnostics v_count = row_count;
      v_chunks := v_chunks + v_count;
      v_start := v_start + char_length(v_page) + 1;
    end loop;
  else
    v_overlap := coalesce((v_profile ->> 'overlap')::int, 0);

    foreach v_page in array v_pages loop
      v_starts := v_starts || v_start;
      v_start := v_start + char_length(v_page) + 1;
    end loop;

    return query
      select chunk.*, case when v_paged then width_bucket(chunk.char_start, v_starts) end
        from ragdb.chunk_markdown(p_text, v_size, v_overlap, v_unit) as chunk;
  end if;
end;
$$;

comment on function ragdb.chunk_text(text, jsonb) is
$$Split a text by a chunk profile.

The profile is a JSON object; every key may be left out:
  chunker     markdown (default; also right for plain text) or recursive
  size        the most a chunk holds, default 512
  overlap     what neighbours share, default 0, for recursive a tenth of the size, at most 50
  unit        tokens (default, see ragdb.count_tokens()) or characters
  separators  for recursive: the strings to split at, coarsest first

A form feed separates pages, as the text of a PDF has it: no chunk crosses it, and page counts
from 1. A text without form feeds has page null. Offsets are those of ragdb.chunk_markdown() and
ragdb.chunk_recursive(), in the whole text.

Example: select * from ragdb.chunk_text(body, '{"chunker": "recursive", "size": 256, "unit":
"characters"}');

Raises PT422 invalid_chunk_profile, invalid_chunk_size.$$;
