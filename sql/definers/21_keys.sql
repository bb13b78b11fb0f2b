-- Keys and SQL logins: what proves later who is asking. Hashes and logins are read by no request.

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
