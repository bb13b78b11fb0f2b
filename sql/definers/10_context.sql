-- Who is asking. A credential is checked inside the database and turned into a signed setting that
-- holds for this transaction only.
--
-- A custom setting alone is no boundary, anybody may write one; so its value carries a MAC over
-- organization, user, permissions and scopes, bound to the backend and to the transaction's start.
-- Forging, editing or replaying it in a later transaction fails.
-- HMAC-SHA256 (RFC 2104) with precomputed pads on core sha256(). These functions are definer
-- because they read keys and hashes.

create or replace function ragdb_private.pads()
  returns bytea[]
  language plpgsql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  return (select array[k.inner_pad, k.outer_pad] from ragdb_private.context_key k);
end;
$$;

comment on function ragdb_private.pads() is
$$Pads of the signing key, inner and outer.

Declared immutable so that a session's plans hold them: a policy asks for the context in every
statement, and reading the key took most of its time. A context is bound to its session, so one that
began with another key signs and checks with that.$$;

create or replace function ragdb_private.mac(p_payload text, p_inner_pad bytea, p_outer_pad bytea)
  returns text
  language sql
  stable
  security invoker
  return encode(sha256(p_outer_pad || sha256(p_inner_pad || convert_to(
    p_payload || '|' || pg_backend_pid()
    || '|' || (extract(epoch from transaction_timestamp()) * 1000000)::int8, 'UTF8'))), 'hex');

comment on function ragdb_private.mac(text, bytea, bytea) is
$$MAC of a context payload, bound to this backend and this transaction.

Parsed when created and without settings of its own, so that it is inlined: row level security asks
for it in every statement.$$;

create or replace function ragdb_private.visible_scopes(
  p_org_no int4, p_user_no int4, p_workspace_no int4)
  returns int4[]
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select coalesce(array_agg(s.scope_no order by s.scope_no), '{}')
    from ragdb_data.scope s
    left join ragdb_data.workspace w on w.org_no = s.org_no and w.workspace_no = s.workspace_no
   where s.org_no = p_org_no
     and (s.user_no is null or s.user_no = p_user_no)
     and (p_workspace_no is null or s.workspace_no is null or s.workspace_no = p_workspace_no)
     and (s.workspace_no is null
          or w.is_open
          or exists (select from ragdb_data.workspace_member m
                      where m.org_no = p_org_no
                        and m.workspace_no = s.workspace_no
                        and m.user_no = p_user_no)
          or exists (select from ragdb_data.membership m
                      where m.org_no = p_org_no and m.user_no = p_user_no and m.role = 'admin'))
$$;

comment on function ragdb_private.visible_scopes(int4, int4, int4) is
$$Scopes a user may read: the organization's, open or joined workspaces (administrators: all), and
the user's own documents.

p_workspace_no limits them to one workspace and what the whole organization shares.$$;

create or replace function ragdb_private.payload(
  p_org_no int4, p_user_no int4, p_key_no int4, p_workspace_no int4, p_permissions text[],
  p_scopes int4[] default null)
  returns text[]
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select array[
           p_org_no::text, p_user_no::text,
           coalesce(p_key_no, 0)::text, coalesce(p_workspace_no, 0)::text,
           array_to_string(p_permissions, ','),
           array_to_string(
             coalesce(p_scopes,
                      ragdb_private.visible_scopes(p_org_no, p_user_no, p_workspace_no)), ','),
           coalesce((select w.language
                       from ragdb_data.workspace w
                      where w.org_no = p_org_no
                        and (p_workspace_no is null or w.workspace_no = p_workspace_no)
                      order by w.slug <> 'default', w.workspace_no
                      limit 1), 'english')]
$$;

comment on function ragdb_private.payload(int4, int4, int4, int4, text[], int4[]) is
$$What a context says, in the order of ragdb.context()'s columns; numbers and lists as text.

p_scopes: instead of those the user may read.$$;

create or replace function ragdb_private.set_context(
  p_org_no int4, p_user_no int4, p_key_no int4, p_workspace_no int4, p_permissions text[],
  p_scopes int4[] default null)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_payload text := array_to_string(
    ragdb_private.payload(
      p_org_no, p_user_no, p_key_no, p_workspace_no, p_permissions, p_scopes), '|');
