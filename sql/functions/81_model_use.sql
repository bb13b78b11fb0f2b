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
  insert into ragdb_data.organization_model as m (org_no, model_no, user_no, permissions)
  values (v_org, v_model.model_no, v_caller.user_no, v_caller.permissions)
  on conflict on constraint organization_model_pkey do update
     set user_no = excluded.user_no,
         permissions = excluded.permissions,
         is_active = true,
         backfill = 2,
         backfilled_to = 0;
end;
$$;

comment on function ragdb.use_embedding_model(text) is
$$Have a registered model embed all chunks of the organization, those to come included.

Workers do it, in the caller's name; see ragdb.embedding_models for how far they are. Texts of all
members, private ones too, are sent to the model. Searches stay as they are until
switch_embedding_model(); a model in the table's space improves them as it goes on.
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
  if exists (select from ragdb_data.organization_model m
              where m.org_no = v_org and m.model_no = v_model.model_no and m.serves) then
    raise exception 'Searches use the embedding model %.', p_name
      using errcode = 'PT409',
            constraint = 'embedding_model_in_use',
            hint = 'Switch to another first: select ragdb.switch_embedding_model(null);';
  end if;
  update ragdb_data.organization_model m
     set is_active = false, served_before = false, is_complete = false
   where m.org_no = v_org and m.model_no = v_model.model_no;
  delete from ragdb_data.embedding_queue q
   where q.org_no = v_org and q.model_no = v_model.model_no;
  delete from ragdb_data.embedding_failure f
   where f.org_no = v_org and f.model_no = v_model.model_no;
end;
$$;

comment on function ragdb.leave_embedding_model(text) is
$$Have a model embed no more chunks of the organization; the vectors that it has made stay.

Needs rag:config and data:write. Raises PT404 embedding_model_not_found, PT409
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
    if v_model.table_model is not null then
      raise exception 'The model % writes its vectors over the table''s: it is in use already.',
                      p_name
        using errcode = 'PT422',
              constraint = 'invalid_embedding_model',
              hint = 'A switch is between models with vectors of their own, and the table.';
    end if;
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
embedded yet are found by their words. Needs rag:config.
Raises PT404 embedding_model_not_found, PT422 invalid_embedding_model.$$;

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
            hint = 'restore_table_vectors() undoes what a model wrote over the table''s vectors.';
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

create or replace function ragdb.restore_table_vectors(p_limit int4 default 10000)
  returns table (restored int8, remaining int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('data:write');
  v_version int4 := ragdb_data._embedding_version();
  v_chunks int8[];
  v_titles text[];
  v_contents text[];
begin
  if p_limit is null or p_limit not between 1 and 100000 then
    raise exception 'The limit must be 1 to 100000.'
      using errcode = 'PT422', constraint = 'invalid_limit', hint = 'The default is 10000.';
  elsif exists (select
                  from ragdb_data.organization_model m
                  join ragdb_data.embedding_model e on e.model_no = m.model_no
                 where m.org_no = v_org and m.is_active and e.table_model is not null) then
    raise exception 'A model goes on writing its vectors over the table''s.'
      using errcode = 'PT409',
            constraint = 'embedding_model_in_use',
            hint = 'First: select ragdb.leave_embedding_model(''<its name>'');';
  end if;
  select array_agg(c.chunk_no), array_agg(c.content),
         array_agg(ragdb_data._full_title(b.title, c.heading_path))
    into v_chunks, v_contents, v_titles
    from (select v.chunk_no
            from ragdb_data.chunk_vector v
           where v.org_no = v_org and v.version = v_version and v.model_no <> 0
           limit p_limit) v
    join ragdb_data.chunk c on c.org_no = v_org and c.chunk_no = v.chunk_no
    join ragdb_data.body b on b.org_no = v_org and b.body_no = c.body_no;
  update ragdb_data.chunk_vector v
     set embedding = e.embedding, model_no = 0
    from unnest(v_chunks) with ordinality c(chunk_no, ordinal)
    join ragdb.embed_batch(v_contents, v_titles) e on e.ordinal = c.ordinal
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = c.chunk_no
     and e.embedding is not null;
  get diagnostics restored = row_count;
  -- A text without a word that the table knows has no vector of its.
  delete from ragdb_data.chunk_vector v
   where v.org_no = v_org
     and v.version = v_version
     and v.chunk_no = any (v_chunks)
     and v.model_no <> 0;
  remaining := (select count(*) from ragdb_data.chunk_vector v
                 where v.org_no = v_org and v.version = v_version and v.model_no <> 0);
  if remaining = 0 then
    delete from ragdb_data.organization_model m
     using ragdb_data.embedding_model e
     where m.org_no = v_org and e.model_no = m.model_no and e.table_model is not null;
  end if;
  return next;
end;
$$;

comment on function ragdb.restore_table_vectors(int4) is
$$Give chunks whose vectors a model has written over the table's again, at most p_limit.

For models in the table's space, which are left first. Call it until nothing remains; searches go on
meanwhile. Needs data:write. Raises PT409 embedding_model_in_use, PT422 invalid_limit.$$;

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
