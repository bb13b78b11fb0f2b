-- Row level security, made in one place. A row is the caller's when its organization is and, where
-- it has a scope, when that is readable.
--
-- The sub-selects are evaluated once a statement. ENABLE, never FORCE: forced, the owner's own
-- migrations would change no rows and say nothing; instead no request ever runs as the owner.

create or replace function ragdb_private.protect(
  p_table regclass, p_condition text, p_definer boolean, p_write text default null,
  p_check text default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_command text;
  v_policy text;
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('drop policy if exists tenant on %s', p_table);
  execute format('create policy tenant on %s using (%s) with check (%s)',
                 p_table, p_condition, coalesce(p_check, p_condition));
  execute format('drop policy if exists definer on %s', p_table);
  if p_definer then
    execute format(
      'create policy definer on %s to ragdb_definer using (true) with check (true)', p_table);
  end if;
  -- Functions refuse first and in words; these hold for whatever SQL reaches the service's login.
  foreach v_command in array '{insert,update,delete}'::text[] loop
    v_policy := 'may_' || v_command;
    execute format('drop policy if exists %I on %s', v_policy, p_table);
    if p_write is not null then
      execute format('create policy %I on %s as restrictive for %s'
                     ' to ragdb_service, ragdb_admin %s',
                     v_policy, p_table, v_command,
                     case when v_command <> 'insert' then format('using (%s) ', p_write) else '' end
                     || case when v_command <> 'delete' then format('with check (%s)', p_write)
                          else '' end);
    end if;
  end loop;
end;
$$;

comment on function ragdb_private.protect(regclass, text, boolean, text, text) is
$$Enable row level security on a table: a policy for requests, one for definer functions where they
need the table, and what a writer must be allowed.

p_check: what a new row must fulfil, if not what a readable one does.$$;

do $$
declare
  c_org constant text := 'org_no = (select ragdb.current_org_no())';
  c_scope constant text := c_org || ' and scope_no = any ((select ragdb.current_scopes())::int4[])';
  c_nobody constant text := '(select ragdb.current_org_no()) is null';
  c_own constant text := c_org || ' and user_no = (select ragdb.current_user_no())';
  c_visible constant text := c_org || ' and exists (select from ragdb_data.scope s'
    ' where s.org_no = %1$I.org_no and s.workspace_no = %1$I.workspace_no)';
  c_may constant text := '(select ragdb_data._may(%L))';
  c_key constant text := format(
    c_may || ' and (user_no = (select ragdb.current_user_no()) or ' || c_may || ')',
    'api:manage', 'user:manage');
  v_table text;
  v_command text;
  v_permission text;
begin
  foreach v_table in array '{organization,membership}'::text[] loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), c_org, true);
  end loop;
  perform ragdb_private.protect('ragdb_data.scope', c_scope, true);
  perform ragdb_private.protect('ragdb_data.workspace', format(c_visible, 'workspace'), true,
                                format(c_may, 'rag:config'), c_org);
  perform ragdb_private.protect('ragdb_data.workspace_member',
                                format(c_visible, 'workspace_member'), true,
                                format(c_may, 'user:manage'));
  perform ragdb_private.protect('ragdb_data.chunk_profile', format(c_visible, 'chunk_profile'),
                                false, format(c_may, 'rag:config'));
  perform ragdb_private.protect('ragdb_data.api_key', c_org, true, c_key);
  -- A revoked key stays revoked.
  drop policy may_update on ragdb_data.api_key;
  execute format('create policy may_update on ragdb_data.api_key as restrictive for update'
                 ' to ragdb_service, ragdb_admin'
                 ' using (%1$s) with check (%1$s and revoked_at is not null)', c_key);
  perform ragdb_private.protect(
    'ragdb_data.data_source',
    format(c_visible, 'data_source')
    || ' and scope_no = any ((select ragdb.current_scopes())::int4[])',
    false, format(c_may, 'data:write'));
  -- Where a source is read from is for those who may change it, and for the worker that reads it.
  perform ragdb_private.protect(
    'ragdb_data.source_setup', c_scope || ' and ' || format(c_may, 'rag:config'), false);
  drop policy if exists worker on ragdb_data.source_setup;
  execute format('create policy worker on ragdb_data.source_setup to ragdb_worker'
                 ' using (%1$s) with check (%1$s)', c_scope);
  foreach v_table in array
    '{source_item,sync_run,sync_error,'
    'body,document,document_fact,original,posting,dead_chunk,segment,segment_posting,slot,'
    'chunk,chunk_word,chunk_vector,spelling,spelled_segment,scope_language}'::text[]
  loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), c_scope, false,
                                  format(c_may, 'data:write'));
  end loop;
  perform ragdb_private.protect('ragdb_data.synonym', c_scope, false,
                                format(c_may, 'rag:config'));
  for v_table in
    select i.inhrelid::regclass::text
      from pg_inherits i
     where i.inhparent = 'ragdb_data.chunk_vector'::regclass
     order by 1
  loop
    perform ragdb_private.protect(v_table::regclass, c_scope, false, format(c_may, 'data:write'));
  end loop;
  perform ragdb_private.protect('ragdb_data.outdated_organization', c_org, false,
                                format(c_may, 'data:write'));
  foreach v_table in array '{answer,answer_citation}'::text[] loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), c_own, true,
                                  format(c_may, 'rag:read'));
  end loop;

  perform ragdb_private.protect('ragdb_data.judged_query', c_scope, false,
                                format(c_may, 'data:write'));
  perform ragdb_private.protect('ragdb_data.evaluation', c_own, false, format(c_may, 'rag:read'));
  -- What somebody asked is theirs, and of use to whoever tunes the ranking.
  perform ragdb_private.protect(
    'ragdb_data.feedback',
    c_scope || ' and (user_no = (select ragdb.current_user_no()) or '
    || format(c_may, 'rag:config') || ')',
    false, format(c_may, 'rag:read'),
    c_scope || ' and user_no = (select ragdb.current_user_no())');
  perform ragdb_private.protect('ragdb_data.ranking_weight', c_scope, false,
                                format(c_may, 'rag:config'));

  -- An account is seen by those who share an organization with it.
  perform ragdb_private.protect('ragdb_data.app_user',
    'exists (select from ragdb_data.membership m'
    ' where m.user_no = app_user.user_no and m.org_no = (select ragdb.current_org_no()))',
    true);
  -- Operators list organizations while they act for none of them.
  foreach v_table in array '{organization,membership}'::text[] loop
    execute format('drop policy if exists operator on ragdb_data.%I', v_table);
    execute format('create policy operator on ragdb_data.%I for select to ragdb_admin using (%s)',
                   v_table, c_nobody);
  end loop;

  -- A job is enqueued as oneself; whoever configures the organization also cancels others'.
  perform ragdb_private.protect('ragdb_data.job', c_org, true, format(
    c_may || ' and (user_no = (select ragdb.current_user_no()) or ' || c_may || ')',
    'data:write', 'rag:config'));
  perform ragdb_private.protect('ragdb_data.job_detail', c_own, false);
  perform ragdb_private.protect('ragdb_data.upload', c_own, false, format(c_may, 'data:write'));
  perform ragdb_private.protect('ragdb_data.schedule', c_org, false, format(c_may, 'rag:config'));
  for v_table, v_command, v_permission in
    values ('job', 'insert', 'data:write'),
           ('schedule', 'insert', 'rag:config'),
           ('schedule', 'update', 'rag:config')
  loop
    execute format('drop policy may_%s on ragdb_data.%I', v_command, v_table);
    execute format(
      'create policy may_%s on ragdb_data.%I as restrictive for %s'
      ' to ragdb_service, ragdb_admin %s with check (%s'
      ' and (org_no, user_no, permissions, limited_to)'
      ' = (select c.org_no, c.user_no, c.permissions, c.workspace_no from ragdb.context() c))',
      v_command, v_table, v_command,
      case when v_command = 'update' then format('using (' || c_may || ')', v_permission)
        else '' end,
      format(c_may, v_permission));
  end loop;
  -- The worker sees the queue of all organizations while it acts for nobody, and nothing else.
  foreach v_table in array '{job,job_detail,schedule,upload}'::text[] loop
    execute format('drop policy if exists worker on ragdb_data.%I', v_table);
    execute format('create policy worker on ragdb_data.%I to ragdb_worker'
                   ' using (%2$s) with check (%2$s)', v_table, c_nobody);
  end loop;
  -- The same for everybody: no tenant's data.
  foreach v_table in array
    '{role,job_kind,source_type,chunk_preset,embedding_token,embedding_table_version}'::text[]
  loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), 'true', false);
  end loop;
end;
$$;
