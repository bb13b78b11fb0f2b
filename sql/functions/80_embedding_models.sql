-- Which embedding models there are: registered and dropped by an operator, for all organizations.
--
-- pgai's create_vectorizer() makes the queue, the table of failures and the trigger on the chunks,
-- and what it makes is put right at once: the trigger fires for a text's own changes and for
-- organizations that use the model only, its function belongs to ragdb_definer, queue and failures
-- are behind row level security as partitions of our tables, and who waits is told. The target and
-- the view that pgai makes, which would show every organization's texts to all, are dropped.

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

create or replace function ragdb_data._embeds(p_org_no int4, p_model_no int4)
  returns boolean
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
  set enable_seqscan = off
as $$
begin
  return exists (select
                   from ragdb_data.organization_model m
                  where m.org_no = p_org_no and m.model_no = p_model_no and m.is_active);
end;
$$;

comment on function ragdb_data._embeds(int4, int4) is
$$Whether a model embeds the chunks of an organization: asked by the trigger for every new one.$$;

create or replace function ragdb_private.create_vectorizer(
  p_name text, p_protocol text, p_url text, p_model text, p_dimensions int4,
  p_api_key_name text, p_batch_size int4)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  -- pgai's own worker is not used. What it is told is true where it knows the protocol.
  return ai.create_vectorizer(
    'ragdb_data.chunk'::regclass,
    name => 'ragdb_' || p_name,
    loading => ai.loading_column('content'),
    parsing => ai.parsing_none(),
    chunking => ai.chunking_none(),
    formatting => ai.formatting_python_template('$chunk'),
    destination => ai.destination_table(
      target_schema => 'ragdb_data', target_table => '_pgai_store',
      view_schema => 'ragdb_data', view_name => '_pgai_view'),
    embedding => case p_protocol
      when 'ollama' then ai.embedding_ollama(p_model, p_dimensions, base_url => p_url)
      else ai.embedding_openai(
             p_model, p_dimensions, api_key_name => coalesce(p_api_key_name, 'NO_API_KEY'),
             base_url => p_url) end,
    indexing => ai.indexing_none(),
    scheduling => ai.scheduling_none(),
    processing => ai.processing_default(batch_size => least(p_batch_size, 2048)),
    grant_to => null,
    enqueue_existing => false);
end;
$$;

comment on function ragdb_private.create_vectorizer(text, text, text, text, int4, text, int4) is
$$A vectorizer of pgai on the chunks, as pgai makes it; returns its id.$$;

create or replace function ragdb_private.repair_vectorizer(p_vectorizer_id int4, p_model_no int4)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v ai.vectorizer;
  v_definition text;
  v_function text := '_embed_' || p_model_no;
  v_columns text;
begin
  select * into strict v from ai.vectorizer z where z.id = p_vectorizer_id;
  drop view ragdb_data._pgai_view;
  drop table ragdb_data._pgai_store;

  -- The variant of the function that knows no target, owned by ragdb_definer: the owner of tables
  -- runs nothing while requests do. Triggers are replaced, never dropped, which would lock out
  -- readers.
  v_definition := ai._vectorizer_build_trigger_definition(
    v.queue_schema, v.queue_table, null, null, v.source_schema, v.source_table, v.source_pk);
  grant usage, create on schema ai to ragdb_definer;
  grant select on ai.vectorizer to ragdb_definer;
  execute format('grant insert on ai.%I to ragdb_definer', v.queue_table);
  perform set_config('role', 'ragdb_definer', true);
  execute format(
    'create function ai.%I() returns trigger language plpgsql volatile security definer'
    ' set search_path to pg_catalog, pg_temp as %L', v_function, v_definition);
  execute format('revoke all on function ai.%I() from public', v_function);
  execute format('grant execute on function ai.%I() to ragdb_owner', v_function);
  perform set_config('role', 'ragdb_owner', true);
  revoke create on schema ai from ragdb_definer;

  select string_agg(format('%I', c.name), ', ' order by c.name) into v_columns
    from (select x.value ->> 'attname' as name from jsonb_array_elements(v.source_pk) x
          union
          select v.config -> 'loading' ->> 'column_name') c;
  execute format(
    'create or replace trigger %I after insert or update of %s on ragdb_data.chunk for each row'
    ' when (ragdb_data._embeds(new.org_no, %s)) execute function ai.%I()',
    v.trigger_name, v_columns, p_model_no, v_function);
  execute format(
    'create or replace trigger %I after truncate on ragdb_data.chunk'
    ' for each statement execute function ai.%I()', v.trigger_name || '_truncate', v_function);
  execute format('drop function ai.%I()', v.trigger_name);
  execute format(
    'create trigger notify_waiting after insert on ai.%I'
    ' for each statement execute function ragdb_private.notify_queue()', v.queue_table);

  execute format('alter table ai.%I add column model_no int2 not null default %s',
                 v.queue_table, p_model_no);
  execute format('alter table ai.%I add column model_no int2 not null default %s',
                 v.queue_failed_table, p_model_no);
  execute format('alter table ai.%I alter column failure_step set statistics 0',
                 v.queue_failed_table);
  execute format('alter table ragdb_data.embedding_queue attach partition ai.%I'
                 ' for values in (%s)', v.queue_table, p_model_no);
  execute format('alter table ragdb_data.embedding_failure attach partition ai.%I'
                 ' for values in (%s)', v.queue_failed_table, p_model_no);
  perform ragdb_private.protect_queue(format('ai.%I', v.queue_table)::regclass, true);
  perform ragdb_private.protect_queue(format('ai.%I', v.queue_failed_table)::regclass, false);
end;
$$;

comment on function ragdb_private.repair_vectorizer(int4, int4) is
$$Put right what pgai makes: see the head of this file.$$;

create or replace function ragdb_private.index_model(p_model_no int4, p_dimensions int4)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_partition name;
begin
  for v_partition in
    select c.relname
      from pg_inherits i
      join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'ragdb_data.model_vector'::regclass
     order by c.relname
  loop
    execute format(
      'create index %I on ragdb_data.%I'
      ' using hnsw ((embedding::public.halfvec(%s)) public.halfvec_cosine_ops)'
      ' with (m = 16, ef_construction = 64) where model_no = %s and is_indexed',
      v_partition || '_hnsw_' || p_model_no, v_partition, p_dimensions, p_model_no);
  end loop;
end;
$$;

comment on function ragdb_private.index_model(int4, int4) is
$$HNSW indexes of a model's vectors, one for each partition.$$;

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

create or replace function ragdb_private.lock_models()
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  for v_attempt in 1 .. 500 loop
    begin
      perform set_config('lock_timeout', '1500ms', true);
      lock table ragdb_data.chunk in access exclusive mode;
      perform set_config('lock_timeout', '100ms', true);
      lock table ragdb_data.model_vector, ragdb_data.embedding_queue, ragdb_data.embedding_failure
        in access exclusive mode;
      perform set_config('lock_timeout', '0', true);
      return;
    exception
      when lock_not_available or deadlock_detected then
        perform pg_sleep(0.02 + 0.2 * random());
    end;
  end loop;
  raise exception 'Running queries keep the chunks locked.'
    using errcode = 'PT503',
          constraint = 'busy',
          hint = 'Try later, or end them: table pg_stat_activity;';
end;
$$;

comment on function ragdb_private.lock_models() is
$$Lock what a model is taken out of, all at once or not at all, and give way to running queries: one
by one the locks would cross theirs. Raises PT503 busy.$$;

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
            hint = 'Let them switch or roll back first: ragdb model rollback';
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
