-- What reaches past the caller inside an organization: opening a scope, and forgetting the answers
-- of others that quote what is gone.

create or replace function ragdb_data._open_scope(p_workspace_id uuid, p_visibility text)
  returns int4
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_caller record;
  v_workspace ragdb_data.workspace;
  v_workspace_scope int4;
  v_user_no int4;
  v_scope_no int4;
begin
  select * into v_caller from ragdb.context();
  select w.* into v_workspace
    from ragdb_data.workspace w
   where w.org_no = v_caller.org_no and w.id = p_workspace_id;
  select s.scope_no into v_workspace_scope
    from ragdb_data.scope s
   where s.org_no = v_caller.org_no
     and s.workspace_no = v_workspace.workspace_no
     and s.user_no is null;
  -- One without a scope was created in this transaction: nobody else can see it.
  if v_workspace.workspace_no is null or v_workspace_scope <> all (v_caller.scopes) then
    raise exception 'There is no workspace %.', p_workspace_id
      using errcode = 'PT404',
            constraint = 'workspace_not_found',
            hint = 'select slug from ragdb.workspaces;';
  end if;
  if v_workspace_scope is null and not v_workspace.is_open then
    insert into ragdb_data.workspace_member (org_no, workspace_no, user_no)
    values (v_caller.org_no, v_workspace.workspace_no, v_caller.user_no);
  end if;
  if p_visibility = 'organization' then
    return 0;
  end if;
  v_user_no := case when p_visibility = 'private' then v_caller.user_no end;
  select s.scope_no into v_scope_no
    from ragdb_data.scope s
   where s.org_no = v_caller.org_no
     and s.workspace_no = v_workspace.workspace_no
     and s.user_no is not distinct from v_user_no;
  if not found then
    insert into ragdb_data.scope (org_no, workspace_no, user_no)
    values (v_caller.org_no, v_workspace.workspace_no, v_user_no)
    on conflict on constraint scope_org_no_workspace_no_user_no_key
      do update set user_no = excluded.user_no
    returning scope_no into v_scope_no;
  end if;
  if not v_scope_no = any (v_caller.scopes) then
    perform ragdb_private.set_context(v_caller.org_no, v_caller.user_no, v_caller.key_no,
                                      nullif(v_caller.workspace_no, 0), v_caller.permissions);
  end if;
  return v_scope_no;
end;
$$;

comment on function ragdb_data._open_scope(uuid, text) is
$$The scope of a visibility in a workspace, created when it is new and added to the caller's
context.

Who opens a new closed workspace becomes its first member. Definer: only this may extend a signed
context, and only by what visible_scopes() grants. Raises PT404 workspace_not_found.$$;

create or replace function ragdb_private.forget_answers()
  returns trigger
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_table_name = 'answer_citation' then
    delete from ragdb_data.answer a
     using old_row o
     where a.org_no = o.org_no
       and a.user_no = o.user_no
       and a.answer_no = o.answer_no;
  elsif tg_table_name = 'document' then
    delete from ragdb_data.answer a
     using old_row o
      join new_row n on n.org_no = o.org_no and n.document_no = o.document_no
      join ragdb_data.answer_citation c on c.org_no = o.org_no and c.document_no = o.document_no
     where n.body_no <> o.body_no
       and a.org_no = c.org_no
       and a.user_no = c.user_no
       and a.answer_no = c.answer_no;
  else
    delete from ragdb_data.answer a
     using old_row o
      join new_row n on n.org_no = o.org_no and n.body_no = o.body_no
      join ragdb_data.document d on d.org_no = o.org_no and d.body_no = o.body_no
      join ragdb_data.answer_citation c on c.org_no = d.org_no and c.document_no = d.document_no
     where n.content <> o.content
       and a.org_no = c.org_no
       and a.user_no = c.user_no
       and a.answer_no = c.answer_no;
  end if;
  return null;
end;
$$;

comment on function ragdb_private.forget_answers() is
$$Trigger: an answer goes when a document it quotes goes or changes its text, whoever's it is.

Definer: whoever deletes a document may not read the answers of others.$$;
