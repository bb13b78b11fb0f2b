-- Queries of models with a space of their own. No transaction waits for the network: the query is
-- asked for first, embedded, and its vector kept for a while; a search finds it there. Without one
-- a search uses the table, and never fails for want of a model.

create or replace function ragdb_data._search_model(p_org_no int4, p_config jsonb)
  returns int4
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_found record;
begin
  -- No policy to evaluate: nearly free where there is no model.
  if not exists (select from ragdb_data.embedding_model) then
    return null;
  end if;
  select m.model_no, e.table_model into v_found
    from ragdb_data.organization_model m
    join ragdb_data.embedding_model e on e.model_no = m.model_no
   where m.org_no = p_org_no
     and case when p_config ? 'model' then e.name = p_config ->> 'model' else m.serves end;
  return case
    when v_found.model_no is null then ragdb_data._table_only(p_org_no)
    when v_found.table_model is null then v_found.model_no end;
end;
$$;

comment on function ragdb_data._search_model(int4, jsonb) is
$$What searches use, or a configuration names: a model with a space of its own; the table's vectors
alone, below 0, while a model's are in the place of some; null for the vectors as they are.$$;

create or replace function ragdb_data._query_vector(
  p_org_no int4, p_words text, p_config jsonb, out model_no int4, out embedding public.halfvec)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  model_no := ragdb_data._search_model(p_org_no, p_config);
  if model_no > 0 then
    embedding := (select k.embedding
                    from ragdb_data.query_embedding k
                   where k.org_no = p_org_no
                     and k.user_no = ragdb.current_user_no()
                     and k.model_no = _query_vector.model_no
                     and k.sha256 = ragdb_data._query_hash(p_words));
    if embedding is null then
      model_no := ragdb_data._table_only(p_org_no);
      raise notice 'The query has not been embedded by the model in use: the table stands in.'
        using hint = 'begin_query_embedding() and finish_query_embedding() do that.';
    end if;
  end if;
  if coalesce(model_no, -1) < 0 then
    embedding := ragdb.embed(p_words);
  end if;
end;
$$;

comment on function ragdb_data._query_vector(int4, text, jsonb) is
$$The vector a query is searched with, and what it is searched among, as _search_model() says; the
table's where the query has not been embedded by the model in use.$$;

create or replace function ragdb_data._query_hash(p_words text)
  returns bytea
  language sql
  immutable
  security invoker
  parallel safe
  set search_path = pg_catalog, pg_temp
as $$
  select sha256(convert_to(regexp_replace(btrim(p_words), '\s+', ' ', 'g'), 'UTF8'))
$$;

comment on function ragdb_data._query_hash(text) is
$$What a query's words are known by, however they are spaced.$$;

create or replace function ragdb.begin_query_embedding(
  p_queries text[], p_model text default null)
  returns table (model jsonb, queries text[], texts text[])
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
  v_model ragdb_data.embedding_model;
  v_model_no int4;
begin
  if p_model is null then
    v_model_no := ragdb_data._search_model(v_org, null);
    if coalesce(v_model_no, -1) < 0 then
      return;
    end if;
    select e.* into v_model from ragdb_data.embedding_model e where e.model_no = v_model_no;
  else
    v_model := ragdb_data._used_model(v_org, p_model);
    if v_model.table_model is not null then
      return;
    end if;
  end if;
  if exists (select
               from ragdb_data.embedding_circuit c
              where c.org_no = v_org
                and c.model_no = v_model.model_no
                and c.open_until > clock_timestamp()) then
    return;
  end if;
  select array_agg(q.query), array_agg(v_model.query_prefix || q.words) into queries, texts
    from (select distinct on (ragdb_data._query_hash(w.words)) u.query, w.words
            from unnest(p_queries) u(query)
           cross join lateral (
             select regexp_replace(btrim(ragdb_data._query_text(u.query)), '\s+', ' ', 'g')
                      as words
             offset 0) w
           where length(u.query) <= 10000 and w.words <> '') q
   where not exists (select
                       from ragdb_data.query_embedding k
                      where k.org_no = v_org
                        and k.user_no = ragdb.current_user_no()
                        and k.model_no = v_model.model_no
                        and k.sha256 = ragdb_data._query_hash(q.words)
                        and k.used_at > now() - interval '1 day');
  if queries is not null then
    model := ragdb_data._endpoint(v_model);
    return next;
  end if;
