-- Who may call the definer functions. Here, because only their owner can say so.

do $$
declare
  v_routine regprocedure;
begin
  for v_routine in select p.oid from pg_proc p where p.proowner = current_user::regrole loop
    execute format(
      'revoke all on routine %s'
      ' from public, ragdb_owner, ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin',
      v_routine);
  end loop;
end;
$$;

grant execute on function ragdb.begin_context(text), ragdb_data._context(), ragdb.version()
  to ragdb_service, ragdb_worker, ragdb_analyst, ragdb_admin, ragdb_owner;
grant execute on function
  ragdb.add_member(text, text, text),
  ragdb.create_api_key(text, text, text[], text, timestamptz),
  ragdb_data._open_scope(uuid, text),
  ragdb.record_use()
  to ragdb_service, ragdb_admin;
grant execute on function ragdb.create_organization(text, text, text, text),
  ragdb.begin_operator_context(text) to ragdb_admin;
grant execute on function ragdb.begin_worker_context(int4, int8, uuid) to ragdb_worker;
grant execute on function ragdb_data._register_login(name, text, text) to ragdb_admin;
-- The owner makes the trigger; firing it takes no right.
grant execute on function ragdb_private.forget_answers() to ragdb_owner;
