-- Roles and schemas: the first thing every upgrade runs, as the login that installs. All of it may
-- run again. Roles belong to the server, so an installation into another of its databases may have
-- made them, or may be making them at this moment.
--
-- None of the groups can log in, and nobody inherits the rights of ragdb_owner or ragdb_definer: the
-- owner of a table is not subject to its policies, so these rights are taken on purpose, with
-- set local role, and only by the upgrade.

do $$
declare
  v_role text;
  v_login record;
  v_inherits boolean;
begin
  select r.rolname, r.rolsuper, r.rolcreaterole into v_login
    from pg_roles r
   where r.rolname = current_user;

  foreach v_role in array array['ragdb_owner', 'ragdb_definer', 'ragdb_service', 'ragdb_worker',
                                'ragdb_analyst', 'ragdb_admin'] loop
    if to_regrole(v_role) is null then
      if not (v_login.rolsuper or v_login.rolcreaterole) then
        raise exception 'The login % may not create the role %.', v_login.rolname, v_role
          using hint = format('As a superuser: alter role %I createrole;', v_login.rolname);
      end if;
      begin
        execute format('create role %I nologin', v_role);
      exception
        when duplicate_object or unique_violation then
          null;
      end;
    end if;

    if exists (select from pg_roles r
                where r.rolname = v_role
                  and (r.rolcanlogin or r.rolsuper or r.rolbypassrls or r.rolcreaterole
                       or r.rolcreatedb or r.rolreplication)) then
      raise exception 'The role % exists and may do more than a group of ragdb should.', v_role
        using hint = format('As a superuser: alter role %I nologin nosuperuser nobypassrls '
                            'nocreaterole nocreatedb noreplication;', v_role);
    end if;

    -- Who creates a role may hand it out but neither has its rights nor may change to it. Those of
    -- an operator are no danger to isolation, and create_analyst() runs as the login itself.
    v_inherits := v_role = 'ragdb_admin';
    if not v_login.rolsuper
       and (not pg_has_role(v_role, 'set') or pg_has_role(v_role, 'usage') <> v_inherits) then
      begin
        execute format('grant %I to %I with inherit %s, set true',
                       v_role, v_login.rolname, v_inherits::text);
      exception
        when unique_violation then
          null;
        when insufficient_privilege then
          raise exception 'The role % was created by another login and % is no member of it.',
            v_role, v_login.rolname
            using hint = format(
              'As that login or a superuser: grant ragdb_owner, ragdb_definer, ragdb_service, '
              'ragdb_worker, ragdb_analyst to %1$I with inherit false, set true; '
              'grant ragdb_admin to %1$I with inherit true, set true;',
              v_login.rolname);
      end;
      if pg_has_role(v_role, 'usage') and not v_inherits then
        raise exception 'The login % inherits the rights of %, which switches isolation off.',
          v_login.rolname, v_role
          using hint = 'Revoke the other memberships through which it does.';
      end if;
    end if;
  end loop;
end;
$$;

do $$
declare
  v_schema text;
  v_owner name;
begin
  foreach v_schema in array array['ragdb', 'ragdb_data', 'ragdb_private', 'ai'] loop
    select pg_get_userbyid(n.nspowner) into v_owner from pg_namespace n where n.nspname = v_schema;
    if not found then
      if not has_database_privilege(current_database(), 'create') then
        raise exception 'The login % may not create schemas in the database %.',
          current_user, current_database()
          using hint = format('As a superuser: alter database %I owner to %I;',
                              current_database(), current_user);
      end if;
      execute format('create schema %I authorization ragdb_owner', v_schema);
    elsif v_owner <> 'ragdb_owner' then
      raise exception 'The schema % exists and belongs to %, not to ragdb_owner.', v_schema, v_owner
        using hint = 'Install into a database of its own: create database ragdb;';
    end if;
  end loop;

  -- A database's default lets every login fill its disk with temporary tables.
  if pg_has_role((select d.datdba from pg_database d where d.datname = current_database()),
                 'usage') then
    execute format('revoke create, temporary on database %I from public', current_database());
  end if;
end;
$$;

set local role ragdb_owner;

revoke all on schema ragdb, ragdb_data, ragdb_private, ai from public;
grant usage, create on schema ragdb, ragdb_data, ragdb_private to ragdb_definer;

-- A function can be called by nobody until privileges/ says so, but for these two: triggers of the
-- owner call functions of the definer, and the definer's functions call the owner's.
alter default privileges revoke execute on routines from public;
alter default privileges in schema ragdb, ragdb_data, ragdb_private
  grant execute on routines to ragdb_definer;

set local role ragdb_definer;

alter default privileges revoke execute on routines from public;
alter default privileges in schema ragdb, ragdb_data, ragdb_private
  grant execute on routines to ragdb_owner;
