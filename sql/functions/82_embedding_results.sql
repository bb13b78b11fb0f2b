-- What a worker brings back from a model, and what becomes of it.

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
  -- The table's too, of any version, that a model's have taken the place of.
  v_models := v_models || array(select generate_series(-max(t.version), -1)
                                  from ragdb_data.embedding_table_version t);
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
