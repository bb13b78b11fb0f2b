-- Markdown as chunking sees it: blocks (headings, paragraphs, lists, tables, code), and headings in
-- plain words. Byte offsets as in 26_chunk_recursive.sql.

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
  -- A line that is text and nothing else; after a list item it may still belong to it.
  c_prose    constant text :=
    $re$[ \t]*(?:[[:alpha:]"'(\[{.$@%&/!>\\]|[:_*]*[[:alpha:]]|\*{0,2}`{1,2}[^`\n\f]$re$
    || $re$|\d+(?:[^\d.)\n\f]|[.)][^ \t\n\f])|-{1,2}[[:alpha:]])[^\n\f]*$re$;
  -- All of what is between two blank lines, and not blank at its end.
  c_all      constant text := format(
    '^(?:%s\n)*%1$s[^[:space:]\x1c-\x1f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f'
    '\u3000]\Z', c_prose);
  v_space    constant text := ragdb_data._whitespace();
  v_blank    constant text := v_space || E'\ufeff';
  v_text     text := coalesce(p_text, '');
  v_paged    constant boolean := strpos(v_text, E'\f') > 0;
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
  v_pieces   text[];                      -- what is between two blank lines
  v_piece    text collate "pg_c_utf8";
begin
  if strpos(v_text, E'\r') > 0 then
    v_text := regexp_replace(v_text, '\r(?!\n)', E'\n', 'g');
  end if;

  if left(v_text, 4000) ~ '^\ufeff?---[ \t]*\r?\n\w[^\n]*:.*\n(---|\.\.\.)[ \t]*\r?(\n|$)' then
    v_closing := '^(---|\.\.\.)$';
  end if;

  -- A form feed ends a line as a newline does, but stays at its end.
  v_pieces := string_to_array(replace(v_text, E'\f', E'\f\n'), E'\n\n');

  for v_number in 1 .. coalesce(cardinality(v_pieces), 0) loop
    v_piece := v_pieces[v_number];

    if v_closing is null and left(v_piece, 1) = E'\n' then
      v_piece := substr(v_piece, 2);
      v_char := v_char + 1;
      v_byte := v_byte + 1;
    end if;

    -- Most of them are one paragraph, and need not be read line by line.
    if v_closing is null and (v_list = 0 or left(v_piece, 1) not in (' ', E'\t'))
       and v_piece ~ c_all then
      v_list := 0;
      char_start := v_char;
      char_end := v_char + char_length(v_piece);
      byte_start := v_byte;
      byte_end := v_byte + octet_length(v_piece);
      heading_level := null;
      heading := null;
      solid := false;
      opens_page := v_page;
      v_page := false;
      return next;
      v_char := char_end + 2;
      v_byte := byte_end + 2;
      continue;
    end if;

    foreach v_line in array string_to_array(
      v_piece || case when v_number < cardinality(v_pieces) then E'\n' else '' end, E'\n')
    loop
      -- Every third line or so is empty.
      if v_line = '' and v_closing is null then
        if v_lines > 0 then
          return next;
          v_lines := 0;
        end if;

        v_char := v_char + 1;
        v_byte := v_byte + 1;
        continue;
      end if;

      v_visible := rtrim(v_line, v_space);
      v_body := v_visible;
      v_first := left(v_visible, 1);
      v_indent := 0;
      v_level := null;
      v_solid := false;
      v_sole := null;
      v_opens := false;
      v_closes := v_paged and right(v_line, 1) = E'\f';

      if v_first = '' or strpos(v_blank, v_first) > 0 then
        v_body := ltrim(v_visible, case v_char when 0 then v_blank else v_space end);
        v_first := left(v_body, 1);
        v_indent := char_length(v_line) - char_length(ltrim(v_line, ' '));

        if substr(v_line, v_indent + 1, 1) = E'\t' then
          v_indent := v_indent + 4;
        end if;
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

      if v_paged and right(v_line, 1) = E'\f' then
        v_char := v_char - 1;
        v_byte := v_byte - 1;
        v_page := true;
      end if;
    end loop;
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
