-- The ranking measured on judged queries, where they are stored: every query is searched as a
-- caller would, its chunks become documents, and the documents meet the judgements.

create or replace function ragdb_data._ranked_documents(
  p_query text, p_mode text, p_workspace text, p_config jsonb)
  returns text[]
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_org int4 := ragdb.require('rag:read');
begin
  return (
    select array_agg(f.external_id order by f.rank, f.document_no)
      from (select d.external_id, min(s.rank) as rank, min(d.document_no) as document_no
              from ragdb_data._search(
                     p_query, 100, 0, p_config -> 'filters', p_mode, p_workspace,
                     p_config ->> 'language', p_config => p_config) s
             cross join lateral (
               select k.body_no
                 from ragdb_data.chunk k
                where k.org_no = v_org and k.chunk_no = s.chunk_no
               offset 0) c
             cross join lateral (
               select d.external_id, d.document_no
                 from ragdb_data.document d
                where d.org_no = v_org
                  and d.body_no = c.body_no
                  and (s.documents is null or d.document_no = any (s.documents))
               offset 0) d
             group by d.external_id) f);
end;
$$;

comment on function ragdb_data._ranked_documents(text, text, text, jsonb) is
$$External ids of the documents that a search finds, best first, each where its best chunk is.$$;

create or replace function ragdb_data._check_evaluation(p_config jsonb)
  returns void
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_keys constant text[] := '{workspace,modes,queries,half,language,filters,shared,compare,model,
                              vector_weight,phrase_weight,sentence_weight}';
  v_wrong text;
begin
  select string_agg(k, ', ') into v_wrong
    from jsonb_object_keys(case jsonb_typeof(p_config) when 'object' then p_config else '{}' end) k
   where k <> all (c_keys);
  v_wrong := case
    when jsonb_typeof(p_config) is distinct from 'object' then 'It is no JSON object'
    when v_wrong is not null then format('Unknown key %s', v_wrong)
    when not coalesce(p_config -> 'modes', '["hybrid"]') <@ '["hybrid", "keyword", "vector"]'
         or p_config -> 'modes' = '[]'
      then 'modes is a list of hybrid, keyword, vector'
    when jsonb_path_exists(p_config, '$.queries ? (@.type() != "number" || @ < 1 || @ > 1000000)')
      then 'queries is a number'
    when p_config ->> 'half' not in ('first', 'second') then 'half is first or second'
    when jsonb_path_exists(
           p_config, 'strict $.keyvalue() ? (@.key like_regex "_weight$").value'
                     ' ? (@.type() != "number" || @ < 0 || @ > 10)')
      then 'A weight is a number from 0 to 10'
    when p_config ? 'model' and jsonb_typeof(p_config -> 'model') <> 'string'
      then 'model is the name of an embedding model, or table'
    when p_config ? 'shared' and jsonb_typeof(p_config -> 'shared') <> 'boolean'
      then 'shared is true or false'
  end;
  if v_wrong is not null then
    raise exception 'The configuration is not valid: %.', v_wrong
      using errcode = 'PT422',
            constraint = 'invalid_configuration',
            hint = 'Keys: ' || array_to_string(c_keys, ', ');
  end if;
end;
$$;

comment on function ragdb_data._check_evaluation(jsonb) is
$$Refuse a configuration that evaluate() would misread; raises PT422 invalid_configuration.$$;

create or replace function ragdb.evaluate(p_dataset text, p_config jsonb default '{}')
  returns table (
    run_id uuid, mode text, queries int4,
    ndcg_10 float8, recall_10 float8, recall_100 float8, mrr float8, map float8,
    ci jsonb, over_keyword jsonb, compared jsonb)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
  v_user_no int4 := ragdb.current_user_no();
  v_workspace text := (ragdb_data._workspace(p_config ->> 'workspace')).slug;
  v_scope_no int4 := ragdb_data._workspace_scope(v_workspace);
  v_run_id uuid := gen_random_uuid();
  v_queries record;
  v ragdb_data.evaluation;
  v_keyword ragdb_data.evaluation;
  v_before ragdb_data.evaluation;
