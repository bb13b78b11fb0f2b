-- Segments: the keyword leg of large scopes, exact and at search-engine speed.
--
-- A posting row costs about .2 us in a query; summing one sparse vector of impacts per term and
-- segment of 4,000 chunks costs .4 ns a chunk. The greatest sums are read off by binary_quantize(),
-- which leaves most segments at once. idf and average length are those of the sealing; the best
-- chunks are scored again with today's (see _fuse), and segments are made anew when their scope has
-- doubled or a tenth of a segment is dead. Without sealing search is as exact, and slower.
-- A tail is sealed from 500 chunks on, and small segments are merged as they gather.

create or replace function ragdb_data._seal(
  p_scope_no int4, p_chunks int8[], p_waiting int4 default 0)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_mergejoin = off
  set enable_sort = off
  set enable_memoize = off  -- no two chunks have the same words
  set work_mem = '128MB'
as $$
declare
  c_sample constant int4 := 8;
  v_org int4 := ragdb.current_org_no();
  v_segment_no int4;
  v_n float8;
  v_length float8;
  v_own_length int8;
  v_others int4[];
  v_own float8;
  v_other float8;
begin
  -- Rows are found by ranges of one value in their order, as in put_documents(): a table that was
  -- never analyzed would be read from end to end for each segment.
  select coalesce(sum(w.length), 0) into v_own_length
    from unnest(p_chunks) u(chunk_no)
   cross join lateral (
     select c.length
       from ragdb_data.chunk_word c
      where c.org_no = v_org and c.chunk_no between u.chunk_no and u.chunk_no
      order by c.chunk_no
      limit 1) w;
  select cardinality(p_chunks) + coalesce(sum(s.chunks), 0),
         (v_own_length + coalesce(sum(s.length), 0))
         / nullif(cardinality(p_chunks) + coalesce(sum(s.chunks), 0), 0)::float8
    into v_n, v_length
    from ragdb_data.segment s
   where s.org_no = v_org and s.scope_no = p_scope_no;
  v_n := v_n + p_waiting;
  -- How many chunks of the scope each one here, and each one of the sample, stands for: a book has
  -- words of its own, which would otherwise be taken for as frequent in all the others.
  select array_agg(o.segment_no), (v_n - cardinality(p_chunks)) / sum(o.chunks)
    into v_others, v_other
    from (select s.segment_no, s.chunks
            from ragdb_data.segment s
           where s.org_no = v_org and s.scope_no = p_scope_no
           order by hashint4(s.segment_no)
           limit c_sample) o;
  v_own := case when v_others is null then v_n / cardinality(p_chunks) else 1 end;

  insert into ragdb_data.segment (org_no, scope_no, chunks, length, scope_chunks)
  values (v_org, p_scope_no, cardinality(p_chunks), v_own_length, v_n)
  returning segment_no into v_segment_no;

  insert into ragdb_data.slot (org_no, scope_no, slot_no, chunk_no)
  select v_org, p_scope_no, 4096::int8 * v_segment_no + u.ordinal - 1, u.chunk_no
    from unnest(p_chunks) with ordinality u(chunk_no, ordinal);

  with tf as materialized (
    select u.ordinal::int4 as position, t.term, t.tf,
           0.3::float8 + 0.9::float8 * w.length / v_length as norm
      from unnest(p_chunks) with ordinality u(chunk_no, ordinal)
     cross join lateral (
       select c.terms, array_position(c.terms, 0) as title_end, c.length
         from ragdb_data.chunk_word c
        where c.org_no = v_org and c.chunk_no between u.chunk_no and u.chunk_no
        order by c.chunk_no
        limit 1) w
     cross join lateral (
       select e.term, sum(case when e.ordinal < w.title_end then 3 else 1 end)::float8 as tf
         from unnest(w.terms) with ordinality e(term, ordinal)
        where e.term <> 0
        group by e.term) t),
  other as (
    select g.term, sum(g.df) as df
      from unnest(v_others) o(segment_no)
     cross join lateral (
       select p.term, p.df
         from ragdb_data.segment_posting p
        where p.org_no = v_org and p.segment_no between o.segment_no and o.segment_no
        order by p.segment_no
       offset 0) g
     group by g.term),
  frequency as materialized (
    select o.term,
           ln(1 + (v_n - f.df + 0.5::float8) / (f.df + 0.5::float8)) * 2.2::float8 as weight
      from (select t.term, count(*) as df from tf t group by t.term) o
      left join other r on r.term = o.term
     cross join lateral (select v_own * o.df + coalesce(v_other * r.df, 0) as df) f)
  insert into ragdb_data.segment_posting (org_no, scope_no, segment_no, term, df, impacts)
  select v_org, p_scope_no, v_segment_no, t.term, count(*),
         ('{' || string_agg(t.position || ':' || (f.weight * t.tf / (t.tf + t.norm))::float4, ',')
          || '}/4000')::public.sparsevec
    from tf t
    join frequency f on f.term = t.term
   group by t.term;
