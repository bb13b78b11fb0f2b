-- The drain: what a worker asks under the lease of a job of kind embed, and what it brings back.
--
-- Nothing is claimed and nothing is taken out before the vectors are stored. A job's lease keeps
-- other workers away; killed anywhere, the next one asks for the same chunks again. What a text was
-- is known by its hash, so that a vector of a text that has changed is never stored.

create or replace function ragdb_data._leased_org()
  returns int4
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('data:write');
begin
  -- Such is the context of a job for the whole organization, and no other: a key has a number, and
  -- nobody's role is to write alone.
  if not exists (select from ragdb.context() c
                  where c.key_no = 0 and c.permissions = '{data:write}') then
    raise exception 'This is done by workers, for the whole organization.'
      using errcode = 'PT409',
            constraint = 'lease_required',
            hint = 'Run: ragdb worker';
  end if;
  return v_org;
end;
$$;

comment on function ragdb_data._leased_org() is
$$The organization of the job under whose lease the caller works, which sees all scopes.

Whoever sees some of them would take the chunks of the others for gone. Raises PT409
lease_required.$$;

create or replace function ragdb_data._backfill(
  p_org_no int4, p_model ragdb_data.embedding_model, p_limit int4)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_used ragdb_data.organization_model;
  v_version int4 := ragdb_data._embedding_version();
  v_chunks int8[];
begin
  select m.* into v_used
    from ragdb_data.organization_model m
   where m.org_no = p_org_no and m.model_no = p_model.model_no
     for update;
  v_chunks := array(select c.chunk_no
                      from ragdb_data.chunk c
                     where c.org_no = p_org_no and c.chunk_no > v_used.backfilled_to
                     order by c.chunk_no
                     limit p_limit);
  insert into ragdb_data.embedding_queue (org_no, model_no, chunk_no)
  select p_org_no, p_model.model_no, u.chunk_no
    from unnest(v_chunks) u(chunk_no)
   where not exists (select
                       from ragdb_data.model_vector v
                      where v.org_no = p_org_no
                        and v.model_no = p_model.model_no
                        and v.chunk_no = u.chunk_no)
     and not exists (select
                       from ragdb_data.chunk_vector v
                      where v.org_no = p_org_no
                        and v.version = v_version
                        and v.chunk_no = u.chunk_no
                        and v.model_no = p_model.model_no)
     and not exists (select
                       from ragdb_data.embedding_queue q
                      where q.org_no = p_org_no
                        and q.chunk_no = u.chunk_no
                        and q.model_no = p_model.model_no)
     and not exists (select
                       from ragdb_data.embedding_failure f
                      where f.org_no = p_org_no
                        and f.model_no = p_model.model_no
                        and f.chunk_no = u.chunk_no);
  update ragdb_data.organization_model m
     set backfill = case when cardinality(v_chunks) < p_limit then m.backfill - 1
                      else m.backfill end,
         backfilled_to = case when cardinality(v_chunks) < p_limit then 0
                           else v_chunks[cardinality(v_chunks)] end
   where m.org_no = p_org_no and m.model_no = p_model.model_no;
end;
$$;

comment on function ragdb_data._backfill(int4, ragdb_data.embedding_model, int4) is
$$Queue the next p_limit chunks that were there before the model and that it has not embedded.

All are gone through twice, the second time when the queue is empty: a writer that began before the
model was used may have brought chunks that nobody queued.$$;

create or replace function ragdb_data._note_coverage(
  p_org_no int4, p_model ragdb_data.embedding_model)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_chunks int8 := (select count(*) from ragdb_data.chunk c where c.org_no = p_org_no);
  v_embedded int8;
begin
  if p_model.table_model is null then
    v_embedded := (select count(*)
                     from ragdb_data.model_vector v
                    where v.org_no = p_org_no and v.model_no = p_model.model_no);
  else
    v_embedded := (select count(*)
                     from ragdb_data.chunk_vector v
                    where v.org_no = p_org_no
                      and v.version = ragdb_data._embedding_version()
                      and v.model_no = p_model.model_no);
  end if;
  update ragdb_data.organization_model m
     set is_complete = v_embedded > 0 and v_embedded * 100 >= v_chunks * 99
   where m.org_no = p_org_no
     and m.model_no = p_model.model_no
     and m.is_complete is distinct from (v_embedded > 0 and v_embedded * 100 >= v_chunks * 99);
end;
$$;

comment on function ragdb_data._note_coverage(int4, ragdb_data.embedding_model) is
$$Count whether a model has embedded all chunks but a hundredth: the ranking goes by it.$$;

create or replace function ragdb.begin_embedding(p_name text)
  returns table (
    state text, wait_seconds float8, model jsonb,
    chunk_nos int8[], hashes text[], texts text[], alone boolean[], cached int8, waiting int8)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  c_step constant int4 := 5000;
  v_org int4 := ragdb_data._leased_org();
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  v_used ragdb_data.organization_model;
  v_circuit ragdb_data.embedding_circuit;
  v_limit int4 := v_model.batch_size * v_model.concurrency;
  v_taken int8[];
  v_hits record;
