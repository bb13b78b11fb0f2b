-- The caller, as every other function and every policy sees it. See definers/10_context.sql for how
-- it is proven.
--
-- A policy asks twice for each table of a statement. What it asks is parsed when created and has no
-- settings, so that it is inlined and costs no call of its own.

create or replace function ragdb.context()
  returns table (
    org_no int4, user_no int4, key_no int4, workspace_no int4,
    permissions text[], scopes int4[], language text)
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v text[] := ragdb_data._context();
begin
  if v is not null then
    return query
    select v[1]::int4, v[2]::int4, v[3]::int4, v[4]::int4,
           string_to_array(v[5], ','), string_to_array(v[6], ',')::int4[], v[7];
  end if;
end;
$$;

comment on function ragdb.context() is
$$The verified caller; no row without a context.

key_no and workspace_no are 0 without a key and without a limit to one workspace. scopes: whose
documents may be read. language: default of queries. Raises 28000 invalid_session_context for a
forged, edited or replayed setting.$$;

create or replace function ragdb.current_org_no()
  returns int4
  language sql
  stable
  security invoker
  return (ragdb_data._context())[1]::int4;

comment on function ragdb.current_org_no() is
$$The caller's organization as the number tenant tables are keyed by; null without a context.$$;

create or replace function ragdb.current_scopes()
  returns int4[]
  language sql
  stable
  security invoker
  return string_to_array((ragdb_data._context())[6], ',')::int4[];

comment on function ragdb.current_scopes() is
$$The scopes whose documents the caller may read; null without a context.$$;

create or replace function ragdb.current_user_no()
  returns int4
  language sql
  stable
  security invoker
  return (ragdb_data._context())[2]::int4;

comment on function ragdb.current_user_no() is
$$The caller as the number tenant tables are keyed by; null without a context.$$;

create or replace function ragdb.current_org()
  returns uuid
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select o.id from ragdb_data.organization o where o.org_no = (select ragdb.current_org_no())
$$;

comment on function ragdb.current_org() is
$$The id of the caller's organization; null without a context.$$;

create or replace function ragdb.current_user_id()
  returns uuid
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select u.id from ragdb_data.app_user u where u.user_no = (select ragdb.current_user_no())
$$;

comment on function ragdb.current_user_id() is
$$The id of the caller; null without a context.$$;

create or replace function ragdb.require(p_permission text)
  returns int4
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
  set plan_cache_mode = force_generic_plan
as $$
declare
  v_context text[] := ragdb_data._context();
  v_permissions text[] := string_to_array(v_context[5], ',');
begin
  if v_context is null then
    raise exception 'Nobody is signed in.'
      using errcode = 'PT401',
            constraint = 'unauthenticated',
            hint = 'Call ragdb.begin_context(key) in this transaction, or connect as an analyst.';
  end if;
  if not (p_permission = any (v_permissions) or '*' = any (v_permissions)) then
    raise exception 'This needs the permission %.', p_permission
      using errcode = 'PT403',
            constraint = 'permission_denied',
            hint = 'Use a credential whose role and key hold it.';
  end if;
  return v_context[1]::int4;
end;
$$;

comment on function ragdb.require(text) is
$$Refuse a caller without the permission; returns the caller's organization number.

Raises PT401 unauthenticated, PT403 permission_denied.$$;

create or replace function ragdb_data._may(p_permission text)
  returns boolean
  language plpgsql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_permissions text[] := string_to_array((ragdb_data._context())[5], ',');
begin
  return coalesce(p_permission = any (v_permissions) or '*' = any (v_permissions), false);
end;
$$;

comment on function ragdb_data._may(text) is
$$Whether the caller holds a permission: require() for policies, which refuse in their own way.$$;

create or replace function ragdb.whoami()
  returns table (
    organization text, organization_id uuid, email text, user_id uuid, permissions text[])
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select o.slug, o.id, u.email, u.id, c.permissions
    from ragdb.context() c
    join ragdb_data.organization o on o.org_no = c.org_no
    join ragdb_data.app_user u on u.user_no = c.user_no
$$;

comment on function ragdb.whoami() is
$$The caller: organization, e-mail address and permissions; no row without a context.$$;
