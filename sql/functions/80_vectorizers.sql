-- Queues of embedding models: pgai's vectorizers on the chunks, put right.
--
-- pgai's create_vectorizer() makes the queue, the table of failures and the trigger on the chunks,
-- and what it makes is put right at once: the trigger fires for a text's own changes and for
-- organizations that use the model only, its function belongs to ragdb_definer, queue and failures
-- are behind row level security as partitions of our tables, and who waits is told. The target and
-- the view that pgai makes, which would show every organization's texts to all, are dropped.

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
