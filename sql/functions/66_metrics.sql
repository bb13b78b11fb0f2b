-- What a ranking is worth, as trec_eval defines it: nDCG with linear gains, recall, the reciprocal
-- rank and the average precision, and how far chance may have moved their mean.

create or replace function ragdb_data._ranking_metrics(
  p_ranking text[], p_documents text[], p_grades int2[],
  out ndcg_10 float8, out recall_10 float8, out recall_100 float8,
  out reciprocal_rank float8, out average_precision float8)
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  with hit as (
    select r.position, j.grade, row_number() over (order by r.position) as hits
      from unnest(p_ranking[:100]) with ordinality r(document, position)
      join unnest(p_documents, p_grades) j(document, grade) on j.document = r.document
     where j.grade > 0),
  ideal as (
    select count(*)::float8 as relevant,
           sum(i.grade / ln(i.position + 1)) filter (where i.position <= 10) as gain
      from (select g.grade, row_number() over (order by g.grade desc) as position
              from unnest(p_grades) g(grade)
             where g.grade > 0) i)
  select coalesce(sum(h.grade / ln(h.position + 1)) filter (where h.position <= 10), 0)
           / max(i.gain),
         count(*) filter (where h.position <= 10) / max(i.relevant),
         count(h.hits) / max(i.relevant),
         coalesce(1 / min(h.position)::float8, 0),
         coalesce(sum(h.hits / h.position::float8), 0) / max(i.relevant)
    from ideal i
    left join hit h on true
$$;

comment on function ragdb_data._ranking_metrics(text[], text[], int2[]) is
$$Metrics of a ranking of distinct documents, best first, of which 100 count.

p_documents, p_grades: what was judged; relevant is a grade above 0. Null where nothing is
relevant.$$;

create or replace function ragdb_data._interval(p_values float8[])
  returns float8[]
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_n int4 := cardinality(p_values);
  v_draws int4 := least(1000, greatest(200, 1000000 / v_n));
begin
  return (
    select percentile_cont('{0.025, 0.975}'::float8[]) within group (order by s.mean)
      from generate_series(1, v_draws) d(draw)
     cross join lateral (
       select avg(p_values[1 + (hashint8extended(i.n, d.draw) & 9223372036854775807) % v_n])
                as mean
         from generate_series(1, v_n) i(n)) s);
end;
$$;

comment on function ragdb_data._interval(float8[]) is
$$Bootstrap interval of 95 % of the mean of values: the percentiles of the means of samples drawn
with replacement.

The draws are made by a hash of their number, so equal values have equal intervals.$$;

create or replace function ragdb_data._paired(
  p_ids text[], p_values float8[], p_other_ids text[], p_other_values float8[])
  returns jsonb
  language plpgsql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
  set enable_nestloop = off
as $$
declare
  v_differences float8[];
begin
  select array_agg(a.value - b.value order by a.id collate "C")
    into v_differences
    from unnest(p_ids, p_values) a(id, value)
    join unnest(p_other_ids, p_other_values) b(id, value) on b.id = a.id;
  return jsonb_build_object(
    'difference', (select avg(d) from unnest(v_differences) d),
    'ci', to_jsonb(ragdb_data._interval(v_differences)));
end;
$$;

comment on function ragdb_data._paired(text[], float8[], text[], float8[]) is
$$How much better values are than others of the same queries: the mean difference and its bootstrap
interval, over the queries that both have.$$;

create or replace function ragdb_data._half(p_query_id text)
  returns text
  language sql
  immutable
  security invoker
  parallel safe
  return case when get_byte(sha256(convert_to(p_query_id, 'UTF8')), 0) < 128
           then 'first' else 'second' end;

comment on function ragdb_data._half(text) is
$$Which half of a set a query belongs to: weights are chosen on one, and shown on the other.$$;