begin
  perform ragdb_data._check_evaluation(p_config);
  select array_agg(q.query_id) as ids, array_agg(q.query) as texts
    into v_queries
    from (select q.query_id, q.query
            from ragdb_data.judged_query q
           where q.org_no = v_org
             and q.scope_no = v_scope_no
             and q.dataset = p_dataset
             and 0 < any (q.grades)
             and (p_config ->> 'half' is null
                  or ragdb_data._half(q.query_id) = p_config ->> 'half')
           order by md5(q.query_id), q.query_id
           limit (p_config ->> 'queries')::numeric) q;
  if v_queries.ids is null then
    raise exception 'The workspace % has no judgements by the name %.', v_workspace, p_dataset
      using errcode = 'PT404',
            constraint = 'judgements_not_found',
            hint = 'select distinct workspace, dataset from ragdb.judgements;';
  end if;

  for v.mode in
    select m from unnest('{keyword,vector,hybrid}'::text[]) m
     where p_config -> 'modes' is null or p_config -> 'modes' ? m
  loop
    select array_agg(r.query_id), array_agg(r.ndcg_10), array_agg(r.recall_10),
           array_agg(r.recall_100), array_agg(r.reciprocal_rank), array_agg(r.average_precision)
      into v.query_ids, v.ndcg_10, v.recall_10,
           v.recall_100, v.reciprocal_ranks, v.average_precisions
      from (select u.query_id, m.*
              from unnest(v_queries.ids, v_queries.texts) u(query_id, query)
             cross join lateral (
               select ragdb_data._ranked_documents(u.query, v.mode, v_workspace, p_config)
                        as documents
               offset 0) f
              join ragdb_data.judged_query j on j.org_no = v_org
                                            and j.scope_no = v_scope_no
                                            and j.dataset = p_dataset
                                            and j.query_id = u.query_id
             cross join lateral ragdb_data._ranking_metrics(
                     f.documents, j.external_ids, j.grades) m) r;
    v_before := null;
    if p_config ? 'compare' then
      v_before := ragdb_data._stored_run(p_config ->> 'compare', p_dataset, v.mode);
    end if;
    run_id := v_run_id;
    mode := v.mode;
    queries := cardinality(v.query_ids);
    select avg(m.ndcg_10), avg(m.recall_10), avg(m.recall_100), avg(m.rr), avg(m.ap)
      into ndcg_10, recall_10, recall_100, mrr, map
      from unnest(v.ndcg_10, v.recall_10, v.recall_100, v.reciprocal_ranks, v.average_precisions)
             m(ndcg_10, recall_10, recall_100, rr, ap);
    ci := jsonb_build_object(
      'ndcg@10', ragdb_data._interval(v.ndcg_10),
      'recall@10', ragdb_data._interval(v.recall_10),
      'recall@100', ragdb_data._interval(v.recall_100),
      'mrr', ragdb_data._interval(v.reciprocal_ranks),
      'map', ragdb_data._interval(v.average_precisions));
    if v.mode = 'keyword' then
      v_keyword := v;
    elsif v_keyword.query_ids is not null then
      over_keyword := ragdb_data._compared(v, v_keyword);
    end if;
    compared := case when v_before.run_id is not null
                  then jsonb_build_object('run_id', v_before.run_id)
                       || ragdb_data._compared(v, v_before) end;
    insert into ragdb_data.evaluation (
      org_no, run_id, user_no, dataset, mode, config, metrics, query_ids,
      ndcg_10, recall_10, recall_100, reciprocal_ranks, average_precisions)
    values (v_org, v_run_id, v_user_no, p_dataset, v.mode, p_config - 'workspace',
            jsonb_build_object('ndcg@10', ndcg_10, 'recall@10', recall_10,
                               'recall@100', recall_100, 'mrr', mrr, 'map', map, 'ci', ci),
            v.query_ids, v.ndcg_10, v.recall_10, v.recall_100, v.reciprocal_ranks,
            v.average_precisions);
    return next;
  end loop;
end;
$$;

comment on function ragdb.evaluate(text, jsonb) is
$$Measure search on the caller's own judgements; a row for each mode.

Metrics are trec_eval's, over the best 100 chunks of each query, made documents. Queries without a
relevant document are left out. ci: bootstrap intervals of 95 %. over_keyword: the difference to
keyword mode in the same run, query by query, and its interval; compared: to an earlier run.
p_config: {workspace, modes, queries: how many of them, always the same ones, half: first or second
half of them, language, filters, shared: false without what the whole organization shares,
vector_weight, phrase_weight, sentence_weight, compare: a run_id or "last", model: an embedding
model that the organization uses, or "table", whichever searches use}.
The run is stored and listed in ragdb.evaluations. Example: select mode, ndcg_10, recall_10 from
ragdb.evaluate('faq');
Needs rag:read. Raises PT404 judgements_not_found, run_not_found or workspace_not_found, PT422
invalid_configuration, and what search() raises.$$;

create or replace function ragdb_data._stored_run(p_run text, p_dataset text, p_mode text)
  returns ragdb_data.evaluation
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_run ragdb_data.evaluation;
begin
  select e.* into v_run
    from ragdb_data.evaluation e
   where e.org_no = v_org
     and e.user_no = ragdb.current_user_no()
     and e.dataset = p_dataset
     and e.mode = p_mode
     and (p_run = 'last' or e.run_id::text = p_run)
   order by e.evaluation_no desc
   limit 1;
  if not found then
    raise exception 'There is no run % of % in mode %.', p_run, p_dataset, p_mode
      using errcode = 'PT404',
            constraint = 'run_not_found',
            hint = 'select run_id, dataset, mode from ragdb.evaluations;';
  end if;
  return v_run;
end;
$$;

comment on function ragdb_data._stored_run(text, text, text) is
$$An earlier run of the caller's, by its id or as the last one. Raises PT404 run_not_found.$$;

create or replace function ragdb_data._compared(
  p_run ragdb_data.evaluation, p_other ragdb_data.evaluation)
  returns jsonb
  language sql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(
           m.name,
           ragdb_data._paired((p_run).query_ids, m.here, (p_other).query_ids, m.there))
    from (values ('ndcg@10', (p_run).ndcg_10, (p_other).ndcg_10),
                 ('recall@10', (p_run).recall_10, (p_other).recall_10),
                 ('recall@100', (p_run).recall_100, (p_other).recall_100),
                 ('mrr', (p_run).reciprocal_ranks, (p_other).reciprocal_ranks),
                 ('map', (p_run).average_precisions, (p_other).average_precisions))
         m(name, here, there)
$$;

comment on function ragdb_data._compared(ragdb_data.evaluation, ragdb_data.evaluation) is
$$One run against another, metric by metric; see _paired().$$;
