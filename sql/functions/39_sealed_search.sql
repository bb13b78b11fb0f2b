-- Searching segments: the greatest sums of impacts. What they are is told in 39_segments.sql; how
-- the best are found of what a filter let through, in 39_sealed_filters.sql.
--
-- What costs is not the sums but taking the best out of them, chunk by chunk. So a few segments,
-- drawn by a hash of their numbers, tell how high a score must be to be among the best of all, with
-- something to spare, and only what is higher is looked at. Where that proves too high the search
-- is repeated with a bound that cannot.
--
-- Impacts are of the frequencies and the length of the time of sealing, and as a sample tells them:
-- sums are within a few hundredths of the scores they stand for. Where hundreds of chunks lie that
-- close together, as many more are returned.

create or replace function ragdb_data._blur_bound(p_scores float4[], p_limit int4)
  returns float8
  language sql
  immutable
  security invoker
  parallel safe
  return 0.97::float8 * p_scores[1 + p_limit / 12];

comment on function ragdb_data._blur_bound(float4[], int4) is
$$What a sum of impacts must be for its chunk to be among the first of a page after all.

p_scores: sums, the greatest first, of which p_limit are wanted; null where they are too few.$$;

-- What it took has changed.
drop function if exists ragdb_data._sealed_candidates(int4, int4[], int4[], int8[], int4);

