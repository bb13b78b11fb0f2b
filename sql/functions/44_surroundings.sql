-- What stands around a chunk that was found.

create or replace function ragdb_data._surroundings(
  p_org_no int4, p_chunk_no int8, p_neighbours int4, p_section boolean,
  out char_start int4, out char_end int4, out content text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_variable
declare
  c_most constant int4 := 20;
  v_chunk ragdb_data.chunk;
  v_first int4;
  v_last int4;
begin
  select k.* into v_chunk
    from ragdb_data.chunk k
   where k.org_no = p_org_no and k.chunk_no = p_chunk_no;
  v_first := v_chunk.ordinal - p_neighbours;
  v_last := v_chunk.ordinal + p_neighbours;
  if p_section and cardinality(v_chunk.heading_path) > 0 then
    select greatest(coalesce(max(k.ordinal) filter (where k.ordinal < v_chunk.ordinal) + 1, 0),
                    v_chunk.ordinal - c_most),
           least(coalesce(min(k.ordinal) filter (where k.ordinal > v_chunk.ordinal) - 1,
                          2147483647),
                 v_chunk.ordinal + c_most)
      into v_first, v_last
      from ragdb_data.chunk k
     where k.org_no = p_org_no
       and k.body_no = v_chunk.body_no
       and k.ordinal between v_chunk.ordinal - c_most - 1 and v_chunk.ordinal + c_most + 1
       and k.heading_path[: cardinality(v_chunk.heading_path)] <> v_chunk.heading_path;
    v_first := least(v_first, v_chunk.ordinal - p_neighbours);
    v_last := greatest(v_last, v_chunk.ordinal + p_neighbours);
  end if;
  select min(k.char_start), max(k.char_end) into char_start, char_end
    from ragdb_data.chunk k
   where k.org_no = p_org_no
     and k.body_no = v_chunk.body_no
     and k.ordinal between v_first and v_last;
  select substr(b.content, char_start + 1, char_end - char_start) into content
    from ragdb_data.body b
   where b.org_no = p_org_no and b.body_no = v_chunk.body_no;
end;
$$;

comment on function ragdb_data._surroundings(int4, int8, int4, boolean) is
$$A chunk's text with that of its neighbours, or of the section it stands in with all that is below
its heading, at most 20 chunks to either side, and where that is in the document.$$;