begin
  cached := 0;
  select m.* into v_used
    from ragdb_data.organization_model m
   where m.org_no = v_org and m.model_no = v_model.model_no;
  select c.* into v_circuit
    from ragdb_data.embedding_circuit c
   where c.org_no = v_org and c.model_no = v_model.model_no
     for update;
  state := case
    when not v_used.is_active and v_model.table_model is not null then 'restore'
    when not v_used.is_active then 'done'
    when v_circuit.open_until > clock_timestamp() then 'wait'
    when v_model.table_model <> (select t.model
                                   from ragdb_data.embedding_table_version t
                                  where t.version = ragdb_data._embedding_version()) then 'wait'
    else 'work' end;
  wait_seconds := greatest(1.0::float8, coalesce(
    extract(epoch from v_circuit.open_until - clock_timestamp())::float8, 60.0::float8));

  while state = 'work' loop
    select array_agg(q.chunk_no order by q.loading_retries, q.queued_at, q.chunk_no),
           array_agg(q.loading_retries > 0
                     order by q.loading_retries, q.queued_at, q.chunk_no)
      into v_taken, alone
      from (select w.chunk_no, max(w.loading_retries) as loading_retries,
                   min(w.queued_at) as queued_at
              from (select q.chunk_no, q.loading_retries, q.queued_at
                      from ragdb_data.embedding_queue q
                     where q.org_no = v_org
                       and q.model_no = v_model.model_no
                       and coalesce(q.loading_retry_after, '-infinity') <= clock_timestamp()
                     order by q.loading_retries, q.queued_at
                     -- One text to find out whether a model that failed is back.
                     limit case when v_circuit.failures > 0 then 1 else v_limit end) w
             group by w.chunk_no) q;
    if v_taken is null then
      if v_used.backfill = 0 then
        perform ragdb_data._note_coverage(v_org, v_model);
        state := 'done';
      else
        perform ragdb_data._backfill(v_org, v_model, c_step);
        select m.* into v_used
          from ragdb_data.organization_model m
         where m.org_no = v_org and m.model_no = v_model.model_no;
      end if;
      continue;
    end if;

    select array_agg(t.chunk_no order by u.ordinal),
           array_agg(encode(t.sha256, 'hex') order by u.ordinal),
           array_agg(t.content order by u.ordinal),
           array_agg(alone[u.ordinal] order by u.ordinal)
      into chunk_nos, hashes, texts, alone
      from unnest(v_taken) with ordinality u(chunk_no, ordinal)
      join ragdb_data._embedding_texts(v_org, v_taken, v_model.passage_prefix) t
        on t.chunk_no = u.chunk_no
      left join ragdb_data.embedding_cache k on k.org_no = v_org
                                            and k.scope_no = t.scope_no
                                            and k.model_no = v_model.model_no
                                            and k.sha256 = t.sha256
     where k.sha256 is null;
    select array_agg(t.chunk_no) as chunk_nos, array_agg(t.sha256) as hashes,
           array_agg(k.embedding) as embeddings
      into v_hits
      from ragdb_data._embedding_texts(v_org, v_taken, v_model.passage_prefix) t
      join ragdb_data.embedding_cache k on k.org_no = v_org
                                       and k.scope_no = t.scope_no
                                       and k.model_no = v_model.model_no
                                       and k.sha256 = t.sha256;
    if v_hits.chunk_nos is not null then
      cached := cached + ragdb_data._store_embeddings(
        v_model, v_hits.chunk_nos, v_hits.hashes, v_hits.embeddings);
    end if;
    -- What is gone or blank has no vector, not even that of the text it had.
    v_taken := array(select unnest(v_taken)
                     except
                     select unnest(chunk_nos || v_hits.chunk_nos));
    delete from ragdb_data.embedding_queue q
     where q.org_no = v_org and q.model_no = v_model.model_no and q.chunk_no = any (v_taken);
    delete from ragdb_data.model_vector v
     where v.org_no = v_org and v.model_no = v_model.model_no and v.chunk_no = any (v_taken);
    exit when chunk_nos is not null;
  end loop;

  if state = 'work' and v_circuit.failures > 0 then
    -- The one probe; until it has ended nobody else asks.
    update ragdb_data.embedding_circuit c
       set open_until = clock_timestamp() + make_interval(secs => v_model.timeout_seconds + 5)
     where c.org_no = v_org and c.model_no = v_model.model_no;
  end if;
  if cached > 0 then
    perform ragdb_data._count_usage(v_org, v_model.model_no, 0, 0, cached, 0);
  end if;
  waiting := (select count(*)
                from ragdb_data.embedding_queue q
               where q.org_no = v_org and q.model_no = v_model.model_no);
  if state = 'work' and v_used.is_complete and waiting > 1000 then
    perform ragdb_data._note_coverage(v_org, v_model);
  end if;
  model := ragdb_data._endpoint(v_model);
  return next;
end;
$$;

comment on function ragdb.begin_embedding(text) is
$$The next texts that a model is to embed, and how to ask it. For workers, under the lease of a job.

state: work; wait, for wait_seconds, while the model is left alone or another embedding table comes
into use; restore, for restore_table_vectors(), where the model was left; or done. alone: to be sent
by itself, for a batch with it in failed. cached: chunks whose text was embedded before, and which
have their vectors now. waiting: chunks in the queue.
Needs data:write. Raises PT404 embedding_model_not_found, PT409 lease_required.$$;