end;
$$;

comment on function ragdb_data._seal(int4, int8[], int4) is
$$Make a segment of at most 4,000 chunks of a scope, which need no postings.

impacts: idf * 2.2 tf / (tf + .3 + .9 length / average length), positions from 1. p_waiting: chunks
of the scope still to be sealed. idf is estimated from this segment and eight others, so that
sealing costs the same however many there are; the best are scored again with the true one.$$;

create or replace function ragdb_data._drop_postings(p_scope_no int4, p_chunks int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
  set enable_seqscan = off
  set enable_bitmapscan = off
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_terms int4[] := array(select distinct t.term
                            from ragdb_data.chunk_word w
                           cross join lateral unnest(w.terms) t(term)
                           where w.org_no = v_org and w.chunk_no = any (p_chunks)
                           order by 1);
  v_first int8 := (select min(c) from unnest(p_chunks) c);
  v_last int8 := (select max(c) from unnest(p_chunks) c);
begin
  -- By place, so that the rows are found by term, however the planner would join them. The sum
  -- keeps the list out of the index scan: there it would be searched for once for each term.
  delete from ragdb_data.posting p
   where p.ctid = any (array(
           select found.ctid
             from unnest(0 || v_terms) t(term)
            cross join lateral (
              select q.ctid
                from ragdb_data.posting q
               where q.org_no = v_org
                 and q.term = t.term
                 and q.scope_no = p_scope_no
                 and q.chunk_no between v_first and v_last
                 and q.chunk_no + 0 = any (p_chunks)
              offset 0) found));
end;
$$;

comment on function ragdb_data._drop_postings(int4, int8[]) is
$$Take chunks of a scope out of the tail.

The oldest chunks of a tail are neighbours in the index under each of their stems.$$;

create or replace function ragdb_data._stale_segments(p_scope_no int4, p_tail int4)
  returns int4[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  c_size constant int4 := 4000;
  c_full constant int4 := 3000;
  v_org int4 := ragdb.current_org_no();
  v_segment record;
  v_stale int4[];
  v_small int4[] := '{}';
  v_merged int4[] := '{}';
  v_gathered int4;
begin
  select coalesce(array_agg(s.segment_no order by s.segment_no), '{}'),
         (p_tail + coalesce(sum(s.chunks), 0)) % c_size
    into v_stale, v_gathered
    from ragdb_data.segment s
    left join (select (d.slot_no / 4096)::int4 as segment_no, count(*) as dead
                 from ragdb_data.dead_chunk d
                where d.org_no = v_org and d.scope_no = p_scope_no and d.slot_no is not null
                group by 1) d on d.segment_no = s.segment_no
   where s.org_no = v_org
     and s.scope_no = p_scope_no
     and (10 * d.dead > s.chunks
          or 2 * s.scope_chunks < p_tail + (select sum(o.chunks)
                                              from ragdb_data.segment o
                                             where o.org_no = v_org
                                               and o.scope_no = p_scope_no));
  for v_segment in
    select s.segment_no, s.chunks
      from ragdb_data.segment s
     where s.org_no = v_org
       and s.scope_no = p_scope_no
       and s.chunks < c_full
       and s.segment_no <> all (v_stale)
     order by s.chunks, s.segment_no
  loop
    v_small := v_small || v_segment.segment_no;
    if v_segment.chunks <= v_gathered then
      v_merged := v_small;
    end if;
    v_gathered := v_gathered + v_segment.chunks;
  end loop;
  return v_stale || v_merged;
end;
$$;

comment on function ragdb_data._stale_segments(int4, int4) is
$$Segments of a scope to make anew: a tenth of them dead, of half the scope's present size when they
were sealed, or no larger than these, the smaller ones and p_tail chunks together.

So the sizes of those that are not full grow like powers of two; a chunk is sealed a few times.$$;

create or replace function ragdb_data._seal_scope(p_scope_no int4, p_limit int4)
  returns table (sealed int8, renewed int8, remaining int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  c_size constant int4 := 4000;
  c_least constant int4 := 500;
  v_org int4 := ragdb.current_org_no();
  v_tail int8[];
  v_waiting int4;
  v_stale int4[];
  v_chunks int8[];
  v_all int8[];
begin
  v_tail := array(select p.chunk_no
                    from ragdb_data.posting p
                   where p.org_no = v_org and p.term = 0 and p.scope_no = p_scope_no
                   order by p.chunk_no);
  if cardinality(v_tail) < c_least then
    v_tail := '{}';
  end if;
  v_waiting := cardinality(v_tail);

  -- As many segments as the limit allows, and at least two, for one alone would not be merged; then
  -- of the tail, the oldest first.
  select coalesce(array_agg(u.segment_no) filter (where u.ordinal <= 2 or u.upto <= p_limit), '{}'),
         v_waiting + coalesce(sum(u.chunks) filter (where u.ordinal > 2 and u.upto > p_limit), 0)
    into v_stale, v_waiting
    from (select s.segment_no, s.chunks, t.ordinal, sum(s.chunks) over w as upto
            from ragdb_data.segment s
            join unnest(ragdb_data._stale_segments(p_scope_no, cardinality(v_tail)))
                 with ordinality t(segment_no, ordinal) on t.segment_no = s.segment_no
           where s.org_no = v_org
          window w as (order by t.ordinal)) u;
  v_chunks := array(
    select s.chunk_no
      from unnest(v_stale) t(segment_no)
      join ragdb_data.slot s on s.org_no = v_org
                            and s.slot_no between 4096::int8 * t.segment_no
                                              and 4096::int8 * t.segment_no + 4095
     order by s.slot_no);
  if cardinality(v_tail) > p_limit - cardinality(v_chunks) then
    v_tail := v_tail[: case when cardinality(v_stale) = 0 then greatest(p_limit / c_size, 1)
                         else greatest(p_limit - cardinality(v_chunks), 0) / c_size end * c_size];
  end if;

  -- A chunk being deleted now is either gone when its lock is had, or finds its slot when it goes.
  perform from ragdb_data.chunk c
   where c.org_no = v_org and c.chunk_no = any (v_chunks || v_tail)
   order by c.chunk_no
     for key share;
  v_chunks := array(select u.chunk_no
                      from unnest(v_chunks) with ordinality u(chunk_no, ordinal)
                      join ragdb_data.slot s on s.org_no = v_org and s.chunk_no = u.chunk_no
                     order by u.ordinal);
  v_tail := array(select p.chunk_no
                    from ragdb_data.posting p
                   where p.org_no = v_org
                     and p.term = 0
                     and p.scope_no = p_scope_no
                     and p.chunk_no in (select unnest(v_tail))
                   order by p.chunk_no);

  delete from ragdb_data.segment_posting g
   where g.org_no = v_org and g.segment_no = any (v_stale);
  delete from ragdb_data.slot s
   using unnest(v_stale) t(segment_no)
   where s.org_no = v_org
     and s.slot_no between 4096::int8 * t.segment_no and 4096::int8 * t.segment_no + 4095;
  delete from ragdb_data.segment s
   where s.org_no = v_org and s.segment_no = any (v_stale);
  delete from ragdb_data.dead_chunk d
   where d.org_no = v_org and d.scope_no = p_scope_no and d.slot_no / 4096 = any (v_stale);

  sealed := cardinality(v_tail);
  renewed := cardinality(v_chunks);
  remaining := greatest(v_waiting - sealed, 0);
  v_all := v_chunks || v_tail;
  for v_first in 1 .. cardinality(v_all) by c_size loop
    perform ragdb_data._seal(
      p_scope_no, v_all[v_first : v_first + c_size - 1],
      (remaining + greatest(cardinality(v_all) - v_first + 1 - c_size, 0))::int4);
  end loop;
  for v_first in 1 .. cardinality(v_tail) by c_size loop
    perform ragdb_data._drop_postings(p_scope_no, v_tail[v_first : v_first + c_size - 1]);
  end loop;
  return next;
end;
$$;

comment on function ragdb_data._seal_scope(int4, int4) is
$$Seal the tail of a scope once it has 500 chunks, and make stale segments anew.

About p_limit chunks at most; remaining: how many are left to do.$$;

create or replace function ragdb_data._seal_scopes(p_limit int4)
  returns table (task text, rows int8, remaining int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_scope_no int4;
  v_done record;
  v_sealed int8 := 0;
  v_renewed int8 := 0;
  v_remaining int8 := 0;
begin
  -- One at a time in an organization. Not waited for: anybody may hold an advisory lock.
  if pg_try_advisory_xact_lock(hashtextextended('ragdb.seal', v_org)) then
    foreach v_scope_no in array ragdb.current_scopes() loop
      if v_sealed + v_renewed >= p_limit then
        v_remaining := v_remaining + 1;
        exit;
      end if;
      select * into v_done
        from ragdb_data._seal_scope(v_scope_no, (p_limit - v_sealed - v_renewed)::int4);
      v_sealed := v_sealed + v_done.sealed;
      v_renewed := v_renewed + v_done.renewed;
      v_remaining := v_remaining + v_done.remaining;
    end loop;
  end if;
  return query values ('seal chunks', v_sealed, v_remaining),
                      ('seal chunks anew', v_renewed, 0::int8);
end;
$$;

comment on function ragdb_data._seal_scopes(int4) is
$$Seal what has gathered in the tails of the caller's scopes and make stale segments anew, about
p_limit chunks at most. remaining: chunks left to do that are known of, 0 when all is done.$$;
