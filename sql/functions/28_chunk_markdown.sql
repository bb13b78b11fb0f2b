-- Markdown into chunks along its headings: sections too short to stand alone are grouped, long ones
-- are cut where their content says, so that an edit stays local.

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
             p_text, v_limit, p_unit = 'tokens')
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
