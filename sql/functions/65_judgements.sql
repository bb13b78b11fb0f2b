-- Which documents answer which questions: what a ranking is measured and tuned by.
--
-- Judgements are of documents, by external id, so that they survive new texts and new chunks. They
-- belong to a workspace and go with it.

create or replace function ragdb_data._workspace_scope(p_workspace text)
  returns int4
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select s.scope_no
    from ragdb_data._workspace(p_workspace) w
    join ragdb_data.scope s on s.org_no = w.org_no
                           and s.workspace_no = w.workspace_no
                           and s.user_no is null
$$;

comment on function ragdb_data._workspace_scope(text) is
$$The scope all members of a workspace share. Raises PT404 workspace_not_found.$$;

create or replace function ragdb.put_judgements(
  p_dataset text, p_judgements jsonb, p_workspace text default null)
  returns table (queries int4, judgements int4)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_scope_no int4 := ragdb_data._workspace_scope(p_workspace);
begin
  if coalesce(length(p_dataset), 0) not between 1 and 200
     or jsonb_typeof(p_judgements) is distinct from 'array'
     or exists (
          select
            from jsonb_array_elements(
                   case jsonb_typeof(p_judgements) when 'array' then p_judgements else '[]' end) j
           where jsonb_typeof(j -> 'query_id') is distinct from 'string'
              or jsonb_typeof(j -> 'query') is distinct from 'string'
              or jsonb_typeof(j -> 'documents') is distinct from 'object'
              or j -> 'documents' @? '$.* ? (!(@.type() == "number" && @ >= -100 && @ <= 100))')
  then
    raise exception 'Judgements are a list of queries with the grades of documents.'
      using errcode = 'PT422',
            constraint = 'invalid_judgements',
            hint = 'put_judgements(''faq'', ''[{"query_id": "1", "query": "How often do keys'
                   ' rotate?", "documents": {"keys.md": 1}}]'')';
  end if;
  return query
  with given as materialized (
    select distinct on (j.judgement ->> 'query_id') j.judgement
      from jsonb_array_elements(p_judgements) with ordinality j(judgement, ordinal)
     order by j.judgement ->> 'query_id', j.ordinal desc),
  gone as (
    delete from ragdb_data.judged_query q
     using given g
     where q.org_no = v_org
       and q.scope_no = v_scope_no
       and q.dataset = p_dataset
       and q.query_id = g.judgement ->> 'query_id'
       and g.judgement -> 'documents' = '{}'),
  put as (
    insert into ragdb_data.judged_query (
      org_no, scope_no, dataset, query_id, query, external_ids, grades)
    select v_org, v_scope_no, p_dataset, g.judgement ->> 'query_id', g.judgement ->> 'query',
           d.external_ids, d.grades
      from given g
     cross join lateral (
       select array_agg(e.key order by e.key) as external_ids,
              array_agg(round(e.value::numeric)::int2 order by e.key) as grades
         from jsonb_each_text(g.judgement -> 'documents') e) d
     where d.grades is not null
    on conflict on constraint judged_query_pkey
      do update set query = excluded.query,
                    external_ids = excluded.external_ids,
                    grades = excluded.grades
    returning cardinality(grades) as judgements)
  select count(*)::int4, coalesce(sum(p.judgements), 0)::int4 from put p;
end;
$$;

comment on function ragdb.put_judgements(text, jsonb, text) is
$$Store questions with the documents that answer them, for evaluate() and tune().

p_dataset: a name for the set; each set belongs to a workspace. p_judgements: array of {query_id,
query, documents: {external_id: grade}}; a grade above 0 is relevant, and the greater the better.
A query that is there is replaced, and deleted when its documents are {}.
Example: select * from ragdb.put_judgements('faq', '[{"query_id": "1", "query": "How often do keys
rotate?", "documents": {"keys.md": 1}}]');
Needs data:write. Raises PT422 invalid_judgements, PT404 workspace_not_found.$$;

create or replace function ragdb.record_feedback(
  p_value int4, p_query text default null, p_document_id uuid default null,
  p_answer_id uuid default null)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('rag:read');
  v_user_no int4 := ragdb.current_user_no();
  v_query text := btrim(p_query);
  v_answer_no int8;
  v_documents int8[];
begin
  if p_answer_id is not null then
    select a.answer_no, a.question into v_answer_no, v_query
      from ragdb_data.answer a
     where a.org_no = v_org and a.id = p_answer_id;
    if not found then
      raise exception 'There is no answer %.', p_answer_id
        using errcode = 'PT404',
              constraint = 'answer_not_found',
              hint = 'select answer_id, question from ragdb.answers;';
    end if;
  end if;
  if p_value is null or p_value not in (-1, 0, 1)
     or v_query is null or v_query !~ '\S' or length(v_query) > 10000
     or p_answer_id is null and p_document_id is null then
    raise exception 'Feedback is 1 or -1 for a query and a document, or for an answer.'
      using errcode = 'PT422',
            constraint = 'invalid_feedback',
            hint = '0 takes back what was said before.';
  end if;
  v_documents := array(
    select d.document_no
      from ragdb_data.document d
     where d.org_no = v_org
       and (p_document_id is null or d.id = p_document_id)
       and (v_answer_no is null
            or d.document_no in (select c.document_no
                                   from ragdb_data.answer_citation c
                                  where c.org_no = v_org and c.answer_no = v_answer_no)));
  if p_document_id is not null and v_documents = '{}' then
    raise exception 'There is no document %.', p_document_id
      using errcode = 'PT404',
            constraint = 'document_not_found',
            hint = 'Take document_id from a result or a citation.';
  end if;
  delete from ragdb_data.feedback f
   where f.org_no = v_org
     and f.user_no = v_user_no
     and f.document_no = any (v_documents)
     and md5(f.query) = md5(v_query);
  if p_value <> 0 then
    insert into ragdb_data.feedback (org_no, scope_no, user_no, document_no, query, value)
    select v_org, d.scope_no, v_user_no, d.document_no, v_query, p_value
      from ragdb_data.document d
     where d.org_no = v_org and d.document_no = any (v_documents)
    on conflict do nothing;
  end if;
  return cardinality(v_documents);
end;
$$;

comment on function ragdb.record_feedback(int4, text, uuid, uuid) is
$$Say that a result was good (1) or bad (-1) for a query; 0 takes that back.

p_query and p_document_id: a search and one of its results. p_answer_id: an answer, for its question
and all documents it cites, or the one that p_document_id names. Returns how many documents that
were.
tune() learns from it. The query's text is kept with it, readable by the caller and by whoever may
configure the ranking (rag:config), until it is taken back, the document is deleted, or the member
leaves.
Needs rag:read. Raises PT422 invalid_feedback, PT404 document_not_found or answer_not_found.$$;
