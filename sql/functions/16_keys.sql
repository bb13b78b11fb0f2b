-- Keys, members and SQL logins of an organization, after they exist.

create or replace function ragdb.revoke_api_key(p_key_id uuid)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_org int4 := ragdb.require('api:manage');
begin
  if exists (select from ragdb_data.api_key k
              where k.org_no = v_org
                and k.id = p_key_id
                and k.user_no <> ragdb.current_user_no()) then
    perform ragdb.require('user:manage');
  end if;
  update ragdb_data.api_key k
     set revoked_at = coalesce(k.revoked_at, now())
   where k.org_no = v_org and k.id = p_key_id;
  if not found then
    raise exception 'There is no API key %.', p_key_id
      using errcode = 'PT404',
            constraint = 'api_key_not_found',
            hint = 'select key_id, name from ragdb.api_keys;';
  end if;
end;
$$;

comment on function ragdb.revoke_api_key(uuid) is
$$Make an API key useless from the next transaction on.

Needs api:manage, for others' keys user:manage. Raises PT404 api_key_not_found.$$;

create or replace function ragdb.create_analyst(p_login text, p_org text, p_password text)
  returns void
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if p_login !~ '^[a-z][a-z0-9_]{0,62}$' then
    raise exception 'An SQL login is written in lower case letters, digits and underscores.'
      using errcode = 'PT422', constraint = 'invalid_login', hint = 'For example: anna_acme';
  end if;
  if exists (select from pg_roles r where r.rolname = p_login) then
    raise exception 'The login % already exists on this server.', p_login
      using errcode = 'PT409', constraint = 'login_exists', hint = 'Choose another name.';
  end if;
  execute format(
    'create role %I login password %L connection limit 20 in role ragdb_analyst',
    p_login, p_password);
  execute format('alter role %I set default_transaction_read_only = on', p_login);
  perform ragdb_data._register_login(p_login::name, p_login || '@sql.invalid', p_org);
end;
$$;

comment on function ragdb.create_analyst(text, text, text) is
$$Create an SQL login that reads one organization's rows and nothing else.

For an operator's login with CREATEROLE: the database server checks that right itself. p_password
may be a SCRAM verifier, so that the password is never sent. Raises PT409 login_exists, PT422
invalid_login, PT404 organization_not_found.$$;
