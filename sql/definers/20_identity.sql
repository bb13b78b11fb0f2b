-- What has to happen before a caller exists, or reaches past one organization: the first
-- organization, accounts, keys, SQL logins.

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

create or replace function ragdb.organizations()
  returns table (organization_id uuid, slug text, name text, members int8, created_at timestamptz)
  language sql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
  select o.id, o.slug, o.name,
         (select count(*) from ragdb_data.membership m where m.org_no = o.org_no),
         o.created_at
    from ragdb_data.organization o
   order by o.slug
$$;

comment on function ragdb.organizations() is
$$All organizations of this database.

For operators (ragdb_admin). Definer: looks past one organization.$$;

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

create or replace function ragdb.create_api_key(
  p_name text, p_email text default null, p_permissions text[] default null,
  p_workspace text default null, p_expires_at timestamptz default null)
  returns table (key_id uuid, key text, prefix text)
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('api:manage');
  v_caller record;
  v_user_no int4;
  v_workspace_no int4;
  v_key text;
  v_key_id uuid;
  v_key_no int4;
begin
  select * into v_caller from ragdb.context();
  v_user_no := v_caller.user_no;
  v_workspace_no := nullif(v_caller.workspace_no, 0);
  if p_email is not null then
    select m.user_no into v_user_no
      from ragdb_data.membership m
      join ragdb_data.app_user u using (user_no)
     where m.org_no = v_org and lower(u.email) = lower(btrim(p_email));
    if not found then
      raise exception 'The organization has no member %.', p_email
        using errcode = 'PT404',
              constraint = 'member_not_found',
              hint = 'Add the person with: ragdb user add EMAIL';
    end if;
    if v_user_no <> v_caller.user_no then
      perform ragdb.require('user:manage');
    end if;
  end if;
  if p_workspace is not null then
    v_workspace_no := (ragdb_data._workspace(p_workspace)).workspace_no;
  end if;
  if p_expires_at <= now() then
    raise exception 'The expiry lies in the past.'
      using errcode = 'PT422',
            constraint = 'invalid_expiry',
            hint = 'Give a time in the future, or none.';
  end if;
  if p_permissions is not null and exists (
       select unnest(p_permissions) except select unnest(r.permissions) from ragdb_data.role r) then
    raise exception 'Unknown permission in %.', array_to_string(p_permissions, ', ')
      using errcode = 'PT422',
            constraint = 'unknown_permission',
            hint = 'Permissions: ' || (select string_agg(distinct p, ', ' order by p)
                                         from ragdb_data.role r, unnest(r.permissions) p);
  end if;
  if not '*' = any (v_caller.permissions) then
    p_permissions := array(select unnest(coalesce(p_permissions, v_caller.permissions))
                           intersect select unnest(v_caller.permissions) order by 1);
  end if;

  v_key := 'rdb_' || translate(
    encode(sha256(uuid_send(gen_random_uuid())
                  || uuid_send(gen_random_uuid())
                  || uuid_send(gen_random_uuid())), 'base64'),
    '+/=' || E'\n', '-_');
  insert into ragdb_data.api_key (
    org_no, user_no, workspace_no, name, prefix, permissions, expires_at)
  values (v_org, v_user_no, v_workspace_no, p_name, left(v_key, 10), p_permissions, p_expires_at)
  returning id, api_key.key_no into v_key_id, v_key_no;
  insert into ragdb_private.api_key_hash (key_hash, org_no, key_no)
  values (sha256(convert_to(v_key, 'UTF8')), v_org, v_key_no);
  return query select v_key_id, v_key, left(v_key, 10);
end;
$$;

comment on function ragdb.create_api_key(text, text, text[], text, timestamptz) is
$$Create an API key; its text is returned once and never stored.

The key acts as its owner (p_email, default the caller), limited to p_permissions and p_workspace
where given; it never holds more than the owner's role nor than the credential that asked. Keys
carry 256 random bits; the database keeps their SHA-256.
Needs api:manage, for others' keys user:manage. Definer: writes hashes no request may read.
Raises PT404 member_not_found, PT422 unknown_permission or invalid_expiry, PT403
permission_denied.$$;

create or replace function ragdb_data._register_login(p_login name, p_email text, p_org text)
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
  select o.org_no into v_org_no from ragdb_data.organization o where o.slug = p_org;
  if not found then
    raise exception 'There is no organization %.', p_org
      using errcode = 'PT404',
            constraint = 'organization_not_found',
            hint = 'List them with: ragdb org list';
  end if;
  v_user_no := (ragdb_private.ensure_user(p_email)).user_no;
  insert into ragdb_data.membership (org_no, user_no, role, name)
  values (v_org_no, v_user_no, 'analyst', p_login)
  on conflict do nothing;
  insert into ragdb_private.login (login, org_no, user_no) values (p_login, v_org_no, v_user_no);
end;
$$;

comment on function ragdb_data._register_login(name, text, text) is
$$Bind an SQL login to a member. Part of create_analyst(); definer: writes what no request may
read.$$;

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

create or replace function ragdb.record_use()
  returns void
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_caller record;
begin
  select * into v_caller from ragdb.context();
  update ragdb_data.api_key k
     set last_used_at = now()
   where k.org_no = v_caller.org_no
     and k.key_no = v_caller.key_no
     and (k.last_used_at is null or k.last_used_at < now() - interval '60 seconds');
end;
$$;

comment on function ragdb.record_use() is
$$Note that the caller's API key was used, at most once a minute.

Apart from reads, which write nothing: the service calls it in a transaction of its own. Definer:
keys are read-only to requests.$$;

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
