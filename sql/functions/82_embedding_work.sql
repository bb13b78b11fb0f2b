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

create or replace function ragdb_data._embedding_texts(
  p_org_no int4, p_chunks int8[], p_prefix text)
  returns table (chunk_no int8, scope_no int4, body_no int8, content text, sha256 bytea)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return query
  select t.chunk_no, t.scope_no, t.body_no, t.content, sha256(convert_to(t.content, 'UTF8'))
    from (select c.chunk_no, c.scope_no, c.body_no,
                 p_prefix || case b.title when '' then '' else b.title || '. ' end
                 || c.content as content
            from ragdb_data.chunk c
           cross join lateral (
             select rtrim(ragdb_data._full_title(t.title, c.heading_path), ' .') as title
               from ragdb_data.body t
              where t.org_no = p_org_no and t.body_no = c.body_no
             offset 0) b
           where c.org_no = p_org_no
             and c.chunk_no = any (p_chunks)
             and c.content ~ '\S'
          offset 0) t;
end;
$$;

comment on function ragdb_data._embedding_texts(int4, int8[], text) is
$$What models are given of chunks: titles, headings and text after a prefix, and its hash; no row
for a chunk that is gone or blank.$$;

create or replace function ragdb_data._store_embeddings(
  p_model ragdb_data.embedding_model, p_chunks int8[], p_hashes bytea[],
  p_embeddings public.halfvec[])
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  c_small constant int4 := 2000;
  v_org int4 := ragdb.current_org_no();
  v_version int4 := ragdb_data._embedding_version();
  v_chunks int8[];
  v_scopes int4[];
  v_bodies int8[];
  v_hashes bytea[];
  v_embeddings public.halfvec[];
  v_is_large boolean;
begin
  -- Whoever deletes one of these chunks meanwhile waits, and then finds the vector too.
  perform from ragdb_data.chunk c
    where c.org_no = v_org and c.chunk_no = any (p_chunks)
      for key share;
  select array_agg(t.chunk_no), array_agg(t.scope_no), array_agg(t.body_no),
         array_agg(t.sha256), array_agg(u.embedding)
    into v_chunks, v_scopes, v_bodies, v_hashes, v_embeddings
    from unnest(p_chunks, p_hashes, p_embeddings) u(chunk_no, sha256, embedding)
    join ragdb_data._embedding_texts(v_org, p_chunks, p_model.passage_prefix) t
      on t.chunk_no = u.chunk_no and t.sha256 = u.sha256;

  if p_model.table_model is null then
    v_is_large := (
      select count(*) > c_small
        from (select
                from ragdb_data.model_vector v
               where v.org_no = v_org and v.model_no = p_model.model_no
               limit c_small + 1) few);
    insert into ragdb_data.model_vector as v (
      org_no, model_no, scope_no, chunk_no, body_no, is_indexed, embedding)
    select v_org, p_model.model_no, u.scope_no, u.chunk_no, u.body_no, v_is_large, u.embedding
      from unnest(v_scopes, v_chunks, v_bodies, v_embeddings)
             u(scope_no, chunk_no, body_no, embedding)
    on conflict (org_no, model_no, chunk_no) do update set embedding = excluded.embedding;
  else
    insert into ragdb_data.chunk_vector as v (
      org_no, version, scope_no, chunk_no, body_no, model_no, embedding)
    select v_org, v_version, u.scope_no, u.chunk_no, u.body_no, p_model.model_no, u.embedding
      from unnest(v_scopes, v_chunks, v_bodies, v_embeddings)
             u(scope_no, chunk_no, body_no, embedding)
    on conflict (org_no, version, chunk_no) do update
       set embedding = excluded.embedding, model_no = excluded.model_no;
  end if;

  insert into ragdb_data.embedding_cache as k (
    org_no, scope_no, model_no, sha256, chunk_no, embedding)
  select distinct on (u.scope_no, u.sha256)
         v_org, u.scope_no, p_model.model_no, u.sha256, u.chunk_no, u.embedding
    from unnest(v_scopes, v_hashes, v_chunks, v_embeddings)
           u(scope_no, sha256, chunk_no, embedding)
  on conflict on constraint embedding_cache_pkey do update
     set chunk_no = excluded.chunk_no, used_at = excluded.used_at;
  delete from ragdb_data.embedding_queue q
   where q.org_no = v_org and q.model_no = p_model.model_no and q.chunk_no = any (v_chunks);
  delete from ragdb_data.embedding_failure f
   where f.org_no = v_org and f.model_no = p_model.model_no and f.chunk_no = any (v_chunks);
  return coalesce(cardinality(v_chunks), 0);
end;
$$;

comment on function ragdb_data._store_embeddings(
  ragdb_data.embedding_model, int8[], bytea[], public.halfvec[]) is