create or replace function ragdb_data._sealed_candidates(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_limit int4,
  out chunk_nos int8[], out terms int4[], out dfs float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_hashagg = off  -- by segment the sum stays in the processor's cache
  set jit = off
as $$
#variable_conflict use_column
declare
  c_size constant int4 := 4000;
  c_many constant int4 := 100;
  c_sample constant int4 := 8;
  c_tries constant int4 := 10;
  c_deeper constant int4 := 8;
  c_zero constant bytea := '\x00';
  c_none constant public.vector := '{}/4000'::public.sparsevec::public.vector;
  c_half constant public.vector := array_fill(0.5::float4, array[4000])::public.vector;
  c_eight constant public.vector := array_fill(8::float4, array[4000])::public.vector;
  c_powers constant int4[] := '{1,2,4,8,16,32,64,128}';
  v_segment record;
  v_masks public.vector[];
  v_masked int4[];
  v_mask int4;
  v_segments float8;
  v_limit int4 := p_limit;
  v_is_sure boolean := false;
  v_seen int4;
  v_next int4;
  v_wanted float8;
  v_low float4;
  v_high float4;
  v_low_bound public.vector;
  v_high_bound public.vector;
  v_least float4;
  v_threshold public.vector;
  v_drawn int4[];
  v_drawn_sums public.vector[];
  v_segment_no int4;
  v_sums public.vector;
  v_above varbit;
  v_hits int4;
  v_bytes bytea;
  v_position int4;
  v_length int4;
  v_byte int4;
  v_bit int4;
  v_slots int8[];
  v_scores float4[];
begin
  select array_agg(m.segment_no), array_agg(m.mask) into v_masked, v_masks
    from (select (d.slot_no / 4096)::int4 as segment_no,
                 ('{' || string_agg((d.slot_no % 4096 + 1) || ':1000000', ',')
                  || '}/4000')::public.sparsevec::public.vector as mask
            from ragdb_data.dead_chunk d
           where d.org_no = p_org_no
             and d.scope_no = any (p_scopes)
             and d.slot_no is not null
           group by 1) m;
  v_segments := (select count(*) from ragdb_data.segment s
                  where s.org_no = p_org_no and s.scope_no = any (p_scopes));

  loop
    terms := '{}';
    dfs := '{}';
    v_slots := '{}';
    v_scores := '{}';
    v_seen := 0;
    v_next := 16;
    v_least := null;
    v_drawn := '{}';
    v_drawn_sums := '{}';
    for v_segment in
      -- A word that the query repeats counts as often, but for its frequency. The words come after
      -- the last segment.
      with g as materialized (
        select l.segment_no, t.term, l.impacts,
               case when t.ordinal = array_position(p_terms, t.term) then l.df else 0 end as df
          from unnest(p_terms) with ordinality t(term, ordinal)
         cross join lateral (
           select p.segment_no, p.df, p.impacts
             from ragdb_data.segment_posting p
            where p.org_no = p_org_no
              and p.term = t.term
              and p.scope_no = any (p_scopes)
           offset 0) l)
      select g.segment_no, public.sum(g.impacts::public.vector) as sums,
             null::int4 as term, null::int8 as df
        from g
       group by hashint4(g.segment_no), g.segment_no
      union all
      select null, null, g.term, sum(g.df)
        from g
       group by g.term
    loop
      v_segment_no := v_segment.segment_no;
      if v_segment_no is not null then
        v_mask := array_position(v_masked, v_segment_no);
        v_sums := v_segment.sums;
        if v_mask is not null then
          v_sums := v_sums operator(public.-) v_masks[v_mask];
        end if;
        v_seen := v_seen + 1;
        if v_least is null then
          v_drawn := v_drawn || v_segment_no;
          v_drawn_sums := v_drawn_sums || v_sums;
          continue when v_seen < least(c_sample, v_segments);
        end if;
      else
        terms := terms || v_segment.term;
        dfs := dfs || v_segment.df::float8;
        continue when v_drawn = '{}';
      end if;

      -- How many of the best there should be so far, and to spare, for they come in clusters.
      v_wanted := v_limit * v_seen / v_segments;
      v_wanted := case when v_is_sure then v_limit
                    else least(ceil(v_wanted + 5 * sqrt(v_wanted) + 2), v_limit) end;
      if v_least is null then
        v_low := 0;
        v_low_bound := c_none;
        v_high := null;
        v_least := 0;
        v_threshold := c_none;
        for v_try in 1 .. c_tries loop
          v_hits := (
            select sum(bit_count(public.binary_quantize(s operator(public.-) v_threshold)))
              from unnest(v_drawn_sums) s);
          exit when v_hits between v_wanted and 1.25::float8 * v_wanted
                    or v_hits < v_wanted and v_least = 0;
          if v_hits < v_wanted then
            v_high := v_least;
            v_high_bound := v_threshold;
          else
            v_low := v_least;
            v_low_bound := v_threshold;
          end if;
          -- Filling 4,000 elements takes ten times as long as adding them.
          if v_high is not null then
            v_least := (v_low + v_high) / 2;
            v_threshold := (v_low_bound operator(public.+) v_high_bound) operator(public.*) c_half;
          elsif v_low = 0 then
            v_least := 8;
            v_threshold := c_eight;
          else
            v_least := 2 * v_low;
            v_threshold := v_low_bound operator(public.+) v_low_bound;
          end if;
        end loop;
        if v_hits < v_wanted and v_least > 0 then
          v_least := v_low;
          v_threshold := v_low_bound;
        end if;
      end if;

      for v_draw in 1 .. greatest(cardinality(v_drawn), 1) loop
        if v_drawn <> '{}' then
          v_segment_no := v_drawn[v_draw];
          v_sums := v_drawn_sums[v_draw];
        end if;
        -- One bit a chunk: is it higher?
        v_above := public.binary_quantize(v_sums operator(public.-) v_threshold);
        v_hits := bit_count(v_above);
        continue when v_hits = 0;
        if v_hits > c_many then
          -- Sets side by side in a select list are read in step, and without being stored first.
          select v_slots || array_agg(b.slot_no), v_scores || array_agg(b.score)
            into v_slots, v_scores
            from (select 4096::int8 * v_segment_no + s.position as slot_no, s.score
                    from (select generate_series(0, c_size - 1) as position,
                                 unnest(v_sums::float4[]) as score) s
                   where s.score > v_least
                   order by s.score desc
                   limit v_limit) b;
        else
          v_bytes := substr(varbit_send(v_above), 5);
          v_position := 0;
          loop
            v_length := length(v_bytes);
            v_bytes := ltrim(v_bytes, c_zero);
            exit when length(v_bytes) = 0;
            v_position := v_position + 8 * (v_length - length(v_bytes));
            v_byte := get_byte(v_bytes, 0);
            while v_byte > 0 loop
              v_bit := 8 - width_bucket(v_byte, c_powers);
              v_byte := v_byte - (128 >> v_bit);
              v_slots := v_slots || (4096::int8 * v_segment_no + v_position + v_bit);
              v_scores := v_scores
                || public.vector_norm(public.subvector(v_sums, v_position + v_bit + 1, 1))::float4;
            end loop;
            v_bytes := substr(v_bytes, 2);
            v_position := v_position + 8;
          end loop;
        end if;
      end loop;
      v_drawn := '{}';
      v_drawn_sums := '{}';

      if v_seen >= v_next then
        v_next := 3 * v_next;
        if cardinality(v_scores) > 1.3::float8 * v_wanted then
          select array_agg(b.slot_no order by b.score desc),
                 array_agg(b.score order by b.score desc)
            into v_slots, v_scores
            from (select u.slot_no, u.score
                    from unnest(v_slots, v_scores) u(slot_no, score)
                   order by u.score desc
                   limit v_wanted) b;
          v_least := v_scores[cardinality(v_scores)];
          v_threshold := array_fill(v_least, array[c_size])::public.vector;
        end if;
      end if;
    end loop;
    if v_is_sure or v_least is null or v_least = 0 or cardinality(v_slots) >= v_limit then
      select array_agg(b.slot_no), array_agg(b.score)
        into v_slots, v_scores
        from (select u.slot_no, u.score
                from unnest(v_slots, v_scores) u(slot_no, score)
               order by u.score desc
               limit v_limit) b;
      exit when v_limit > p_limit
                or coalesce(v_scores[p_limit] < ragdb_data._blur_bound(v_scores, p_limit), true);
      v_limit := c_deeper * p_limit;
      v_is_sure := false;
    else
      v_is_sure := true;
    end if;
  end loop;

  select array_agg(u.term), array_agg(u.df) into terms, dfs
    from (select x.term, sum(x.df) as df
            from (select f.term, f.df from unnest(terms, dfs) f(term, df)
                  union all
                  select t.term, -1
                    from ragdb_data.dead_chunk d
                   cross join lateral unnest(d.terms) t(term)
                   where d.org_no = p_org_no
                     and d.scope_no = any (p_scopes)
                     and d.slot_no is not null
                     and t.term = any (p_terms)) x
           group by x.term) u;
  chunk_nos := array(
    select s.chunk_no
      from ragdb_data.slot s
     where s.org_no = p_org_no
       and s.slot_no = any (array(
             select u.slot_no
               from unnest(v_slots, v_scores) with ordinality u(slot_no, score, ordinal)
              where u.ordinal <= p_limit
                 or u.score >= ragdb_data._blur_bound(v_scores, p_limit))));
end;
$$;

comment on function ragdb_data._sealed_candidates(int4, int4[], int4[], int4) is
$$The p_limit best sealed chunks of the scopes by the scores of their sealing, up to eight times as
many where these lie close together, and how many sealed chunks have each of the terms, of those
that live.$$;
