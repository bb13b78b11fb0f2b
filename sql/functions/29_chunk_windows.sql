-- Chunkers for texts that have no paragraphs to follow: windows of sentences, and rows of a table.
-- As everywhere, a chunk is an exact slice of its text.

create or replace function ragdb.chunk_sentences(
  p_text    text,
  p_size    int default 5,
  p_overlap int default 1)
  returns table (ordinal int, char_start int, char_end int, content text, heading_path text[])
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_longest constant int := 8000;
  v_space   constant text := ragdb_data._whitespace();
  v_starts  int[];
  v_first   int := 1;
  v_next    int;
  v_start   int;
  v_window  text;
begin
  perform ragdb_data._check_chunk_size(p_size, p_overlap, 'tokens');

  -- What stands between two sentences, as code does, belongs to the first.
  select array_agg(case s.ordinal when 1 then 0 else s.char_start end order by s.ordinal)
    into v_starts
    from ragdb_data._sentences(p_text) s;

  if v_starts is null and btrim(p_text, v_space) <> '' then
    v_starts := '{0}';
  end if;

  ordinal := -1;
  heading_path := '{}';

  while v_first <= cardinality(v_starts) loop
    v_next := v_first + p_size;
    v_start := v_starts[v_first];
    v_window := substr(p_text, v_start + 1,
                       coalesce(v_starts[v_next], char_length(p_text)) - v_start);
    v_start := v_start + char_length(v_window) - char_length(ltrim(v_window, v_space));
    v_window := btrim(v_window, v_space);

    -- Text without ends of sentences makes no window; it is cut to lengths that can be cited.
    for char_start, char_end, content in
      select v_start, v_start + char_length(v_window), v_window
       where char_length(v_window) <= c_longest
      union all
      select v_start + c.char_start, v_start + c.char_end, c.content
        from ragdb.chunk_recursive(v_window, c_longest, 0, p_unit => 'characters') c
       where char_length(v_window) > c_longest
    loop
      ordinal := ordinal + 1;
      return next;
    end loop;

    exit when v_next > cardinality(v_starts);
    v_first := v_next - p_overlap;
  end loop;
end;
$$;

comment on function ragdb.chunk_sentences(text, int, int) is
$$Split a text into windows of p_size sentences that share p_overlap with the next.

Sentences are those that extractive answers quote; a heading or list item counts as one, code
belongs to the sentence before it. A window of more than 8,000 characters is cut as
ragdb.chunk_recursive() cuts. Search finds the window, its neighbours give the context.

Example: select * from ragdb.chunk_sentences(body, 3, 1);

Raises PT422 invalid_chunk_size.$$;


create or replace function ragdb.chunk_table(
  p_text text,
  p_size int default 320,
  p_unit text default 'tokens')
  returns table (ordinal int, char_start int, char_end int, content text, heading_path text[])
  language plpgsql
  immutable
  parallel safe
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_space   constant text := ragdb_data._whitespace();
  v_header  text;
  v_rest    text := p_text;
  v_skipped int := 0;
begin
  perform ragdb_data._check_chunk_size(p_size, 0, p_unit);

  -- The header is the first record; a quoted cell may hold line breaks.
  v_header := substring(p_text from '^\s*((?:"[^"]*"|[^"\n])*)(?:\n|$)');

  if v_header is not null and btrim(v_header, v_space) <> ''
     and char_length(v_header) <= 2000 then
    v_skipped := strpos(p_text, v_header) - 1 + char_length(v_header);
    -- Under it, as Markdown has it, a line of dashes.
    v_skipped := v_skipped + coalesce(
      char_length(substring(substr(p_text, v_skipped + 1) from '^\n[ \t]*\|[-:| \t]+(?=\n|$)')), 0);
    v_rest := substr(p_text, v_skipped + 1);

    if btrim(v_rest, v_space) = '' then
      v_skipped := 0;
      v_rest := p_text;
    end if;
  end if;

  -- A line break within quotes ends no row: such breaks are hidden from the splitting, one
  -- character for one.
  return query
    select c.ordinal, v_skipped + c.char_start, v_skipped + c.char_end,
           substr(p_text, v_skipped + c.char_start + 1, c.char_end - c.char_start),
           case when v_skipped = 0 then '{}'
                else array[btrim(regexp_replace(v_header, '["\s]*[,;\t|]["\s]*', ' | ', 'g'),
                                 '" |' || v_space)] end
      from ragdb.chunk_recursive(
             (select string_agg(case when q.n % 2 = 0 then translate(q.part, E'\n\r', '  ')
                                     else q.part end, '"' order by q.n)
                from string_to_table(v_rest, '"') with ordinality q(part, n)),
             p_size, 0, array[E'\n', ' ', ''], p_unit) c;
end;
$$;

comment on function ragdb.chunk_table(text, int, text) is
$$Split CSV, tab-separated values or a Markdown table into chunks of whole rows.

The first row names the columns: it is no chunk but the heading_path of all, so that every row is
found by the names of its columns. A row longer than p_size is divided at words; line breaks within
double quotes end no row. Units as in ragdb.chunk_recursive().

Example: select heading_path, content from ragdb.chunk_table(E'name,price\nbolt,2\nnut,1');

Raises PT422 invalid_chunk_size, invalid_chunk_unit.$$;
