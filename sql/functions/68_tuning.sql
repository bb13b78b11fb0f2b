-- The weights of the ranking, fitted to what a tenant knows: judgements and feedback.
--
-- Every query is searched once. What its candidates scored is kept, and weights are tried on that.
-- They are chosen on one half of the queries and shown on the other.

create or replace function ragdb.set_ranking_weights(
  p_vector_weight float8 default null, p_phrase_weight float8 default null,
  p_sentence_weight float8 default null, p_workspace text default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_scope_no int4 := 0;
begin
  if p_workspace is not null then
    v_scope_no := ragdb_data._workspace_scope(p_workspace);
  elsif (select c.workspace_no from ragdb.context() c) <> 0 then
    raise exception 'A key limited to one workspace sets no weights for the others.'
      using errcode = 'PT403', constraint = 'permission_denied', hint = 'Name the workspace.';
  end if;
  delete from ragdb_data.ranking_weight w where w.org_no = v_org and w.scope_no = v_scope_no;
  if coalesce(p_vector_weight, p_phrase_weight, p_sentence_weight) is not null then
    insert into ragdb_data.ranking_weight (
      org_no, scope_no, vector_weight, phrase_weight, sentence_weight)
    select v_org, v_scope_no,
           coalesce(p_vector_weight, d.weights[1]),
           coalesce(p_phrase_weight, d.weights[2]),
           coalesce(p_sentence_weight, d.weights[3])
      from (select ragdb_data._ranking_weights(v_org, '{}', null) as weights) d
    on conflict on constraint ranking_weight_pkey
      do update set vector_weight = excluded.vector_weight,
                    phrase_weight = excluded.phrase_weight,
                    sentence_weight = excluded.sentence_weight,
                    updated_at = now();
  end if;
end;
$$;

comment on function ragdb.set_ranking_weights(float8, float8, float8, text) is
$$Weigh the parts of a hybrid score: the vector's cosine, phrases, and the best sentence, against
keywords at 1.

p_workspace: for searches in this workspace; null for the whole organization, where a workspace has
none of its own. All null: the default again. Each from 0 to 10.
Needs rag:config. Raises PT404 workspace_not_found, PT403 permission_denied.$$;

create or replace function ragdb_data._judged_queries(
  p_scopes int4[], p_dataset text, p_limit int4)
  returns table (half text, query text, grades jsonb)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.current_org_no();
begin
  return query
  select ragdb_data._half(u.id), u.query, u.grades
    from (select q.dataset || '/' || q.query_id as id, q.query,
                 (select jsonb_object_agg(g.id, g.grade)
                    from unnest(q.external_ids, q.grades) g(id, grade)) as grades
            from ragdb_data.judged_query q
           where q.org_no = v_org
             and q.scope_no = any (p_scopes)
             and (p_dataset is null or q.dataset = p_dataset)
             and 0 < any (q.grades)
          union all
          select f.query, f.query, jsonb_object_agg(f.external_id, greatest(f.value, 0))
            from (select f.query, d.external_id, sum(f.value) as value
                    from ragdb_data.feedback f
                    join ragdb_data.document d on d.org_no = v_org
                                              and d.document_no = f.document_no
                   where f.org_no = v_org
                     and f.scope_no = any (p_scopes)
                     and p_dataset is null
                   group by f.query, d.external_id) f
           group by f.query
          having max(f.value) > 0) u
   order by md5(u.id), u.id
   limit p_limit;
end;
$$;

comment on function ragdb_data._judged_queries(int4[], text, int4) is
$$Queries with documents known to be relevant, from judgements and, without p_dataset, from
feedback: there a document's grade is how many more liked than disliked it.$$;

create or replace function ragdb_data._weighted_ndcg(
  p_weights float8[], p_queries int4[], p_documents text[], p_lexicals float8[],
  p_cosines float8[], p_phrases float8[], p_sentences float8[], p_gains float8[])
  returns float8[]
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  return (
    select array_agg(q.ndcg order by q.query)
      from (select r.query,
                   coalesce(sum(r.gain / ln(r.position + 1)) filter (where r.position <= 10), 0)
                     as ndcg
              from (select d.query, d.gain,
                           row_number() over (
                             partition by d.query order by d.score desc, d.document) as position
                      from (select c.query, c.document, max(c.gain) as gain,
                                   max(c.lexical + p_weights[1] * c.cosine
                                       + p_weights[2] * c.phrase
                                       + p_weights[3] * c.sentence) as score
                              from unnest(p_queries, p_documents, p_lexicals, p_cosines,
                                          p_phrases, p_sentences, p_gains)
                                     c(query, document, lexical, cosine, phrase, sentence, gain)
                             group by c.query, c.document) d) r
             group by r.query) q);
end;
$$;

comment on function ragdb_data._weighted_ndcg(
  float8[], int4[], text[], float8[], float8[], float8[], float8[], float8[]) is
$$nDCG@10 of each query under other weights, from what its candidates scored; one element of each
array a candidate.

p_gains: a document's grade per the query's ideal sum, so that no ideal is needed here.$$;

create or replace function ragdb_data._features(
  p_queries text[], p_grades jsonb, p_workspace text,
  out queries int4[], out documents text[], out lexicals float8[], out cosines float8[],
  out phrases float8[], out sentences float8[], out gains float8[])
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_org int4 := ragdb.require('rag:read');
begin
  select array_agg(f.query), array_agg(f.document), array_agg(f.lexical), array_agg(f.cosine),
         array_agg(f.phrase), array_agg(f.sentence), array_agg(f.gain)
    into queries, documents, lexicals, cosines, phrases, sentences, gains
    from (select q.number::int4 as query, d.external_id as document,
                 coalesce(s.lexical / max(s.lexical) over (partition by q.number), 0) as lexical,
                 coalesce(s.cosine, 0) as cosine, s.phrase, s.sentence,
                 greatest(coalesce((p_grades -> (q.number::int4 - 1) ->> d.external_id)::float8, 0),
                          0) / i.gain as gain
            from unnest(p_queries) with ordinality q(query, number)
           cross join lateral (
             select sum(g.grade / ln(g.position + 1)) as gain
               from (select e.value::float8 as grade,
                            row_number() over (order by e.value::float8 desc) as position
                       from jsonb_each_text(p_grades -> (q.number::int4 - 1)) e
                      where e.value::float8 > 0) g
              where g.position <= 10) i
           cross join lateral ragdb_data._search(
                   q.query, 100, 0, null, 'hybrid', p_workspace, null) s
           cross join lateral (
             select k.body_no
               from ragdb_data.chunk k
              where k.org_no = v_org and k.chunk_no = s.chunk_no
             offset 0) c
           cross join lateral (
             select d.external_id
               from ragdb_data.document d
              where d.org_no = v_org and d.body_no = c.body_no
             offset 0) d) f;
end;
$$;

comment on function ragdb_data._features(text[], jsonb, text) is
$$What the best 100 candidates of each query score in each part of the ranking, an element of every
array for each candidate; see _weighted_ndcg().

p_grades: array of {external id: grade}, one for each query.$$;

create or replace function ragdb.tune(
  p_workspace text default null, p_dataset text default null, p_apply boolean default false)
  returns table (
    queries int4, held_out int4,
    vector_weight float8, phrase_weight float8, sentence_weight float8, before float8[],
    ndcg_before float8, ndcg_after float8, difference float8, ci float8[], is_applied boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  c_fewest constant int4 := 30;
  c_most constant int4 := 1000;
  c_grid constant float8[] := '{0, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.25, 1.5, 2, 3}';
  -- A weight moves only where it pays this much: what is in force was measured on more.
  c_step constant float8 := 0.0005;
  -- Few queries say little: so many count as much as the weights in force.
  c_prior constant float8 := 100;
  v_org int4 := ragdb.require('rag:config');
  v_workspace text := (ragdb_data._workspace(p_workspace)).slug;
  v_scope_no int4 := ragdb_data._workspace_scope(v_workspace);
  v_train record;
  v_test record;
  f record;
  v_weights float8[] := ragdb_data._ranking_weights(v_org, array[v_scope_no, 0], null);
  v_tried float8[];
  v_best float8;
  v_ndcg float8;
  v_after float8[];
  v_before float8[];
begin
  perform ragdb.require('rag:read');
  before := v_weights;
  select coalesce(array_agg(j.query) filter (where j.half = 'first'), '{}') as queries,
         jsonb_agg(j.grades) filter (where j.half = 'first') as grades
    into v_train
    from ragdb_data._judged_queries(array[v_scope_no, 0], p_dataset, c_most) j;
  select coalesce(array_agg(j.query) filter (where j.half = 'second'), '{}') as queries,
         jsonb_agg(j.grades) filter (where j.half = 'second') as grades
    into v_test
    from ragdb_data._judged_queries(array[v_scope_no, 0], p_dataset, c_most) j;
  held_out := cardinality(v_test.queries);
  queries := cardinality(v_train.queries) + held_out;
  if queries < c_fewest then
    raise exception 'The workspace % has % judged queries; tuning takes %.',
                    v_workspace, queries, c_fewest
      using errcode = 'PT409',
            constraint = 'too_few_judgements',
            hint = 'Add some with ragdb.put_judgements() or ragdb.record_feedback().';
  end if;

  f := ragdb_data._features(v_train.queries, v_train.grades, v_workspace);
  v_best := -1;
  for v_round in 0..3 loop
    for v_number in 1..3 loop
      foreach v_ndcg in array case v_round when 0 then v_weights[v_number:v_number] else c_grid end
      loop
        v_tried := v_weights;
        v_tried[v_number] := v_ndcg;
        select avg(n) into v_ndcg
          from unnest(ragdb_data._weighted_ndcg(
                 v_tried, f.queries, f.documents, f.lexicals, f.cosines, f.phrases, f.sentences,
                 f.gains)) n;
        if v_ndcg > v_best + c_step then
          v_best := v_ndcg;
          v_weights := v_tried;
        end if;
      end loop;
    end loop;
  end loop;
  v_weights := array(
    select round((w.old + (w.fitted - w.old) * cardinality(v_train.queries)
                          / (cardinality(v_train.queries) + c_prior))::numeric, 3)
      from unnest(before, v_weights) with ordinality w(old, fitted, number)
     order by w.number);

  f := ragdb_data._features(v_test.queries, v_test.grades, v_workspace);
  v_before := ragdb_data._weighted_ndcg(
    before, f.queries, f.documents, f.lexicals, f.cosines, f.phrases, f.sentences, f.gains);
  v_after := ragdb_data._weighted_ndcg(
    v_weights, f.queries, f.documents, f.lexicals, f.cosines, f.phrases, f.sentences, f.gains);
  select avg(u.before), avg(u.after), avg(u.after - u.before),
         ragdb_data._interval(array_agg(u.after - u.before))
    into ndcg_before, ndcg_after, difference, ci
    from unnest(v_before, v_after) u(before, after);
  vector_weight := v_weights[1];
  phrase_weight := v_weights[2];
  sentence_weight := v_weights[3];
  is_applied := p_apply;
  if p_apply then
    perform ragdb.set_ranking_weights(v_weights[1], v_weights[2], v_weights[3], v_workspace);
  end if;
  return next;
end;
$$;

comment on function ragdb.tune(text, text, boolean) is
$$Fit the weights of the ranking to the judgements and feedback of a workspace.

The weights are chosen on half of the queries, and stay the closer to those in force the fewer there
are; ndcg_before, ndcg_after and difference, with its
bootstrap interval of 95 %, are of the other half, nDCG@10 of the best 100 candidates. At most 1,000
queries are used. before: the weights now in force, of vector, phrase and sentence.
Changes nothing unless p_apply; set_ranking_weights() takes it back. p_dataset: judgements of this
set only, without feedback.
Feedback knows only what was shown, so it favours the ranking that showed it: judgements are better.
Needs rag:config and rag:read. Raises PT409 too_few_judgements below 30 queries, PT404
workspace_not_found.$$;
