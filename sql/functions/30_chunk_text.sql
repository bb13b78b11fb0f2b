-- Chunking by profile: what put_documents() calls.

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
  v_chunker    constant text := coalesce(v_profile ->> 'chunker', 'markdown');
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
             when 'chunker' then value in ('"markdown"', '"recursive"', '"sentences"', '"table"')
             when 'unit' then value in ('"characters"', '"tokens"')
                              and v_chunker <> 'sentences'
             when 'size' then value::text ~ '^-?\d{1,9}$'
             when 'overlap' then value::text ~ '^-?\d{1,9}$' and v_chunker <> 'table'
             when 'separators' then v_chunker = 'recursive'
                                    and jsonb_typeof(value) = 'array'
                                    and value <> '[]'
                                    and not value @? '$[*] ? (@.type() <> "string")'
           end is not true;
  else
    v_fault := v_profile::text;
  end if;

  if v_fault is not null then
    raise exception 'A chunk profile cannot have %.', left(v_fault, 200)
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_profile',
            hint       = 'Keys: chunker (markdown, recursive, sentences or table), size and '
                         'overlap (integers), unit (tokens or characters), separators (strings; '
                         'recursive only).';
  end if;

  v_unit := coalesce(v_profile ->> 'unit', 'tokens');
  v_size := coalesce((v_profile ->> 'size')::int,
                     case v_chunker when 'recursive' then 512 when 'sentences' then 5 else 320 end);
  if v_size > 100000 then
    raise exception 'A chunk has a size of at most 100,000.'
      using errcode    = 'PT422',
            constraint = 'invalid_chunk_size',
            detail     = format('size: %s', v_size),
            hint       = 'For example size 512 and overlap 50.';
  end if;

  if v_chunker <> 'markdown' then
    v_overlap := coalesce((v_profile ->> 'overlap')::int,
                          case v_chunker when 'recursive' then least(50, v_size / 10)
                                         when 'sentences' then least(1, v_size - 1)
                                         else 0 end);
    v_separators := case when v_profile ? 'separators'
                         then array(select jsonb_array_elements_text(v_profile -> 'separators'))
                         else array[E'\n\n', E'\n', ' ', ''] end;
    perform ragdb_data._check_chunk_size(v_size, v_overlap, v_unit);

    foreach v_page in array v_pages loop
      v_number := v_number + 1;

      return query
        select v_chunks + chunk.ordinal, v_start + chunk.char_start, v_start + chunk.char_end,
               chunk.content, chunk.heading_path, case when v_paged then v_number end
          from (select * from ragdb.chunk_recursive(v_page, v_size, v_overlap, v_separators, v_unit)
                 where v_chunker = 'recursive'
                union all
                select * from ragdb.chunk_sentences(v_page, v_size, v_overlap)
                 where v_chunker = 'sentences'
                union all
                select * from ragdb.chunk_table(v_page, v_size, v_unit)
                 where v_chunker = 'table') as chunk;

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
  chunker     markdown (default; also right for plain text), recursive, sentences or table
  size        the most a chunk holds, default 320, for recursive 512, at most 100,000; for
              sentences their number, default 5
  overlap     what neighbours share, default 0, for recursive a tenth of the size, at most 50, for
              sentences 1; a table has none
  unit        tokens (default, see ragdb.count_tokens()) or characters
  separators  for recursive: the strings to split at, coarsest first

A form feed separates pages, as the text of a PDF has it: no chunk crosses it, and page counts
from 1. A text without form feeds has page null. Offsets are in the whole text. See
ragdb.chunk_markdown(), chunk_recursive(), chunk_sentences() and chunk_table().

Example: select * from ragdb.chunk_text(body, '{"chunker": "recursive", "size": 256, "unit":
"characters"}');

Raises PT422 invalid_chunk_profile, invalid_chunk_size.$$;