begin
  perform set_config(
    'ragdb.context',
    v_payload || '|'
    || ragdb_private.mac(v_payload, (ragdb_private.pads())[1], (ragdb_private.pads())[2]),
    true);
end;
$$;

comment on function ragdb_private.set_context(int4, int4, int4, int4, text[], int4[]) is
$$Write the signed context of this transaction.$$;

create or replace function ragdb_private.limited(p_permissions text[], p_limit text[])
  returns text[]
  language sql
  immutable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select case
           when p_limit is null or '*' = any (p_limit) then p_permissions
           when '*' = any (p_permissions) then p_limit
           else array(select unnest(p_limit) intersect select unnest(p_permissions) order by 1)
         end
$$;

comment on function ragdb_private.limited(text[], text[]) is
$$Permissions of a role as far as a limit lets them through; null and '*' limit nothing.$$;

create or replace function ragdb.begin_context(p_credential text)
  returns void
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_key record;
begin
  select k.org_no, k.key_no, k.user_no, k.workspace_no, k.permissions, k.expires_at, k.revoked_at,
         u.is_active, r.permissions as role_permissions
    into v_key
    from ragdb_private.api_key_hash h
    join ragdb_data.api_key k on k.org_no = h.org_no and k.key_no = h.key_no
    join ragdb_data.membership m on m.org_no = k.org_no and m.user_no = k.user_no
    join ragdb_data.app_user u on u.user_no = k.user_no
    join ragdb_data.role r on r.role = m.role
   where h.key_hash = sha256(convert_to(coalesce(p_credential, ''), 'UTF8'));

  if not found or v_key.revoked_at is not null or not v_key.is_active then
    raise exception 'The API key is not valid.'
      using errcode = 'PT401',
            constraint = 'invalid_api_key',
            hint = 'Create a key with: ragdb key create NAME';
  end if;
  if v_key.expires_at <= now() then
    raise exception 'The API key expired on %.',
                    to_char(v_key.expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
      using errcode = 'PT401',
            constraint = 'expired_api_key',
            hint = 'Create a new key with: ragdb key create NAME';
  end if;

  perform ragdb_private.set_context(
    v_key.org_no, v_key.user_no, v_key.key_no, v_key.workspace_no,
    ragdb_private.limited(v_key.role_permissions, v_key.permissions));
end;
$$;

comment on function ragdb.begin_context(text) is
$$Prove who is asking: check an API key and open its context for this transaction.

Example: begin; select ragdb.begin_context('rdb_...'); select * from ragdb.search('...'); commit;
A key never grants more than its owner's role does. Definer: reads key hashes and the signing key.
Raises PT401 invalid_api_key or expired_api_key.$$;

create or replace function ragdb_data._context()
  returns text[]
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_context text := current_setting('ragdb.context', true);
  v_payload text;
begin
  if v_context is null or v_context = '' then
    return (
      select ragdb_private.payload(l.org_no, l.user_no, null, null, r.permissions)
        from ragdb_private.login l
        join ragdb_data.membership m on m.org_no = l.org_no and m.user_no = l.user_no
        join ragdb_data.app_user u on u.user_no = l.user_no and u.is_active
        join ragdb_data.role r on r.role = m.role
       where l.login = session_user);
  end if;

  v_payload := left(v_context, -65);
  if v_context is distinct from
     v_payload || '|'
     || ragdb_private.mac(v_payload, (ragdb_private.pads())[1], (ragdb_private.pads())[2]) then
    raise exception 'The session context is not valid.'
      using errcode = '28000',
            constraint = 'invalid_session_context',
            hint = 'Call ragdb.begin_context(key) in this transaction.';
  end if;
  return string_to_array(v_payload, '|');
end;
$$;

comment on function ragdb_data._context() is
$$The verified caller as text: organization, user, key, workspace limit, permissions, readable
scopes, language. See context().

Null without a context. A login made by ragdb.create_analyst() needs none: it is its member.
Definer: reads the signing key. Raises 28000 invalid_session_context for a forged, edited or
replayed setting.$$;
