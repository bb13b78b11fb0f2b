-- Which embedding models an organization uses, and which of them its searches ask. A model is used
-- long before it serves: its vectors are made while searches go on with what they have, and turning
-- to it, or back, is one statement.

create or replace function ragdb_data._used_model(p_org_no int4, p_name text)
  returns ragdb_data.embedding_model
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_model ragdb_data.embedding_model;
begin
  select e.* into v_model
    from ragdb_data.embedding_model e
    join ragdb_data.organization_model m on m.org_no = p_org_no and m.model_no = e.model_no
   where e.name = p_name;
  if not found then
    raise exception 'The organization uses no embedding model %.', p_name
      using errcode = 'PT404',
            constraint = 'embedding_model_not_found',
            hint = 'select name, is_used from ragdb.embedding_models;';
  end if;
  return v_model;
end;
$$;

comment on function ragdb_data._used_model(int4, text) is
$$A model that the organization uses; raises PT404 embedding_model_not_found.$$;

create or replace function ragdb.use_embedding_model(p_name text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_caller record;
  v_model ragdb_data.embedding_model;
  v_is_new boolean;
begin
  perform ragdb_data._job_kind('embed'::text);
  select * into v_caller from ragdb.context();
  select e.* into v_model from ragdb_data.embedding_model e where e.name = p_name;
  if not found then
    raise exception 'There is no embedding model %.', p_name
      using errcode = 'PT404',
            constraint = 'embedding_model_not_found',
            hint = 'An operator registers it: ragdb model register';
  end if;
  -- What writes over the table's vectors is searched from its first one on, unless another is.
  v_is_new := v_model.table_model is not null
    and not exists (select from ragdb_data.organization_model m
                     where m.org_no = v_org
                       and (m.serves or m.model_no = v_model.model_no and m.is_active));
  insert into ragdb_data.organization_model as m (org_no, model_no, user_no, permissions)
  values (v_org, v_model.model_no, v_caller.user_no, v_caller.permissions)
  on conflict on constraint organization_model_pkey do update
     set user_no = excluded.user_no,
         permissions = excluded.permissions,
         is_active = true,
         backfill = 2,
         backfilled_to = 0;
  if v_is_new then
    perform ragdb.switch_embedding_model(p_name);
  end if;
end;
$$;

comment on function ragdb.use_embedding_model(text) is
$$Have a registered model embed all chunks of the organization, those to come included.

Workers do it, in the caller's name; see ragdb.embedding_models for how far they are. Texts of all
members, private ones too, are sent to the model. Searches stay as they are until
switch_embedding_model(), but a model in the table's space improves them as it goes on: they turn to
it at once, where they used the table.
Called again, it goes through all chunks for any that were missed.
Needs rag:config and data:write. Raises PT404 embedding_model_not_found.$$;

create or replace function ragdb.leave_embedding_model(p_name text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
begin
  perform ragdb.require('data:write');
  if v_model.table_model is null
     and exists (select from ragdb_data.organization_model m
                  where m.org_no = v_org and m.model_no = v_model.model_no and m.serves) then
    raise exception 'Searches use the embedding model %.', p_name
      using errcode = 'PT409',
            constraint = 'embedding_model_in_use',
            hint = 'Switch to another first: select ragdb.switch_embedding_model(null);';
  end if;
  update ragdb_data.organization_model m
     set is_active = false, serves = false, served_before = false, is_complete = false
   where m.org_no = v_org and m.model_no = v_model.model_no;
  delete from ragdb_data.embedding_queue q
   where q.org_no = v_org and q.model_no = v_model.model_no;
  delete from ragdb_data.embedding_failure f
   where f.org_no = v_org and f.model_no = v_model.model_no;
end;
$$;

comment on function ragdb.leave_embedding_model(text) is
$$Have a model embed no more chunks of the organization; the vectors that it has made stay.

Those that a model has written over the table's are searched no longer from then on: searches go
back to the table's, and workers put these back in place; until then large organizations compare all
vectors one by one. Needs rag:config and data:write. Raises PT404 embedding_model_not_found, PT409
embedding_model_in_use.$$;

create or replace function ragdb.switch_embedding_model(p_name text default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_model ragdb_data.embedding_model;
begin
  if p_name is not null then
    v_model := ragdb_data._used_model(v_org, p_name);
  end if;
  update ragdb_data.organization_model m
     set served_before = m.serves,
         serves = m.model_no is not distinct from v_model.model_no,
         is_active = m.is_active or m.model_no is not distinct from v_model.model_no
   where m.org_no = v_org;
end;
$$;

comment on function ragdb.switch_embedding_model(text) is
$$Turn the organization's searches to a model that it uses, or, with null, to the table.

Takes effect when the transaction commits; no search fails meanwhile. Chunks that the model has not
embedded yet are found by their words, or, where the model is one of the table's space, by the
table's vectors. Of what such a model has replaced the table's vectors are kept. Needs rag:config.
Raises PT404 embedding_model_not_found.$$;

create or replace function ragdb.rollback_embedding_model()
  returns text
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
begin
  update ragdb_data.organization_model m
     set served_before = m.serves, serves = m.served_before
   where m.org_no = v_org
     and exists (select from ragdb_data.organization_model o
                  where o.org_no = v_org and (o.serves or o.served_before));
  if not found then
    raise exception 'Searches have always used the table.'
      using errcode = 'PT409',
            constraint = 'nothing_to_roll_back',
            hint = 'select ragdb.switch_embedding_model(''<a model in use>'');';
  end if;
  return coalesce(
    (select e.name
       from ragdb_data.organization_model m
       join ragdb_data.embedding_model e on e.model_no = m.model_no
      where m.org_no = v_org and m.serves),
    'table');
end;
$$;

comment on function ragdb.rollback_embedding_model() is
$$Undo the last switch; returns which model searches use now, or table. Called again, it switches
anew.

Needs rag:config. Raises PT409 nothing_to_roll_back.$$;

create or replace function ragdb.retry_embeddings(p_name text)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  v_retried int8;
begin
  with failed as (
    delete from ragdb_data.embedding_failure f
     where f.org_no = v_org and f.model_no = v_model.model_no
    returning f.chunk_no)
  insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no)
  select distinct v_org, v_model.model_no, f.chunk_no from failed f;
  get diagnostics v_retried = row_count;
  update ragdb_data.embedding_queue q
     set loading_retry_after = null
   where q.org_no = v_org and q.model_no = v_model.model_no and q.loading_retry_after is not null;
  delete from ragdb_data.embedding_circuit c
   where c.org_no = v_org and c.model_no = v_model.model_no;
  update ragdb_data.job j
     set status = 'queued', run_at = now()
   where j.org_no = v_org and j.kind = 'embed' and j.status = 'scheduled';
  return v_retried;
end;
$$;

comment on function ragdb.retry_embeddings(text) is
$$Have a model try again what it could not embed, and at once; returns how many chunks that is.

For when the reason is mended. Needs data:write. Raises PT404 embedding_model_not_found.$$;
