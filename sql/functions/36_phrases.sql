-- What phrases that must occur, and words and phrases that must not, leave of the chunks.
--
-- They hold as filters do, inside each leg: they resolve to chunks, by the postings of their stems
-- and then by the order of the chunk's words.

create or replace function ragdb_data._phrase_terms(p_language text, p_phrase text)
  returns int4[]
  language sql
  stable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  -- The end of a sentence counts within a phrase, not around it.
  select t.terms[min(u.position) : max(u.position)]
    from (select ragdb_data._terms(p_language, p_phrase) as terms) t
   cross join lateral unnest(t.terms) with ordinality u(term, position)
   where u.term <> 0
   group by t.terms
$$;

comment on function ragdb_data._phrase_terms(text, text) is
$$The stems of a phrase as they stand in a chunk's words; null when all are stop words.$$;

create or replace function ragdb_data._chunks_with(
  p_org_no int4, p_scopes int4[], p_terms int4[], p_limit int4 default null)
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
  v_distinct int4[] := array(select distinct t from unnest(p_terms) t where t <> 0);
  v_found int8[];
begin
  select array_agg(c.chunk_no) into v_found
    from (select p.chunk_no
            from ragdb_data.posting p
           where p.org_no = p_org_no
             and p.term = any (v_distinct)
             and p.scope_no = any (p_scopes)
           group by p.chunk_no
          having count(*) = cardinality(v_distinct)) c;
  -- One bit a chunk of the segment: has it all of them?
  select v_found || array_agg(s.chunk_no) into v_found
    from (select g.segment_no,
                 bit_and(public.binary_quantize(g.impacts::public.vector)::bit(4000)) as holds
            from ragdb_data.segment_posting g
           where g.org_no = p_org_no
             and g.term = any (v_distinct)
             and g.scope_no = any (p_scopes)
           group by g.segment_no
          having count(*) = cardinality(v_distinct)) b
   cross join lateral string_to_table(b.holds::text, null) with ordinality h(bit, position)
    join ragdb_data.slot s
      on s.org_no = p_org_no and s.slot_no = 4096::int8 * b.segment_no + h.position - 1
   where bit_count(b.holds) > 0
     and h.bit = '1';

  -- Their order, and that they live: words go with their chunk.
  return array(
    select w.chunk_no
      from (select u.chunk_no from unnest(v_found) u(chunk_no) order by u.chunk_no desc) f
     cross join lateral (
       select c.chunk_no, c.terms || '{}'::int4[] as terms
         from ragdb_data.chunk_word c
        where c.org_no = p_org_no and c.chunk_no = f.chunk_no
       offset 0) w
     where cardinality(p_terms) = 1
        or exists (
             select from unnest(array_positions(w.terms, p_terms[1])) p(position)
              where w.terms[p.position : p.position + cardinality(p_terms) - 1] = p_terms)
     limit p_limit);
end;
$$;

comment on function ragdb_data._chunks_with(int4, int4[], int4[], int4) is
$$Chunks of the scopes that have these stems, one directly after the other; at most p_limit of
them.$$;

-- Its result has changed.
drop function if exists ragdb_data._resolve_phrases(
  int4, int4[], text, text[], text[], int8[], int4);

create or replace function ragdb_data._resolve_phrases(
  p_org_no int4, p_scopes int4[], p_language text,
  p_phrases text[], p_required text[], p_excluded text[],
  p_chunks int8[], p_bodies int8[] default null, p_few int4 default 1000,
  out wanted int8[], out unwanted int8[], out phrases text[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_excluded int8[];
  v_phrase text;
  v_terms int4[];
  v_found int8[];
begin
  foreach v_phrase in array coalesce(p_excluded, '{}') loop
    v_terms := ragdb_data._phrase_terms(p_language, v_phrase);
    continue when v_terms is null;
    v_excluded := array(select unnest(v_excluded)
                        union
                        select unnest(ragdb_data._chunks_with(p_org_no, p_scopes, v_terms)));
  end loop;
  phrases := p_phrases;
  loop
    wanted := p_chunks;
    unwanted := v_excluded;
    foreach v_phrase in array coalesce(phrases, '{}') loop
      v_terms := ragdb_data._phrase_terms(p_language, v_phrase);
      continue when v_terms is null;
      v_found := ragdb_data._chunks_with(p_org_no, p_scopes, v_terms);
      wanted := case when wanted is null then v_found
                  else array(select unnest(wanted) intersect select unnest(v_found)) end;
    end loop;
    if wanted is not null then
      wanted := array(select unnest(wanted) except select unnest(unwanted));
      unwanted := null;
      if p_bodies is not null then
        wanted := array(select c.chunk_no
                          from ragdb_data.chunk c
                         where c.org_no = p_org_no
                           and c.chunk_no = any (wanted)
                           and c.body_no in (select unnest(p_bodies)));
      end if;
    end if;
    exit when wanted is null or wanted <> '{}' or phrases is not distinct from p_required;
    phrases := p_required;
    raise notice 'Nothing has all the phrases of the query: they are searched for as words.'
      using hint = 'A plus before a phrase, +"like this", has it occur in any case.';
  end loop;
  if cardinality(unwanted) > p_few then
    wanted := array(
      select u.chunk_no
        from (select p.chunk_no
                from ragdb_data.posting p
               where p.org_no = p_org_no and p.term = 0 and p.scope_no = any (p_scopes)
              union all
              select s.chunk_no
                from ragdb_data.slot s
               where s.org_no = p_org_no and s.scope_no = any (p_scopes)
              except
              select unnest(unwanted)) u
       where p_bodies is null
          or exists (select from ragdb_data.chunk c
                      where c.org_no = p_org_no
                        and c.chunk_no = u.chunk_no
                        and c.body_no = any (p_bodies)));
    unwanted := null;
  end if;
end;
$$;

comment on function ragdb_data._resolve_phrases(
  int4, int4[], text, text[], text[], text[], int8[], int8[], int4) is
$$What phrases and exclusions leave of p_chunks, or of the scopes when that is null.

Either wanted, the only chunks to return, or unwanted, at most p_few to leave out; the other is
null, and so are both when nothing is asked for. Where no chunk has all the phrases, those of
p_required alone must occur; phrases: those that do. p_bodies: only chunks of these, or null.$$;
