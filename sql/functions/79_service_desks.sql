-- Service desks. A connection to one is a data source of the type servicedesk: it is refreshed,
-- shown and deleted like any other, and this is only its name in the language of service desks.

create or replace function ragdb.put_sd_connection(
  p_name text,
  p_db_type text,
  p_table_mappings jsonb,
  p_connection_string bytea default null,
  p_options jsonb default '{}',
  p_sync_schedule text default null,
  p_time_zone text default 'UTC',
  p_workspace text default null,
  p_visibility text default 'workspace',
  p_labels text[] default '{}')
  returns table (connection_id uuid, is_new boolean, next_sync timestamptz)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(p_options) is distinct from 'object' or p_options ?| '{db_type,tables}' then
    raise exception 'p_options is a JSON object without db_type and tables.'
      using errcode = 'PT422',
            constraint = 'invalid_source_config',
            hint = '{"time_zone": "Europe/Berlin"}';
  end if;
  return query
  select s.source_id, s.is_new, s.next_run_at
    from ragdb.put_source(
           p_name, 'servicedesk',
           p_options || jsonb_build_object('db_type', p_db_type, 'tables', p_table_mappings),
           p_connection_string, p_workspace, p_visibility, p_labels, p_sync_schedule,
           p_time_zone) s;
end;
$$;

comment on function ragdb.put_sd_connection(
  text, text, jsonb, bytea, jsonb, text, text, text, text, text[]) is
$$Have the tickets of a service desk read, or change how those of that name are.

p_db_type: postgresql, mysql, mariadb or oracle. p_table_mappings: array of {name, table or query,
id, title, description, category, priority, status, updated, deleted, metadata, where, comments,
format}, whose values are names of columns; id is required. A ticket has the external id and the url
of its id: 42 and servicedesk://tickets/42, or name/42 and servicedesk://name/42 where name is not
tickets.
p_connection_string: {"url": "mysql://user:password@host/database"}, sealed by the command line or
the REST service, which also say what it may be; null keeps the one that is there.
p_options: time_zone of times without one, encoding of text in binary columns, ca, overlap_seconds,
full_hours, statement_seconds.
p_sync_schedule and p_time_zone: as put_schedule() has them; refresh_source() does it at once.
Needs rag:config and data:write. Raises what put_source() raises.$$;
