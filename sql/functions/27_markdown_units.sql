-- From blocks of Markdown to units that chunks are packed of: what is too long for one is divided
-- where it hurts least.

create or replace function ragdb_data._divide(
  p_text          text,
  p_limit         int,
  p_tokens        boolean,
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
    length := case when p_tokens then ragdb_data._tokens(v_visible)
                   else char_length(v_visible) end;

    if length > p_limit then
      return query
        select *
          from ragdb_data._divide(v_piece, p_limit, p_tokens, p_pieces[2:],
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

comment on function ragdb_data._divide(text, int, boolean, text[], int, int) is
$$Divide a text into units of at most p_limit, at the coarsest level that allows it.

p_pieces are regular expressions from coarse to fine; the matches of each cover a text without
gaps. A piece that is too long is divided by the next. The key is a hash of the unit's opening,
then of all of it: the order in which chunk_markdown() considers cutting before it.$$;


create or replace function ragdb_data._markdown_units(
  p_text text, p_limit int, p_tokens boolean)
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
    length := case when p_tokens then ragdb_data._tokens(v_content)
                   else char_length(v_content) end;
    v_limit := p_limit;

    -- A paragraph leaves room for the headings above it, so that they stay together.
    if v_block.heading_level is not null then
      v_headings := case when p_tokens then coalesce(v_headings, 0) + length
                         else coalesce(v_headings, v_block.char_start) end;
    elsif v_headings is not null then
      if not p_tokens then
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
                 v_content, v_limit, p_tokens,
                 case when v_block.solid then c_smaller
                      else c_item || (c_sentence || c_smaller) end,
                 v_block.char_start, v_block.byte_start)
               with ordinality as unit;
    end if;
  end loop;
end;
$$;

comment on function ragdb_data._markdown_units(text, int, boolean) is
$$What chunk_markdown() never divides: blocks, and the parts of those longer than p_limit.

A long list is divided into its items, a long paragraph or item into sentences, a long sentence or
solid block into lines, a long line into groups of words, these into letters. heading_level marks
the units of a heading, heading the first of them.$$;
