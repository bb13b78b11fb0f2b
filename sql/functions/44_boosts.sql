-- One list of what several queries found, each chunk with the boosts of its document.

create or replace function ragdb_data._check_boosts(p_boosts jsonb)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_wrong text;
  v_recency jsonb := p_boosts -> 'recency';
begin
  if jsonb_typeof(p_boosts) <> 'object' then
    v_wrong := 'The boosts are not a JSON object.';
  elsif exists (select from jsonb_object_keys(p_boosts) k where k not in ('recency', 'labels')) then
    v_wrong := 'Boosts are given by recency and labels alone.';
  elsif p_boosts ? 'recency' and (
          jsonb_typeof(v_recency) <> 'object'
          or exists (select from jsonb_each(v_recency) e
                      where e.key not in ('half_life_days', 'weight')
                         or jsonb_typeof(e.value) <> 'number')
          or coalesce((v_recency ->> 'half_life_days')::numeric, 30) not between 0.001 and 100000
          or coalesce((v_recency ->> 'weight')::numeric, 0.2) not between 0 and 10
          or scale((v_recency ->> 'weight')::numeric) > 100) then
    v_wrong := 'recency takes half_life_days above 0 and a weight from 0 to 10.';
  elsif p_boosts ? 'labels' and (
          jsonb_typeof(p_boosts -> 'labels') <> 'object'
          or exists (select from jsonb_each(p_boosts -> 'labels') e
                      where jsonb_typeof(e.value) <> 'number'
                         or (e.value #>> '{}')::numeric not between -0.9 and 10
                         or scale((e.value #>> '{}')::numeric) > 100)) then
    v_wrong := 'labels takes a weight from -0.9 to 10 for each label.';
  end if;
  if v_wrong is not null then
    raise exception '%', v_wrong
      using errcode = 'PT422',
            constraint = 'invalid_boosts',
            hint = 'For example {"recency": {"half_life_days": 30, "weight": 0.2},'
                   ' "labels": {"policy": 0.3}}';
  end if;
end;
$$;

comment on function ragdb_data._check_boosts(jsonb) is
$$Raise PT422 invalid_boosts unless these are boosts.$$;

create or replace function ragdb_data._fuse_queries(
  p_org_no int4, p_ranked ragdb_data.ranked_chunk[], p_query_nos int4[], p_queries int4,
  p_window int4, p_boosts jsonb)
  returns ragdb_data.ranked_chunk[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return array(
    with hit as materialized (
      select u.chunk_no, u.score, u.lexical, u.lexical_rank, u.cosine, u.vector_rank,
             u.phrase, u.sentence, u.confidence, u.documents, p_query_nos[u.ordinal] as query_no
        from unnest(p_ranked) with ordinality u(
               chunk_no, score, lexical, lexical_rank, cosine, vector_rank, phrase, sentence,
               confidence, documents, document_no, boost, ordinal)),
    -- What a chunk that a query did not find has at most; none at all when it found fewer than it
    -- was asked for.
    missing as materialized (
      select h.query_no,
             case when count(*) < p_window then least(min(h.score), 0) else min(h.score) end
               as score
        from hit h
       group by h.query_no),
    fused as (
      select h.chunk_no, min(h.query_no) as query_no, max(h.confidence) as confidence,
             (sum(h.score)
              + (select coalesce(sum(m.score), 0) from missing m
                  where m.query_no <> all (array_agg(h.query_no)))) / p_queries as score
        from hit h
       group by h.chunk_no)
    select (h.chunk_no,
            case when f.score > 0 then f.score * b.boost else f.score / b.boost end,
            h.lexical, h.lexical_rank, h.cosine, h.vector_rank, h.phrase, h.sentence,
            f.confidence, h.documents, d.document_no, b.boost)::ragdb_data.ranked_chunk
      from fused f
      join hit h on h.chunk_no = f.chunk_no and h.query_no = f.query_no
     cross join lateral (
       select k.body_no
         from ragdb_data.chunk k
        where k.org_no = p_org_no and k.chunk_no = h.chunk_no
       offset 0) c
     cross join lateral (
       select d.document_no, d.labels, coalesce(d.dated_at, d.updated_at) as dated_at
         from ragdb_data.document d
        where d.org_no = p_org_no
          and d.body_no = c.body_no
          and (h.documents is null or d.document_no = any (h.documents))
        order by d.document_no
        limit 1) d
     cross join lateral (
       select (1 + coalesce((p_boosts #>> '{recency,weight}')::float8, 0.2::float8)
                   * case when p_boosts ? 'recency' then
                       exp(greatest(-700, -ln(2::float8)
                           * greatest(0, extract(epoch from now() - d.dated_at)::float8 / 86400)
                           / coalesce((p_boosts #>> '{recency,half_life_days}')::float8, 30)))
                     else 0 end)
              * coalesce((select exp(sum(ln(1 + (l.value #>> '{}')::float8)))
                            from jsonb_each(p_boosts -> 'labels') l
                           where l.key = any (d.labels)), 1) as boost) b
     order by 1);
end;
$$;

comment on function ragdb_data._fuse_queries(
  int4, ragdb_data.ranked_chunk[], int4[], int4, int4, jsonb) is
$$One list of what several queries found, with boosted scores and the document of each chunk.

p_query_nos: which of the p_queries found each of p_ranked, from 1; the features are those of the
first. p_window: how many chunks each was asked for.$$;
