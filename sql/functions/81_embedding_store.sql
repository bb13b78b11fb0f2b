-- Texts on their way to a model and vectors on their way back; what a request cost, and whether the
-- model is to be left alone for a while.

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
    perform ragdb_data._keep_table_vectors(v_org, v_version, v_chunks);
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
