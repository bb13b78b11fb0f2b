-- Searching segments: the greatest sums of impacts, of all sealed chunks or of those a filter let
-- through. What they are is told in 39_segments.sql.

create or replace function ragdb_data._sealed_candidates(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_chunks int8[], p_limit int4)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashagg = off  -- by segment the sum stays in the processor's cache
  set jit = off
as $$
declare
  c_size constant int4 := 4000;
  c_many constant int4 := 100;
  c_zero constant bytea := '\x00';
  v_segment record;
  v_masks public.vector[];
  v_masked int4[];
  v_mask int4;
  v_sums public.vector;
  v_least float4 := 0;
  v_threshold public.vector;
  v_above varbit;
  v_hits int4;
  v_bytes bytea;
  v_position int4;
  v_length int4;
  v_byte int4;
  v_slots int8[] := '{}';
  v_scores float4[] := '{}';
begin
  if p_chunks is null then
    select array_agg(m.segment_no), array_agg(m.mask) into v_masked, v_masks
      from (select (d.slot_no / 4096)::int4 as segment_no,
                   ('{' || string_agg((d.slot_no % 4096 + 1) || ':1000000', ',')
                    || '}/4000')::public.sparsevec::public.vector as mask
              from ragdb_data.dead_chunk d
             where d.org_no = p_org_no
               and d.scope_no = any (p_scopes)
               and d.slot_no is not null
             group by 1) m;
  else
    select array_agg(m.segment_no), array_agg(m.mask) into v_masked, v_masks
      from (select (s.slot_no / 4096)::int4 as segment_no,
                   ('{' || string_agg((s.slot_no % 4096 + 1) || ':1', ',')
                    || '}/4000')::public.sparsevec::public.vector as mask
              from ragdb_data.slot s
             where s.org_no = p_org_no and s.chunk_no = any (p_chunks)
             group by 1) m;
  end if;

  for v_segment in
    -- A word that the query repeats counts as often.
    select g.segment_no, public.sum(g.impacts::public.vector) as sums
      from unnest(p_terms) t(term)
     cross join lateral (
       select p.segment_no, p.impacts
         from ragdb_data.segment_posting p
        where p.org_no = p_org_no
          and p.term = t.term
          and p.scope_no = any (p_scopes)
       offset 0) g
     group by g.segment_no
  loop
    v_sums := v_segment.sums;
    v_mask := array_position(v_masked, v_segment.segment_no);
    if p_chunks is not null then
      continue when v_mask is null;
      v_sums := v_sums operator(public.*) v_masks[v_mask];
    elsif v_mask is not null then
      v_sums := v_sums operator(public.-) v_masks[v_mask];
    end if;

    -- One bit a chunk: does it beat the least of the best so far?
    v_above := case when v_least > 0
                 then public.binary_quantize(v_sums operator(public.-) v_threshold)
                 else public.binary_quantize(v_sums) end;
    v_hits := bit_count(v_above);
    continue when v_hits = 0;
    if v_hits > c_many then
      -- Sets side by side in a select list are read in step, and without being stored first.
      select v_slots || array_agg(b.slot_no), v_scores || array_agg(b.score)
        into v_slots, v_scores
        from (select 4096::int8 * v_segment.segment_no + s.position as slot_no, s.score
                from (select generate_series(0, c_size - 1) as position,
                             unnest(v_sums::float4[]) as score) s
               where s.score > v_least
               order by s.score desc
               limit p_limit) b;
    else
      v_bytes := substr(varbit_send(v_above), 5);
      v_position := 0;
      loop
        v_length := length(v_bytes);
        v_bytes := ltrim(v_bytes, c_zero);
        exit when length(v_bytes) = 0;
        v_position := v_position + 8 * (v_length - length(v_bytes));
        v_byte := get_byte(v_bytes, 0);
        for v_bit in 0 .. 7 loop
          if v_byte & (128 >> v_bit) <> 0 then
            v_slots := v_slots || (4096::int8 * v_segment.segment_no + v_position + v_bit);
            v_scores := v_scores
              || public.vector_norm(public.subvector(v_sums, v_position + v_bit + 1, 1))::float4;
          end if;
        end loop;
        v_bytes := substr(v_bytes, 2);
        v_position := v_position + 8;
      end loop;
    end if;

    if cardinality(v_scores) >= 2 * p_limit
       or v_least = 0 and cardinality(v_scores) >= p_limit then
      select array_agg(b.slot_no order by b.score desc), array_agg(b.score order by b.score desc)
        into v_slots, v_scores
        from (select u.slot_no, u.score
                from unnest(v_slots, v_scores) u(slot_no, score)
               order by u.score desc
               limit p_limit) b;
      v_least := v_scores[p_limit];
      v_threshold := array_fill(v_least, array[c_size])::public.vector;
    end if;
  end loop;

  v_slots := array(select u.slot_no
                     from unnest(v_slots, v_scores) u(slot_no, score)
                    order by u.score desc
                    limit p_limit);
  return array(select s.chunk_no
                 from ragdb_data.slot s
                where s.org_no = p_org_no and s.slot_no = any (v_slots));
end;
$$;

comment on function ragdb_data._sealed_candidates(int4, int4[], int4[], int8[], int4) is
$$The p_limit best sealed chunks of the scopes by the scores of their sealing; p_chunks: the only
ones to return, or null.$$;

create or replace function ragdb_data._sealed_within(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_bodies int8[], p_limit int4)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_asked int4 := 3 * p_limit;
  v_chunks int8[];
  v_found int8[];
begin
  loop
    v_chunks := ragdb_data._sealed_candidates(p_org_no, p_scopes, p_terms, null, v_asked);
    v_found := array(select c.chunk_no
                       from ragdb_data.chunk c
                      where c.org_no = p_org_no
                        and c.chunk_no = any (v_chunks)
                        and c.body_no in (select unnest(p_bodies)));
    exit when cardinality(v_found) >= p_limit or cardinality(v_chunks) < v_asked;
    v_asked := 4 * v_asked;
  end loop;
  return v_found;
end;
$$;

comment on function ragdb_data._sealed_within(int4, int4[], int4[], int8[], int4) is
$$The p_limit best sealed chunks of many bodies, and some more: the best of all, four times as many
until enough of them are of these bodies. A mask of tens of thousands of chunks took 40 times as
long.$$;
