-- Filters in a search: past which of two ways, and the legs of the second.
--
-- A narrow filter is resolved once, to documents, bodies and chunks, and each leg asks for these
-- alone: the work is that of what matches. Of a filter that lets through a seventh of the chunks
-- and more, that would be most of the search. There the legs are asked without it for as many more
-- as a sample says that it leaves out, and the filter is resolved for the documents of these
-- candidates alone. Where that leaves too few, the first way is gone after all.

create or replace function ragdb_data._filtered(
  p_org_no int4, p_scopes int4[], p_filters jsonb,
  out documents int8[], out bodies int8[], out chunks int8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  c_wide constant int4 := 40000;
begin
  documents := ragdb_data._matching_documents(p_org_no, p_scopes, p_filters);
  -- One by one: asked for them all, the planner prefers to read every document of the scopes.
  bodies := array(select distinct d.body_no
                    from unnest(documents) u(document_no)
                   cross join lateral (
                     select x.body_no
                       from ragdb_data.document x
                      where x.org_no = p_org_no and x.document_no = u.document_no
                     offset 0) d);
  if cardinality(bodies) <= c_wide then
    chunks := array(select c.chunk_no
                      from ragdb_data.chunk c
                     where c.org_no = p_org_no and c.body_no = any (bodies)
                     limit c_wide + 1);
    if cardinality(chunks) > c_wide then
      chunks := null;
    end if;
  end if;
end;
$$;

comment on function ragdb_data._filtered(int4, int4[], jsonb) is
$$What a filter lets through: documents, their bodies, and the chunks of these, null where there are
more than 40,000.

Raises what _matching_documents() does.$$;

create or replace function ragdb_data._filter_share(
  p_org_no int4, p_scopes int4[], p_filters jsonb)
  returns float8
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  c_sample constant int4 := 32;
  v_places int4[];
  v_documents int8[];
  v_matching int8[];
begin
  -- Slots at even distances. One that a deleted chunk left tells nothing.
  select array_agg(x.place), array_agg(x.document_no)
    into v_places, v_documents
    from (select g.segment_no, g.chunks,
                 sum(g.chunks) over w - g.chunks as before,
                 sum(g.chunks) over () / c_sample::float8 as distance
            from ragdb_data.segment g
           where g.org_no = p_org_no and g.scope_no = any (p_scopes)
          window w as (order by g.segment_no)) s
   cross join lateral generate_series(
     ceil(s.before / s.distance)::int4,
     ceil((s.before + s.chunks) / s.distance)::int4 - 1) p(place)
   cross join lateral (
     select l.chunk_no
       from ragdb_data.slot l
      where l.org_no = p_org_no
        and l.slot_no = 4096::int8 * s.segment_no + floor(p.place * s.distance - s.before)::int8
     offset 0) l
   cross join lateral (
     select c.body_no
       from ragdb_data.chunk c
      where c.org_no = p_org_no and c.chunk_no = l.chunk_no
     offset 0) c
   cross join lateral (
     select p.place, d.document_no
       from ragdb_data.document d
      where d.org_no = p_org_no and d.body_no = c.body_no and d.scope_no = any (p_scopes)
     offset 0) x;
  v_matching := ragdb_data._matching_documents(
    p_org_no, p_scopes, p_filters, coalesce(v_documents, '{}'));
  return (
    select (count(distinct u.place) filter (where u.document_no = any (v_matching)))::float8
           / nullif(count(distinct u.place), 0)
      from unnest(v_places, v_documents) u(place, document_no));
end;
$$;

comment on function ragdb_data._filter_share(int4, int4[], jsonb) is
$$The share of the chunks that a filter lets through, by a sample of 32 that are sealed; null where
none are.

Raises what _matching_documents() does.$$;

create or replace function ragdb_data._filtered_legs(
  p_org_no int4, p_scopes int4[], p_filters jsonb, p_share float8, p_n int8,
  p_embedding public.halfvec, p_terms int4[], p_depth int4, p_least int4,
  out documents int8[], out vector_chunks int8[], out cosines float8[], out strategy text,
  out sealed_chunks int8[], out terms int4[], out dfs float8[], out tail_chunks int8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
  set enable_nestloop = off  -- a list is taken for ten rows
as $$
#variable_conflict use_column
declare
  c_tail constant int4 := 2000;
  c_tries constant int4 := 2;
  c_most constant int4 := 4000;
  c_spare constant float8 := 1.5;
  v_near_asked int4 := case when p_embedding is null then 0
    else least(ceil(c_spare * p_least / p_share) + 10, p_n) end;
  v_sealed_asked int4 := case when cardinality(p_terms) > 0
    then least(ceil(c_spare * p_least / p_share) + 10, p_n) else 0 end;
  v_near int8[];
  v_near_bodies int8[];
  v_cosines float8[];
  v_sealed int8[];
  v_tail int8[];
  v_chunks int8[];
  v_bodies int8[];
  v_documents int8[];
  v_document_bodies int8[];
  v_matching int8[];
begin
  v_tail := array(select p.chunk_no
                    from ragdb_data.posting p
                   where p.org_no = p_org_no and p.term = 0 and p.scope_no = any (p_scopes)
                   limit c_tail + 1);
  if cardinality(v_tail) > c_tail then
    return;
  end if;
  for v_try in 1 .. c_tries loop
    if v_near_asked > 0 then
      select n.chunk_nos, n.body_nos, n.cosines, n.strategy
        into v_near, v_near_bodies, v_cosines, strategy
        from ragdb_data._nearest(p_org_no, p_scopes, p_embedding, p_n, null, null, v_near_asked) n;
    end if;
    if v_sealed_asked > 0 then
      select s.chunk_nos, s.terms, s.dfs into v_sealed, terms, dfs
        from ragdb_data._sealed_candidates(
               p_org_no, p_scopes, p_terms, v_sealed_asked) s;
    end if;

    select array_agg(u.chunk_no), array_agg(u.body_no)
      into v_chunks, v_bodies
      from (select n.chunk_no, n.body_no from unnest(v_near, v_near_bodies) n(chunk_no, body_no)
            union all
            select c.chunk_no, c.body_no
              from (select unnest(v_sealed) union select unnest(v_tail)
                    except select unnest(v_near)) s(chunk_no)
             cross join lateral (
               select k.chunk_no, k.body_no
                 from ragdb_data.chunk k
                where k.org_no = p_org_no and k.chunk_no = s.chunk_no
               offset 0) c) u;
    select array_agg(d.document_no), array_agg(d.body_no)
      into v_documents, v_document_bodies
      from (select distinct unnest(v_bodies)) b(body_no)
     cross join lateral (
       select x.document_no, x.body_no
         from ragdb_data.document x
        where x.org_no = p_org_no and x.body_no = b.body_no and x.scope_no = any (p_scopes)
       offset 0) d;
    v_matching := ragdb_data._matching_documents(
      p_org_no, p_scopes, p_filters, coalesce(v_documents, '{}'));
    v_chunks := array(
      select u.chunk_no
        from unnest(v_chunks, v_bodies) u(chunk_no, body_no)
       where u.body_no in (select d.body_no
                             from unnest(v_documents, v_document_bodies) d(document_no, body_no)
                            where d.document_no in (select unnest(v_matching))));

    select array_agg(n.chunk_no order by n.ordinal), array_agg(n.cosine order by n.ordinal)
      into vector_chunks, cosines
      from (select u.chunk_no, u.cosine, u.ordinal
              from unnest(v_near, v_cosines) with ordinality u(chunk_no, cosine, ordinal)
             where u.chunk_no in (select unnest(v_chunks))
             order by u.ordinal
             limit p_depth) n;
    sealed_chunks := array(select unnest(v_sealed) intersect select unnest(v_chunks));
    tail_chunks := array(select unnest(v_tail) intersect select unnest(v_chunks));
    strategy := coalesce(strategy, 'none');

    -- Of a leg that fell short so many as its own share calls for; null where it has none.
    v_near_asked := case
      when v_near_asked = 0
           or cardinality(v_near) >= p_n
           or cardinality(vector_chunks) >= least(p_least, p_depth) then 0
      else least(ceil(c_spare * p_least * cardinality(v_near) / cardinality(vector_chunks)) + 10,
                 p_n) end;
    v_sealed_asked := case
      when v_sealed_asked = 0
           or cardinality(v_sealed) < v_sealed_asked
           or cardinality(sealed_chunks) >= p_least then 0
      else least(ceil(c_spare * p_least * cardinality(v_sealed)
                      / nullif(cardinality(sealed_chunks), 0)) + 10, p_n) end;
    if v_near_asked = 0 and v_sealed_asked = 0 then
      documents := v_matching;
      exit;
    end if;
    exit when coalesce(v_near_asked + v_sealed_asked > c_most, true);
  end loop;
end;
$$;

comment on function ragdb_data._filtered_legs(
  int4, int4[], jsonb, float8, int8, public.halfvec, int4[], int4, int4) is
$$Both legs behind a filter that lets through about p_share of p_n chunks: the nearest p_depth and
the best sealed with the frequencies of their terms, those of the tail that match, and the documents
that match among the candidates.

A leg of which fewer than p_least are left is asked again, for as many candidates as its own share
calls for. documents is null, and the rest means nothing, where that was not enough, or where the
tail is long.$$;
