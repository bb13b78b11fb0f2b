-- Which embedding models there are: registered and dropped by an operator, for all organizations.
-- Each has a queue of chunks to embed, see 80_vectorizers.sql, and, unless its vectors replace the
-- table's, HNSW indexes of its own.

create or replace function ragdb_data._model_options(p_options jsonb)
  returns jsonb
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  c_defaults constant jsonb := '{
    "batch_size": 32, "concurrency": 4, "timeout": 30, "requests_per_minute": null,
    "tokens_per_minute": null, "price_per_million": 0, "query_prefix": "", "passage_prefix": "",
    "shorten": false, "confidence": null}';
  v_wrong text;
begin
  if jsonb_typeof(p_options) is distinct from 'object' then
    v_wrong := 'they are no JSON object';
  else
    select string_agg(format('%s is no option, or not of its kind', o.key), ', ') into v_wrong
      from jsonb_each(p_options) o
     where not c_defaults ? o.key
        or o.value <> 'null'
           and case
             when o.key like '%prefix' then
               jsonb_typeof(o.value) <> 'string' or length(o.value #>> '{}') > 1000
             when o.key = 'shorten' then jsonb_typeof(o.value) <> 'boolean'
             when o.key = 'confidence' then
               not o.value @? 'strict $ ? (@.size() == 3)'
               or o.value @? 'strict $[*] ? (@.type() != "number")'
             else
               jsonb_typeof(o.value) <> 'number'
               or o.value @? '$ ? (@ < 0 || @ > 1000000000)'
               or o.key not in ('timeout', 'price_per_million') and o.value::text ~ '\D'
           end;
  end if;
  if v_wrong is not null then
    raise exception 'The options are not valid: %.', v_wrong
      using errcode = 'PT422',
            constraint = 'invalid_option',
            hint = 'Options: ' || (select string_agg(k, ', ' order by k)
                                     from jsonb_object_keys(c_defaults) k);
  end if;
  return c_defaults || jsonb_strip_nulls(p_options);
end;
$$;

comment on function ragdb_data._model_options(jsonb) is
$$The options of a model, completed by their defaults; raises PT422 invalid_option.$$;

create or replace function ragdb.register_embedding_model(
  p_name text,
  p_protocol text,
  p_url text,
  p_model text,
  p_dimensions int4,
  p_table text default null,
  p_api_key_name text default null,
  p_options jsonb default '{}')
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_options jsonb := ragdb_data._model_options(p_options);
  v_confidence float8[] := array(
    select c.value::text::float8
      from jsonb_array_elements(nullif(v_options -> 'confidence', 'null'))
             with ordinality c(value, ordinal)
     order by c.ordinal);
  v_model_no int4;
  v_vectorizer_id int4;
begin
  perform set_config('role', 'ragdb_owner', true);
  perform pg_advisory_xact_lock(hashtextextended('ragdb.register_embedding_model', 0));
  if exists (select from ragdb_data.embedding_model m where m.name = p_name) then
    raise exception 'There is an embedding model % already.', p_name
      using errcode = 'PT409',
            constraint = 'embedding_model_exists',
            hint = 'Register it by another name, and switch to that one.';
  elsif p_name = 'table' then
    raise exception 'The name table stands for the table in the database.'
      using errcode = 'PT422', constraint = 'invalid_embedding_model', hint = 'Choose another.';
  elsif p_table is not null
     and not exists (select from ragdb_data.embedding_table_version t where t.model = p_table) then
    raise exception 'There is no embedding table %.', p_table
      using errcode = 'PT422',
            constraint = 'unknown_embedding_table',
            hint = 'Tables: ' || (select string_agg(t.model, ', ' order by t.version)
                                    from ragdb_data.embedding_table_version t);
  end if;
  begin
    insert into ragdb_data.embedding_model (
      name, protocol, url, model, dimensions, table_model, api_key_name, batch_size, concurrency,
      timeout_seconds, requests_per_minute, tokens_per_minute, price_per_million, query_prefix,
      passage_prefix, shorten, confidence)
    values (
      p_name, p_protocol, p_url, p_model, p_dimensions, p_table, p_api_key_name,
      (v_options ->> 'batch_size')::int4, (v_options ->> 'concurrency')::int4,
      (v_options ->> 'timeout')::float8, (v_options ->> 'requests_per_minute')::int4,
      (v_options ->> 'tokens_per_minute')::int4, (v_options ->> 'price_per_million')::float8,
      v_options ->> 'query_prefix', v_options ->> 'passage_prefix',
      (v_options ->> 'shorten')::boolean,
      case when v_confidence <> '{}' then v_confidence
           when p_table is null then '{6.36, 0, -4.22}'  -- that of the keyword leg alone
           else '{4.12, 13.93, -8.29}' end)
    returning model_no into v_model_no;
  exception
    when check_violation or not_null_violation then
      raise exception 'That is no embedding model that could be asked: %', sqlerrm
        using errcode = 'PT422',
              constraint = 'invalid_embedding_model',
              hint = 'Name: letters, digits and _. Protocol: openai, ollama, tei or local. URL:'
                     ' http:// or https://, or local:. Dimensions: 1 to 4000, 256 with a table.'
                     ' A key is named like OPENAI_API_KEY.';
  end;
  insert into ragdb_data.embedding_rate (model_no, requests, tokens)
  values (v_model_no, coalesce((v_options ->> 'requests_per_minute')::float8, 0),
          coalesce((v_options ->> 'tokens_per_minute')::float8, 0));
  v_vectorizer_id := ragdb_private.create_vectorizer(
    p_name, p_protocol, p_url, p_model, p_dimensions, p_api_key_name,
    (v_options ->> 'batch_size')::int4);
  update ragdb_data.embedding_model m
     set vectorizer_id = v_vectorizer_id
   where m.model_no = v_model_no;
  perform ragdb_private.repair_vectorizer(v_vectorizer_id, v_model_no);
  if p_table is null then
    perform ragdb_private.index_model(v_model_no, p_dimensions);
  end if;
  perform set_config('role', 'none', true);
  return v_model_no;
end;
$$;

comment on function ragdb.register_embedding_model(
  text, text, text, text, int4, text, text, jsonb) is
$$Make an embedding model known to all organizations, none of which uses it yet.

For operators (ragdb_admin) whose login may act as ragdb_owner. A vectorizer of pgai keeps the queue
of chunks that the model is to embed; `ragdb worker` does the work. Writers wait for a moment,
searches do not.
p_protocol: openai (any `/v1/embeddings`), ollama (`/api/embed`), tei (`/embed`), or local, the
transformer of the extra ragdb[local] inside the worker, with the URL local:. p_url: the base of the
endpoint. p_model: what the endpoint calls it. p_dimensions: 1 to 4000.
p_table: the name of the embedding table in whose space the model's vectors are. They replace the
table's in place, and queries are embedded by the table as before. Without it the model has vectors
of its own and embeds queries too.
p_api_key_name: the environment variable of worker and service that holds the key, as in
OPENAI_API_KEY, or, with _FILE appended, names a file that does. The key itself is never in the
database.
p_options: batch_size 32, concurrency 4, timeout 30 (seconds), requests_per_minute,
tokens_per_minute, price_per_million (tokens), query_prefix, passage_prefix, shorten (true: ask for
vectors of p_dimensions, of a model that has longer ones), confidence (its three constants).
Example: select ragdb.register_embedding_model('small', 'openai', 'https://api.openai.com/v1',
'text-embedding-3-small', 1536, p_api_key_name => 'OPENAI_API_KEY', p_options =>
'{"price_per_million": 0.02, "requests_per_minute": 3000}');
Raises PT409 embedding_model_exists, PT422 invalid_embedding_model, invalid_option or
unknown_embedding_table.$$;

create or replace function ragdb.drop_embedding_model(p_name text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_model ragdb_data.embedding_model;
  v_organizations int8;
  v_index regclass;
begin
  perform set_config('role', 'ragdb_owner', true);
  select m.* into v_model from ragdb_data.embedding_model m where m.name = p_name for update;
  if not found then
    raise exception 'There is no embedding model %.', p_name
      using errcode = 'PT404',
            constraint = 'embedding_model_not_found',
            hint = 'select name from ragdb.embedding_models;';
  end if;
  select count(*) into v_organizations
    from ragdb_data.organization_model m
   where m.model_no = v_model.model_no
     and (m.serves
          or v_model.table_model is not null
             and exists (select from ragdb_data.chunk_vector v
                          where v.org_no = m.org_no and v.model_no = m.model_no));
  if v_organizations > 0 then
    raise exception '% organizations are searched with the vectors of %.', v_organizations, p_name
      using errcode = 'PT409',
            constraint = 'embedding_model_in_use',
            hint = 'Let them switch to another and leave it: ragdb model switch, ragdb model leave.'
                   ' Where it wrote over the table''s, `ragdb worker` has to put those back.';
  end if;
  delete from ragdb_data.model_vector v where v.model_no = v_model.model_no;
  delete from ragdb_data.embedding_cache c where c.model_no = v_model.model_no;
  delete from ragdb_data.query_embedding c where c.model_no = v_model.model_no;
  delete from ragdb_data.embedding_circuit c where c.model_no = v_model.model_no;
  delete from ragdb_data.embedding_usage u where u.model_no = v_model.model_no;
  perform ragdb_private.lock_models();
  for v_index in
    select i.indexrelid::regclass
      from pg_inherits h
      join pg_index i on i.indrelid = h.inhrelid
      join pg_class c on c.oid = i.indexrelid
     where h.inhparent = 'ragdb_data.model_vector'::regclass
       and c.relname ~ ('_hnsw_' || v_model.model_no || '$')
  loop
    execute format('drop index %s', v_index);
  end loop;
  perform ai.drop_vectorizer(v_model.vectorizer_id);
  delete from ragdb_data.embedding_model m where m.model_no = v_model.model_no;
  perform set_config('role', 'none', true);
end;
$$;

comment on function ragdb.drop_embedding_model(text) is
$$Forget a model: its vectors, queue, failures, cache and usage, of all organizations.

For operators (ragdb_admin) whose login may act as ragdb_owner. Raises PT404
embedding_model_not_found, PT409 embedding_model_in_use while searches use its vectors.$$;
