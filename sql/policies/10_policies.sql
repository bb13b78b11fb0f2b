-- Row level security, made in one place. A row is the caller's when its organization is and, where
-- it has a scope, when that is readable.
--
-- The sub-selects are evaluated once a statement. ENABLE, never FORCE: forced, the owner's own
-- migrations would change no rows and say nothing; instead no request ever runs as the owner.

create or replace function ragdb_private.protect(
  p_table regclass, p_condition text, p_definer boolean)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('drop policy if exists tenant on %s', p_table);
  execute format(
    'create policy tenant on %s using (%s) with check (%s)', p_table, p_condition, p_condition);
  execute format('drop policy if exists definer on %s', p_table);
  if p_definer then
    execute format(
      'create policy definer on %s to ragdb_definer using (true) with check (true)', p_table);
  end if;
end;
$$;

comment on function ragdb_private.protect(regclass, text, boolean) is
$$Enable row level security on a table with the one policy for requests, and one for definer
functions where they need the table.$$;

do $$
declare
  c_org constant text := 'org_no = (select ragdb.current_org_no())';
  c_scope constant text := c_org || ' and scope_no = any ((select ragdb.current_scopes())::int4[])';
  c_own constant text := c_org || ' and user_no = (select ragdb.current_user_no())';
  v_table text;
begin
  foreach v_table in array
    '{organization,membership,workspace,workspace_member,scope,api_key}'::text[]
  loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), c_org, true);
  end loop;
  perform ragdb_private.protect('ragdb_data.data_source', c_org, false);
  foreach v_table in array
    '{body,document,document_fact,posting,dead_chunk,segment,segment_posting,slot,'
    'chunk,chunk_word,chunk_vector}'::text[]
  loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), c_scope, false);
  end loop;
  for v_table in
    select i.inhrelid::regclass::text
      from pg_inherits i
     where i.inhparent = 'ragdb_data.chunk_vector'::regclass
     order by 1
  loop
    perform ragdb_private.protect(v_table::regclass, c_scope, false);
  end loop;
  perform ragdb_private.protect('ragdb_data.answer', c_own, true);
  perform ragdb_private.protect('ragdb_data.answer_citation', c_own, false);

  -- An account is seen by those who share an organization with it.
  perform ragdb_private.protect('ragdb_data.app_user',
    'exists (select from ragdb_data.membership m'
    ' where m.user_no = app_user.user_no and m.org_no = (select ragdb.current_org_no()))',
    true);
  -- The same for everybody: no tenant's data.
  foreach v_table in array '{role,embedding_token,embedding_table_version}'::text[] loop
    perform ragdb_private.protect(format('ragdb_data.%I', v_table), 'true', false);
  end loop;
end;
$$;
