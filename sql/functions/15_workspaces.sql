-- Workspaces divide an organization. An open one is read by every member, a closed one by those who
-- joined it.

create or replace function ragdb_data._workspace(p_workspace text)
  returns ragdb_data.workspace
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_caller record;
  v_workspace ragdb_data.workspace;
begin
  select * into v_caller from ragdb.context();
  select w.* into v_workspace
    from ragdb_data.workspace w
    join ragdb_data.scope s on s.org_no = w.org_no
                           and s.workspace_no = w.workspace_no
                           and s.user_no is null
   where w.org_no = v_caller.org_no
     and s.scope_no = any (v_caller.scopes)
     and (p_workspace in (w.slug, w.id::text)
          or p_workspace is null and (v_caller.workspace_no in (0, w.workspace_no)))
   order by w.slug <> 'default', w.workspace_no
   limit 1;
  if not found then
    raise exception 'There is no workspace %.', coalesce(p_workspace, 'you may use')
      using errcode = 'PT404',
            constraint = 'workspace_not_found',
            hint = 'select slug from ragdb.workspaces;';
  end if;
  return v_workspace;
end;
$$;

comment on function ragdb_data._workspace(text) is
$$The caller's workspace by slug or id; null means the one named default, or the only one the key
may use.

Raises PT404 workspace_not_found.$$;

create or replace function ragdb.create_workspace(
  p_slug text, p_name text default null,
  p_is_open boolean default true, p_language text default 'english')
  returns table (workspace_id uuid, slug text)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_id uuid := gen_random_uuid();
begin
  if (select c.workspace_no from ragdb.context() c) <> 0 then
    raise exception 'A key limited to one workspace creates no other.'
      using errcode = 'PT403',
            constraint = 'permission_denied',
            hint = 'Use a key without a workspace.';
  end if;
  -- Not returned: nobody may see it before it has a scope.
  insert into ragdb_data.workspace (org_no, id, slug, name, is_open, language)
  values (v_org, v_id, p_slug, coalesce(p_name, p_slug), p_is_open,
          ragdb_data._language(p_language))
  on conflict do nothing;
  if not found then
    raise exception 'A workspace with the slug % already exists.', p_slug
      using errcode = 'PT409', constraint = 'workspace_exists', hint = 'Choose another slug.';
  end if;
  perform ragdb_data._open_scope(v_id, 'workspace');
  return query select v_id, p_slug;
end;
$$;

comment on function ragdb.create_workspace(text, text, boolean, text) is
$$Create a workspace; a closed one (p_is_open false) starts with its creator as only member.

p_language: default language of its documents and queries. Needs rag:config. Raises PT409
workspace_exists, PT422 unknown_language.$$;

create or replace function ragdb.add_workspace_member(p_workspace text, p_email text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('user:manage');
begin
  insert into ragdb_data.workspace_member (org_no, workspace_no, user_no)
  select v_org, (ragdb_data._workspace(p_workspace)).workspace_no, m.user_no
    from ragdb_data.membership m
    join ragdb_data.app_user u using (user_no)
   where m.org_no = v_org and lower(u.email) = lower(btrim(p_email))
  on conflict on constraint workspace_member_pkey do update set user_no = excluded.user_no;
  if not found then
    raise exception 'The organization has no member %.', p_email
      using errcode = 'PT404',
            constraint = 'member_not_found',
            hint = 'Add the person with: ragdb user add EMAIL';
  end if;
end;
$$;

comment on function ragdb.add_workspace_member(text, text) is
$$Let a member of the organization into a closed workspace. Needs user:manage.

Raises PT404 member_not_found or workspace_not_found.$$;

create or replace function ragdb.delete_workspace(p_workspace text)
  returns int4
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_custom_plan
as $$
declare
  v_org int4 := ragdb.require('rag:config');
  v_workspace ragdb_data.workspace := ragdb_data._workspace(p_workspace);
  v_scopes int4[];
  v_deleted int4;
begin
  perform ragdb.require('data:write');
  if v_workspace.slug = 'default' or (select c.workspace_no from ragdb.context() c) <> 0 then
    raise exception 'The workspace % cannot be deleted.', v_workspace.slug
      using errcode = 'PT409',
            constraint = 'workspace_needed',
            hint = 'The one named default stays, and so does the one a key is limited to.';
  end if;
  v_scopes := array(select s.scope_no
                      from ragdb_data.scope s
                     where s.org_no = v_org and s.workspace_no = v_workspace.workspace_no);
  v_deleted := ragdb.delete_documents(
    array(select d.id
            from ragdb_data.document d
           where d.org_no = v_org and d.workspace_no = v_workspace.workspace_no));
  -- Nobody will maintain these scopes.
  delete from ragdb_data.segment_posting g where g.org_no = v_org and g.scope_no = any (v_scopes);
  delete from ragdb_data.segment g where g.org_no = v_org and g.scope_no = any (v_scopes);
  delete from ragdb_data.posting p where p.org_no = v_org and p.scope_no = any (v_scopes);
  delete from ragdb_data.dead_chunk d where d.org_no = v_org and d.scope_no = any (v_scopes);
  update ragdb_data.outdated_organization o
     set (scopes, done_to) = (
           select coalesce(array_agg(u.scope_no), '{}'), coalesce(array_agg(u.done_to), '{}')
             from unnest(o.scopes, o.done_to) u(scope_no, done_to)
            where u.scope_no <> all (v_scopes))
   where o.org_no = v_org;
  delete from ragdb_data.workspace w
   where w.org_no = v_org and w.workspace_no = v_workspace.workspace_no;
  return v_deleted;
end;
$$;

comment on function ragdb.delete_workspace(text) is
$$Delete a workspace with everything in it; returns how many documents that were.

What members keep to themselves in it goes as well. Needs rag:config and data:write. Raises PT404
workspace_not_found, PT409 workspace_needed for the one named default or a key limited to one.$$;
