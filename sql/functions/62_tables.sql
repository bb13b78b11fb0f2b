-- What the planner knows of the tables, and the space that deleted rows take. Autovacuum sees to
-- both in time; after a large load or delete, or where it is off or slow, somebody else should.

create or replace function ragdb.analyze_tables()
  returns table (name text, rows int8, dead int8, is_analyzed boolean, needs_vacuum boolean)
  language plpgsql
  volatile
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_table record;
begin
  perform ragdb.require('data:write');
  for v_table in
    select s.relid::regclass as name, s.n_live_tup, s.n_dead_tup,
           s.n_mod_since_analyze > 1000 + s.n_live_tup / 10 as has_changed,
           s.n_dead_tup > 10000 + s.n_live_tup / 5 as is_loose
      from pg_stat_user_tables s
      join pg_class c on c.oid = s.relid
     where s.schemaname = 'ragdb_data' and pg_has_role(c.relowner, 'usage')
     order by s.relname
  loop
    continue when not (v_table.has_changed or v_table.is_loose);
    if v_table.has_changed then
      execute format('analyze %s', v_table.name);
    end if;
    name := v_table.name;
    rows := v_table.n_live_tup;
    dead := v_table.n_dead_tup;
    is_analyzed := v_table.has_changed;
    needs_vacuum := v_table.is_loose;
    return next;
  end loop;
end;
$$;

comment on function ragdb.analyze_tables() is
$$Have the planner look at tables that have changed a lot, and say where a vacuum would help.

One row for each such table, none where all is well. rows and dead are the server's estimates.
is_analyzed: more than a tenth had changed since the planner last looked. needs_vacuum: of what is
there a sixth or more is deleted rows; "vacuum analyze" frees their space, and no function can.
For a login that owns the tables, which are those of all organizations. Needs data:write.$$;