$$Store vectors of chunks whose text still has the hash given, and take these out of the queue;
returns how many. A vector enters HNSW where the model has more than an exact scan is fast for.$$;

create or replace function ragdb_data._count_usage(
  p_org_no int4, p_model_no int4, p_requests int8, p_texts int8, p_cached int8, p_tokens int8)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  insert into ragdb_data.embedding_usage as u (
    org_no, model_no, day, requests, texts, cached, tokens)
  values (p_org_no, p_model_no, (now() at time zone 'UTC')::date,
          p_requests, p_texts, p_cached, p_tokens)
  on conflict on constraint embedding_usage_pkey do update
     set requests = u.requests + excluded.requests,
         texts = u.texts + excluded.texts,
         cached = u.cached + excluded.cached,
         tokens = u.tokens + excluded.tokens;
end;
$$;

comment on function ragdb_data._count_usage(int4, int4, int8, int8, int8, int8) is
$$Add to what an organization has had of a model today (UTC).$$;

create or replace function ragdb_data._close_circuit(p_org_no int4, p_model_no int4)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  update ragdb_data.embedding_circuit c
     set failures = 0, open_until = null, error = null
   where c.org_no = p_org_no and c.model_no = p_model_no and c.failures > 0;
end;
$$;

comment on function ragdb_data._close_circuit(int4, int4) is
$$A model has answered: ask it as usual.$$;

create or replace function ragdb_data._open_circuit(
  p_org_no int4, p_model_no int4, p_error text, p_seconds float8)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_failures constant int4 := 3;
begin
  insert into ragdb_data.embedding_circuit as c (
    org_no, model_no, failures, open_until, error, failed_at)
  values (p_org_no, p_model_no, 1, now() + make_interval(secs => p_seconds), left(p_error, 500),
          now())
  on conflict on constraint embedding_circuit_pkey do update
     set failures = c.failures + 1,
         -- Doubling from 5 seconds to 10 minutes, once it has failed three times in a row.
         open_until = now() + make_interval(secs => coalesce(
           p_seconds,
           case when c.failures + 1 >= c_failures
             then least(5.0::float8 * 2.0::float8 ^ least(c.failures + 1 - c_failures, 10),
                        600.0::float8) end)),
         error = excluded.error,
         failed_at = excluded.failed_at;
end;
$$;

comment on function ragdb_data._open_circuit(int4, int4, text, float8) is
$$A model has failed: after three times in a row, or for p_seconds, it is left alone.$$;

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
into use; or done. alone: to be sent by itself, for a batch with it in failed. cached: chunks whose
text was embedded before, and which have their vectors now. waiting: chunks in the queue.
Needs data:write. Raises PT404 embedding_model_not_found, PT409 lease_required.$$;

create or replace function ragdb_data._endpoint(p_model ragdb_data.embedding_model)
  returns jsonb
  language sql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
           'model_no', p_model.model_no, 'name', p_model.name, 'protocol', p_model.protocol,
           'url', p_model.url, 'model', p_model.model, 'dimensions', p_model.dimensions,
           'api_key_name', p_model.api_key_name, 'batch_size', p_model.batch_size,
           'concurrency', p_model.concurrency, 'timeout', p_model.timeout_seconds,
           'shorten', p_model.shorten,
           'limited', p_model.requests_per_minute is not null
                      or p_model.tokens_per_minute is not null)
$$;

comment on function ragdb_data._endpoint(ragdb_data.embedding_model) is
$$How to ask a model.$$;

create or replace function ragdb_data._checked_embeddings(
  p_model ragdb_data.embedding_model, p_embeddings text[])
  returns public.halfvec[]
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_embeddings public.halfvec[];
begin
  begin
    v_embeddings := array(
      select public.l2_normalize(e.embedding::public.halfvec)
        from unnest(p_embeddings) with ordinality e(embedding, ordinal)
       order by e.ordinal);
  exception
    when data_exception then
      v_embeddings := null;
  end;
  if v_embeddings is null or exists (select
                                       from unnest(v_embeddings) e
                                      where public.vector_dims(e) <> p_model.dimensions
                                         or public.l2_norm(e) < 0.5::float8) then
    raise exception 'These are no vectors of % dimensions.', p_model.dimensions
      using errcode = 'PT422',
            constraint = 'invalid_embeddings',
            hint = 'Each is written like [0.1,-0.2,...].';
  end if;
  return v_embeddings;
end;
$$;

comment on function ragdb_data._checked_embeddings(ragdb_data.embedding_model, text[]) is
$$Vectors from their text, at unit length; raises PT422 invalid_embeddings.$$;

