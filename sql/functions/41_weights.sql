-- What the parts of a score count: by default, as a workspace or an organization has set it, or as
-- an evaluation tries it.

create or replace function ragdb_data._vector_weight(p_org_no int4, p_config jsonb)
  returns float8
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  if p_config ->> 'model' = 'table' then
    return 1.0::float8;
  end if;
  return coalesce(
    (select max(case
                  when e.table_model is null or m.is_complete then 1.5::float8
                  else 1.25::float8 end)
       from ragdb_data.organization_model m
       join ragdb_data.embedding_model e on e.model_no = m.model_no
      where m.org_no = p_org_no
        and case when p_config ? 'model' then e.name = p_config ->> 'model' else m.serves end),
    1.0::float8);
end;
$$;

comment on function ragdb_data._vector_weight(int4, jsonb) is
$$What a cosine counts by default: 1 for the table's vectors, 1.5 for those of a transformer, 1.25
while a corpus has both.$$;

create or replace function ragdb_data._ranking_weights(
  p_org_no int4, p_scopes int4[], p_config jsonb)
  returns float8[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_weights float8[];
begin
  select array[w.vector_weight, w.phrase_weight, w.sentence_weight]
    into v_weights
    from ragdb_data.ranking_weight w
   where w.org_no = p_org_no and w.scope_no = any (p_scopes)
   order by w.scope_no = 0, w.scope_no
   limit 1;
  v_weights := coalesce(
    v_weights,
    array[case when exists (select from ragdb_data.embedding_model)
            then ragdb_data._vector_weight(p_org_no, p_config) else 1 end, 0.35, 0.6]);
  if p_config is not null then
    v_weights := array[
      coalesce((p_config ->> 'vector_weight')::float8, v_weights[1]),
      coalesce((p_config ->> 'phrase_weight')::float8, v_weights[2]),
      coalesce((p_config ->> 'sentence_weight')::float8, v_weights[3])];
  end if;
  return v_weights;
end;
$$;

comment on function ragdb_data._ranking_weights(int4, int4[], jsonb) is
$$Weights of vector, phrase and sentence: those of the workspace, else of the organization, else the
default; p_config overrides each.$$;
