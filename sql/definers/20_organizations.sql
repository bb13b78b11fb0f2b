-- What has to happen before a caller exists, or reaches past one organization: the first
-- organization, its operator, accounts and members.

create or replace function ragdb.create_organization(
  p_name text, p_slug text, p_admin_email text, p_admin_name text default '')
  returns table (organization_id uuid, slug text, user_id uuid)
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org ragdb_data.organization;
  v_user ragdb_data.app_user;
  v_workspace_no int4;
begin
  insert into ragdb_data.organization (name, slug) values (p_name, p_slug)
  on conflict do nothing
  returning * into v_org;
  if not found then
    raise exception 'An organization with the slug % already exists.', p_slug
      using errcode = 'PT409', constraint = 'organization_exists', hint = 'Choose another slug.';
  end if;
  v_user := ragdb_private.ensure_user(p_admin_email);
  insert into ragdb_data.membership (org_no, user_no, role, name)
  values (v_org.org_no, v_user.user_no, 'admin',
          ragdb_private.display_name(p_admin_name, p_admin_email));
  insert into ragdb_data.workspace (org_no, slug, name)
  values (v_org.org_no, 'default', 'Default')
  returning workspace_no into v_workspace_no;
  insert into ragdb_data.scope (org_no, scope_no) values (v_org.org_no, 0);
  insert into ragdb_data.scope (org_no, workspace_no) values (v_org.org_no, v_workspace_no);
  return query select v_org.id, v_org.slug, v_user.id;
end;
$$;

comment on function ragdb.create_organization(text, text, text, text) is
$$Create an organization with an administrator and a workspace named default.

For operators (ragdb_admin). An existing account with that e-mail address becomes its administrator.
Definer: no caller can have a context yet. Raises PT409 organization_exists.$$;

create or replace function ragdb_private.display_name(p_name text, p_email text)
  returns text
  language sql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(nullif(btrim(p_name), ''), split_part(btrim(p_email), '@', 1))
$$;

comment on function ragdb_private.display_name(text, text) is
$$What a member is called: the name given, else the first part of the e-mail address.$$;

create or replace function ragdb_private.ensure_user(p_email text)
  returns ragdb_data.app_user
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_user ragdb_data.app_user;
begin
  insert into ragdb_data.app_user (email) values (btrim(p_email))
  on conflict do nothing
  returning * into v_user;
  if not found then
    select * into v_user from ragdb_data.app_user u where lower(u.email) = lower(btrim(p_email));
  end if;
  return v_user;
end;
$$;

comment on function ragdb_private.ensure_user(text) is
$$The account with that e-mail address, created when there is none.$$;

create or replace function ragdb.begin_operator_context(p_org text)
  returns void
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org_no int4;
  v_user_no int4;
begin
  select m.org_no, min(m.user_no) into v_org_no, v_user_no
    from ragdb_data.organization o
    join ragdb_data.membership m on m.org_no = o.org_no and m.role = 'admin'
    join ragdb_data.app_user u on u.user_no = m.user_no and u.is_active
   where o.slug = p_org
   group by m.org_no;
  if not found then
    raise exception 'There is no organization % with an administrator.', p_org
      using errcode = 'PT404',
            constraint = 'organization_not_found',
            hint = 'List them with: ragdb org list';
  end if;
  perform ragdb_private.set_context(v_org_no, v_user_no, null, null, '{*}');
end;
$$;

comment on function ragdb.begin_operator_context(text) is
$$Act as the first administrator of an organization for this transaction.

To make its first key, or a lost one anew. For operators (ragdb_admin). Definer: opens a context
without a credential. Raises PT404 organization_not_found.$$;

create or replace function ragdb.add_member(
  p_email text, p_role text default 'viewer', p_name text default '')
  returns table (user_id uuid, email text, role text)
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('user:manage');
  v_caller record;
  v_permissions text[];
  v_user ragdb_data.app_user;
begin
  select * into v_caller from ragdb.context();
  select r.permissions into v_permissions from ragdb_data.role r where r.role = p_role;
  if not found then
    raise exception 'There is no role %.', p_role
      using errcode = 'PT422',
            constraint = 'unknown_role',
            hint = 'Roles: '
                   || (select string_agg(r.role, ', ' order by r.role) from ragdb_data.role r);
  end if;
  v_user := ragdb_private.ensure_user(p_email);
  v_permissions := v_permissions || coalesce((
    select r.permissions
      from ragdb_data.membership m
      join ragdb_data.role r on r.role = m.role
     where m.org_no = v_org and m.user_no = v_user.user_no), '{}');
  if v_caller.workspace_no <> 0
     or not ('*' = any (v_caller.permissions) or v_permissions <@ v_caller.permissions) then
    raise exception 'A credential changes no role that may do more than itself.'
      using errcode = 'PT403',
            constraint = 'permission_denied',
            hint = 'Use a key of an administrator without limits.';
  end if;
  insert into ragdb_data.membership (org_no, user_no, role, name)
  values (v_org, v_user.user_no, p_role, ragdb_private.display_name(p_name, p_email))
  on conflict on constraint membership_pkey do update
    set role = excluded.role,
        name = coalesce(nullif(btrim(p_name), ''), membership.name);
  return query select v_user.id, v_user.email, p_role;
end;
$$;

comment on function ragdb.add_member(text, text, text) is
$$Give a person a role in the caller's organization; an existing member changes role.

Needs user:manage. Definer: accounts are shared by all organizations and no request may search them.
Raises PT422 unknown_role.$$;