end;
$$;

comment on function ragdb.begin_query_embedding(text[], text) is
$$What the model in use is to embed before these queries are searched for; no row where nothing is.

There is nothing to embed while searches use the table, for queries of the caller that were embedded
in the last day, or while the model is left alone after failures. queries belong to texts; pass them
on to finish_query_embedding(). p_model: another model that the organization uses.
search(), ask() and evaluate() then find the vector; without it they use the table and say so in a
notice. Needs rag:read. Raises PT404 embedding_model_not_found.$$;

create or replace function ragdb.finish_query_embedding(
  p_name text, p_queries text[], p_embeddings text[], p_tokens int8 default 0)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:read');
  v_user_no int4 := ragdb.current_user_no();
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
  v_embeddings public.halfvec[] := ragdb_data._checked_embeddings(v_model, p_embeddings);
begin
  if cardinality(p_queries) is distinct from cardinality(p_embeddings) then
    raise exception 'There is not one vector for each query.'
      using errcode = 'PT422',
            constraint = 'invalid_embeddings',
            hint = 'Pass on the queries of begin_query_embedding().';
  end if;
  insert into ragdb_data.query_embedding as k (org_no, user_no, model_no, sha256, embedding)
  select distinct on (q.hash) v_org, v_user_no, v_model.model_no, q.hash, q.embedding
    from (select ragdb_data._query_hash(ragdb_data._query_text(u.query)) as hash, u.embedding
            from unnest(p_queries, v_embeddings) u(query, embedding)) q
  on conflict on constraint query_embedding_pkey do update
     set embedding = excluded.embedding, used_at = excluded.used_at;
  perform ragdb_data._count_usage(
    v_org, v_model.model_no, 1, cardinality(p_queries), 0, p_tokens);
  perform ragdb_data._close_circuit(v_org, v_model.model_no);
end;
$$;

comment on function ragdb.finish_query_embedding(text, text[], text[], int8) is
$$Keep the vectors of queries that begin_query_embedding() asked for, for the caller and a day.

Needs rag:read. Raises PT404 embedding_model_not_found, PT422 invalid_embeddings.$$;

create or replace function ragdb.fail_query_embedding(p_name text, p_error text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:read');
  v_model ragdb_data.embedding_model := ragdb_data._used_model(v_org, p_name);
begin
  perform ragdb_data._open_circuit(v_org, v_model.model_no, p_error, null);
end;
$$;

comment on function ragdb.fail_query_embedding(text, text) is
$$A query could not be embedded. After three failures in a row the model is left alone for a while,
and searches use the table at once. Needs rag:read. Raises PT404 embedding_model_not_found.$$;

create or replace function ragdb_data._forget_embeddings(p_limit int4)
  returns int8
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
declare
  v_org int4 := ragdb.current_org_no();
  v_queries int8;
  v_texts int8;
begin
  delete from ragdb_data.query_embedding k
   using (select o.user_no, o.model_no, o.sha256
            from ragdb_data.query_embedding o
           where o.org_no = v_org and o.used_at < now() - interval '1 day'
           limit p_limit
             for update skip locked) o
   where k.org_no = v_org
     and k.user_no = o.user_no
     and k.model_no = o.model_no
     and k.sha256 = o.sha256;
  get diagnostics v_queries = row_count;
  delete from ragdb_data.embedding_cache k
   using (select o.scope_no, o.model_no, o.sha256
            from ragdb_data.embedding_cache o
           where o.org_no = v_org
             and o.used_at < now() - case o.chunk_no when 0 then interval '1 day'
                                       else interval '30 days' end
           limit p_limit
             for update skip locked) o
   where k.org_no = v_org
     and k.scope_no = o.scope_no
     and k.model_no = o.model_no
     and k.sha256 = o.sha256;
  get diagnostics v_texts = row_count;
  return v_queries + v_texts;
end;
$$;

comment on function ragdb_data._forget_embeddings(int4) is
$$Remove vectors of the caller's queries after a day, and of texts from the cache after 30 days, or
a day when their chunks are gone; returns how many.$$;
