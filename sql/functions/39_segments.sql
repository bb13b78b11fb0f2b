-- Segments: the keyword leg of large scopes, exact and at search-engine speed.
--
-- A posting row costs about .2 us in a query; summing one sparse vector of impacts per term and
-- segment of 4,000 chunks costs .4 ns a chunk. The greatest sums are read off by binary_quantize(),
-- which leaves most segments at once. idf and average length are those of the sealing; the best
-- chunks are scored again with today's (see _fuse), and segments are made anew when their scope has
-- doubled or a tenth of a segment is dead. Without sealing search is as exact, and slower.

create or replace function ragdb_data._seal(p_scope_no int4, p_chunks int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_nestloop = off
  set work_mem = '128MB'
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_segment_no int4;
  v_n float8;
  v_length float8;
begin
  select sum(u.n), sum(u.length) / nullif(sum(u.n), 0)
    into v_n, v_length
    from (select sum(s.chunks)::float8 as n, sum(s.length)::float8 as length
            from ragdb_data.segment s
           where s.org_no = v_org and s.scope_no = p_scope_no
          union all
          select cardinality(p_chunks), sum(ragdb_data._length(w.terms))
            from ragdb_data.chunk_word w
           where w.org_no = v_org and w.chunk_no = any (p_chunks)) u;

  insert into ragdb_data.segment (org_no, scope_no, chunks, length, scope_chunks)
  select v_org, p_scope_no, count(*), sum(ragdb_data._length(w.terms)), v_n
    from ragdb_data.chunk_word w
   where w.org_no = v_org and w.chunk_no = any (p_chunks)
  returning segment_no into v_segment_no;

  insert into ragdb_data.slot (org_no, scope_no, slot_no, chunk_no)
  select v_org, p_scope_no, 4096::int8 * v_segment_no + u.ordinal - 1, u.chunk_no
    from unnest(p_chunks) with ordinality u(chunk_no, ordinal);

  with word as materialized (
    select u.ordinal::int4 as position, w.terms, array_position(w.terms, 0) as title_end,
           ragdb_data._length(w.terms) as length
      from unnest(p_chunks) with ordinality u(chunk_no, ordinal)
      join ragdb_data.chunk_word w on w.org_no = v_org and w.chunk_no = u.chunk_no),
  tf as materialized (
    select w.position, t.term,
           sum(case when t.ordinal < w.title_end then 3 else 1 end)::float8 as tf, w.length
      from word w
     cross join lateral unnest(w.terms) with ordinality t(term, ordinal)
     where t.term <> 0
     group by w.position, t.term, w.length),
  frequency as materialized (
    select u.term, sum(u.df)::float8 as df
      from (select t.term, count(*) as df from tf t group by t.term
            union all
            select g.term, g.df
              from ragdb_data.segment_posting g
             where g.org_no = v_org
               and g.scope_no = p_scope_no
               and g.term in (select t.term from tf t)) u
     group by u.term)
  insert into ragdb_data.segment_posting (org_no, scope_no, segment_no, term, df, impacts)
  select v_org, p_scope_no, v_segment_no, t.term, count(*),
         ('{' || string_agg(t.position || ':' || (
            ln(1 + (v_n - f.df + 0.5::float8) / (f.df + 0.5::float8))
            * 2.2::float8 * t.tf
            / (t.tf + 0.3::float8 + 0.9::float8 * t.length / v_length))::float4, ',')
          || '}/4000')::public.sparsevec
    from tf t
    join frequency f on f.term = t.term
   group by t.term;

  delete from ragdb_data.posting p
   using unnest(p_chunks) u(chunk_no)
   where p.org_no = v_org
     and p.scope_no = p_scope_no
     and p.chunk_no = u.chunk_no;
end;
$$;

comment on function ragdb_data._seal(int4, int8[]) is
$$Make a segment of at most 4,000 chunks of a scope and take their postings out of the tail.

impacts: idf * 2.2 tf / (tf + .3 + .9 length / average length), positions from 1.$$;

create or replace function ragdb_data._seal_scopes()
  returns table (task text, rows int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  c_size constant int4 := 4000;
  v_org int4 := ragdb.current_org_no();
  v_scope_no int4;
  v_stale int4[];
  v_chunks int8[];
  v_tail int8[];
  v_sealed int8 := 0;
  v_renewed int8 := 0;
begin
  -- One at a time in an organization. Not waited for: anybody may hold an advisory lock.
  if not pg_try_advisory_xact_lock(hashtextextended('ragdb.seal', v_org)) then
    return query values ('seal chunks', 0::int8), ('seal chunks anew', 0::int8);
    return;
  end if;
  foreach v_scope_no in array ragdb.current_scopes() loop
    v_tail := array(select p.chunk_no
                      from ragdb_data.posting p
                     where p.org_no = v_org and p.term = 0 and p.scope_no = v_scope_no
                     order by p.chunk_no);
    v_stale := array(
      select s.segment_no
        from ragdb_data.segment s
       where s.org_no = v_org
         and s.scope_no = v_scope_no
         and (2 * s.scope_chunks
              < (select sum(o.chunks)
                   from ragdb_data.segment o
                  where o.org_no = v_org and o.scope_no = v_scope_no) + cardinality(v_tail)
              or 10 * (select count(*)
                         from ragdb_data.dead_chunk d
                        where d.org_no = v_org
                          and d.scope_no = v_scope_no
                          and d.slot_no / 4096 = s.segment_no) > s.chunks));
    v_chunks := array(select s.chunk_no
                        from ragdb_data.slot s
                       where s.org_no = v_org
                         and s.scope_no = v_scope_no
                         and s.slot_no / 4096 = any (v_stale)
                       order by s.slot_no);
    v_tail := v_tail[: cardinality(v_tail) / c_size * c_size];
    -- A chunk being deleted now is either gone when its lock is had, or finds its slot when it
    -- goes.
    perform from ragdb_data.chunk c
     where c.org_no = v_org and c.chunk_no = any (v_chunks || v_tail)
     order by c.chunk_no
       for key share;
    v_chunks := array(select s.chunk_no
                        from ragdb_data.slot s
                       where s.org_no = v_org and s.chunk_no = any (v_chunks)
                       order by s.slot_no);
    v_tail := array(select p.chunk_no
                      from ragdb_data.posting p
                     where p.org_no = v_org
                       and p.term = 0
                       and p.scope_no = v_scope_no
                       and p.chunk_no = any (v_tail)
                     order by p.chunk_no);

    if cardinality(v_stale) > 0 then
      delete from ragdb_data.segment_posting g
       where g.org_no = v_org and g.segment_no = any (v_stale);
      delete from ragdb_data.slot s
       where s.org_no = v_org and s.scope_no = v_scope_no and s.slot_no / 4096 = any (v_stale);
      delete from ragdb_data.segment s
       where s.org_no = v_org and s.segment_no = any (v_stale);
      delete from ragdb_data.dead_chunk d
       where d.org_no = v_org and d.scope_no = v_scope_no and d.slot_no / 4096 = any (v_stale);
      v_renewed := v_renewed + cardinality(v_chunks);
    end if;
    v_chunks := v_chunks || v_tail;
    v_sealed := v_sealed + cardinality(v_tail);
    for v_first in 1 .. coalesce(cardinality(v_chunks), 0) by c_size loop
      perform ragdb_data._seal(v_scope_no, v_chunks[v_first : v_first + c_size - 1]);
    end loop;
  end loop;
  return query values ('seal chunks', v_sealed), ('seal chunks anew', v_renewed);
end;
$$;

comment on function ragdb_data._seal_scopes() is
$$Seal what has gathered in the tails of the caller's scopes, 4,000 chunks at a time, and make stale
segments anew.$$;

create or replace function ragdb_data._sealed_candidates(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_chunks int8[], p_limit int4)
  returns int8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  c_size constant int4 := 4000;
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
              from unnest(p_chunks) c(chunk_no)
              join ragdb_data.slot s on s.org_no = p_org_no and s.chunk_no = c.chunk_no
             group by 1) m;
  end if;

  for v_segment in
    select g.segment_no, public.sum(g.impacts::public.vector) as sums
      from ragdb_data.segment_posting g
     where g.org_no = p_org_no
       and g.term = any (p_terms)
       and g.scope_no = any (p_scopes)
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
    if v_hits > 4 * p_limit then
      select v_slots || array_agg(b.slot_no), v_scores || array_agg(b.score)
        into v_slots, v_scores
        from (select 4096::int8 * v_segment.segment_no + s.position - 1 as slot_no, s.score
                from unnest(v_sums::float4[]) with ordinality s(score, position)
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

  return array(
    select s.chunk_no
      from (select u.slot_no
              from unnest(v_slots, v_scores) u(slot_no, score)
             order by u.score desc
             limit p_limit) b
      join ragdb_data.slot s on s.org_no = p_org_no and s.slot_no = b.slot_no);
end;
$$;

comment on function ragdb_data._sealed_candidates(int4, int4[], int4[], int8[], int4) is
$$The p_limit best sealed chunks of the scopes by the scores of their sealing; p_chunks: the only
ones to return, or null.$$;
