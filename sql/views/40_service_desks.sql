-- Service desks, as those who connect them think of them: a source of the type servicedesk each.

create or replace view ragdb.sd_connections
  with (security_invoker = true)
as
select s.source_id as connection_id, s.name, s.workspace, u.config ->> 'db_type' as db_type,
       u.config -> 'tables' as table_mappings,
       u.config - '{db_type,tables}'::text[] as options,
       u.has_secrets as has_connection_string,
       s.cron as sync_schedule, s.time_zone, s.next_run_at as next_sync,
       s.refreshed_at as last_sync, s.last_status, s.documents as tickets
  from ragdb.sources s
  join ragdb_data.data_source d on d.org_no = ragdb.current_org_no() and d.id = s.source_id
  left join ragdb_data.source_setup u on u.org_no = d.org_no and u.source_no = d.source_no
 where s.type = 'servicedesk';

comment on view ragdb.sd_connections is
$$The service desks whose tickets are read; how they are is shown to those with rag:config.

See put_sd_connection(). tickets: those the caller may read. The connection string is sealed, and
nothing shows it. Runs and errors: ragdb.sync_runs and ragdb.sync_errors.$$;