create or replace function ragdb.finish_embedding(
  p_name text, p_chunks int8[], p_hashes text[], p_embeddings text[],
  p_requests int4 default 1, p_tokens int8 default 0)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb_data._leased_org();
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  v_stored int8;
begin
  if cardinality(p_chunks) is distinct from cardinality(p_embeddings)
     or cardinality(p_chunks) is distinct from cardinality(p_hashes) then
    raise exception 'There is not one vector and one hash for each chunk.'
      using errcode = 'PT422',
            constraint = 'invalid_embeddings',
            hint = 'Pass on the chunks and hashes of begin_embedding().';
  end if;
  v_stored := ragdb_data._store_embeddings(
    v_model, p_chunks,
    array(select decode(h.hash, 'hex')
            from unnest(p_hashes) with ordinality h(hash, ordinal)
           order by h.ordinal),
    ragdb_data._checked_embeddings(v_model, p_embeddings));
  perform ragdb_data._count_usage(
    v_org, v_model.model_no, p_requests, cardinality(p_chunks), 0, p_tokens);
  perform ragdb_data._close_circuit(v_org, v_model.model_no);
  return v_stored;
end;
$$;

comment on function ragdb.finish_embedding(text, int8[], text[], text[], int4, int8) is
$$Store the vectors of texts that begin_embedding() gave; returns how many.

A chunk that is gone, or whose text has changed, is passed over. p_tokens: what the provider
counted. Needs data:write. Raises PT404 embedding_model_not_found, PT409 lease_required, PT422
invalid_embeddings.$$;

create or replace function ragdb.fail_embedding(
  p_name text, p_chunks int8[], p_error text, p_is_text boolean,
  p_seconds float8 default null)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_attempts constant int4 := 5;
  v_org int4 := ragdb_data._leased_org();
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  -- One text alone to blame: the model has answered others since it last failed.
  v_is_alone boolean := p_is_text
    or cardinality(p_chunks) = 1
       and p_seconds is null
       and not exists (select
                         from ragdb_data.embedding_circuit c
                        where c.org_no = v_org
                          and c.model_no = v_model.model_no
                          and c.failures > 0);
  v_failed int8;
begin
  update ragdb_data.embedding_queue q
     set loading_retries = case when v_is_alone then q.loading_retries + 1
                             else greatest(q.loading_retries, 1) end,
         loading_retry_after = clock_timestamp() + make_interval(
           secs => 5.0::float8 * 2.0::float8 ^ least(q.loading_retries, 6))
   where q.org_no = v_org
     and q.model_no = v_model.model_no
     and q.chunk_no = any (p_chunks)
     and not p_is_text;
  with failed as (
    delete from ragdb_data.embedding_queue q
     where q.org_no = v_org
       and q.model_no = v_model.model_no
       and q.chunk_no = any (p_chunks)
       and (p_is_text or q.loading_retries >= c_attempts)
    returning q.chunk_no)
  insert into ragdb_data.embedding_failure (org_no, model_no, chunk_no, failure_step)
  select distinct v_org, v_model.model_no, f.chunk_no, 'embed: ' || left(p_error, 500)
    from failed f;
  get diagnostics v_failed = row_count;
  if not p_is_text then
    perform ragdb_data._open_circuit(v_org, v_model.model_no, p_error, p_seconds);
  end if;
  return v_failed;
end;
$$;

comment on function ragdb.fail_embedding(text, int8[], text, boolean, float8) is
$$Chunks could not be embedded; returns how many are given up.

p_is_text: the model refuses the text itself, for good. Else the model has failed: its circuit
counts it, chunks are sent one by one from now on, and one that fails five times while others do not
is given up. p_seconds: how long to leave the model alone, where waiting alone cannot help.
Needs data:write. Raises PT404 embedding_model_not_found, PT409 lease_required.$$;

create or replace function ragdb_data._forget_model_vectors(p_org_no int4, p_chunks int8[])
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_models int4[] := array(select m.model_no from ragdb_data.organization_model m
                            where m.org_no = p_org_no);
begin
  if v_models = '{}' then
    return;
  end if;
  delete from ragdb_data.model_vector v
   where v.org_no = p_org_no and v.model_no = any (v_models) and v.chunk_no = any (p_chunks);
  delete from ragdb_data.embedding_queue q
   where q.org_no = p_org_no and q.chunk_no = any (p_chunks);
  delete from ragdb_data.embedding_failure f
   where f.org_no = p_org_no and f.model_no = any (v_models) and f.chunk_no = any (p_chunks);
  delete from ragdb_data.embedding_cache k
   where k.org_no = p_org_no and k.chunk_no = any (p_chunks);
end;
$$;

comment on function ragdb_data._forget_model_vectors(int4, int8[]) is
$$Remove what embedding models have of chunks that are deleted: vectors, queue, failures, cache.$$;
