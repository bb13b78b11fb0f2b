-- Row level security of embedding models. The queues belong to pgai's vectorizers and stand in its
-- schema, where no request can reach them; they are read and written as partitions of ours, under
-- our policies. Those on the queues themselves are for the day somebody grants something there.

create or replace function ragdb_private.protect_queue(p_table regclass, p_definer boolean)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform ragdb_private.protect(
    p_table, 'org_no = (select ragdb.current_org_no())', p_definer,
    format('(select ragdb_data._may(%L))', 'data:write'));
end;
$$;

comment on function ragdb_private.protect_queue(regclass, boolean) is
$$Row level security of a queue of chunks, or of what failed.

p_definer: for a queue that pgai's trigger function writes.$$;

do $$
declare
  c_org constant text := 'org_no = (select ragdb.current_org_no())';
  c_scope constant text := c_org || ' and scope_no = any ((select ragdb.current_scopes())::int4[])';
  c_own constant text := c_org || ' and user_no = (select ragdb.current_user_no())';
  c_nobody constant text := '(select ragdb.current_org_no()) is null';
  c_may constant text := '(select ragdb_data._may(%L))';
  v_table text;
  v_definer boolean;
begin
  for v_table, v_definer in
    select p.name, false
      from unnest('{ragdb_data.embedding_queue,ragdb_data.embedding_failure}'::text[]) p(name)
    union all
    select i.inhrelid::regclass::text, i.inhparent = 'ragdb_data.embedding_queue'::regclass
      from pg_inherits i
     where i.inhparent in ('ragdb_data.embedding_queue'::regclass,
                           'ragdb_data.embedding_failure'::regclass)
     order by 1
  loop
    perform ragdb_private.protect_queue(v_table::regclass, v_definer);
  end loop;
  for v_table in
    select 'ragdb_data.model_vector'
    union all
    select i.inhrelid::regclass::text
      from pg_inherits i
     where i.inhparent = 'ragdb_data.model_vector'::regclass
     order by 1
  loop
    perform ragdb_private.protect(v_table::regclass, c_scope, false, format(c_may, 'data:write'));
  end loop;
  perform ragdb_private.protect('ragdb_data.embedding_cache', c_scope, false,
                                format(c_may, 'data:write'));
  perform ragdb_private.protect('ragdb_data.query_embedding', c_own, false,
                                format(c_may, 'rag:read'));
  foreach v_table in array '{embedding_circuit,embedding_usage}'::text[] loop
    -- Whoever asks has queries embedded; a job has the right to write alone.
    perform ragdb_private.protect(
      format('ragdb_data.%I', v_table), c_org, false,
      '(' || format(c_may, 'rag:read') || ' or ' || format(c_may, 'data:write') || ')');
  end loop;
  -- A model is used as oneself. How far it is, its job notes.
  perform ragdb_private.protect(
    'ragdb_data.organization_model', c_org, false,
    '(' || format(c_may, 'rag:config') || ' or ' || format(c_may, 'data:write') || ')');
  drop policy may_insert on ragdb_data.organization_model;
  execute format(
    'create policy may_insert on ragdb_data.organization_model as restrictive for insert'
    ' to ragdb_service, ragdb_admin with check (%s'
    ' and (org_no, user_no, permissions)'
    ' = (select c.org_no, c.user_no, c.permissions from ragdb.context() c))',
    format(c_may, 'rag:config'));
  foreach v_table in array '{organization_model,embedding_queue}'::text[] loop
    execute format('drop policy if exists worker on ragdb_data.%I', v_table);
    execute format('create policy worker on ragdb_data.%I for select to ragdb_worker using (%s)',
                   v_table, c_nobody);
  end loop;
  -- The same for everybody, or for nobody but workers.
  perform ragdb_private.protect('ragdb_data.embedding_model', 'true', false);
  perform ragdb_private.protect('ragdb_data.embedding_rate', 'false', false);
  drop policy tenant on ragdb_data.embedding_rate;
  drop policy if exists worker on ragdb_data.embedding_rate;
  execute format('create policy worker on ragdb_data.embedding_rate to ragdb_worker'
                 ' using (%1$s) with check (%1$s)', c_nobody);
end;
$$;
