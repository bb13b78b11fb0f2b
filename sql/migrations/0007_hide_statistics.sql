-- depends: 0006_create_segments
-- The planner's statistics hold values of all organizations, and EXPLAIN tells estimates made from
-- them to everybody: none are gathered of what users write. Every query on such a column is an
-- equality within an organization that an index answers.

do $$
declare
  v_column record;
begin
  for v_column in
    select a.attrelid::regclass as relation, a.attname, a.attnum, c.relkind
      from pg_attribute a
      join pg_class c on c.oid = a.attrelid
      left join pg_index i on i.indexrelid = c.oid
     where c.relnamespace = 'ragdb_data'::regnamespace
       and a.attnum > 0
       and not a.attisdropped
       and a.atttypid = any ('{text,text[],jsonb,bytea,uuid,float8}'::regtype[])
       and case when c.relkind = 'i' then i.indkey[a.attnum - 1] = 0
             else c.relkind in ('r', 'p') end
       and c.relname not in ('role', 'embedding_token', 'embedding_table_version')
  loop
    if v_column.relkind = 'i' then
      execute format('alter index %s alter column %s set statistics 0',
                     v_column.relation, v_column.attnum);
    else
      execute format('alter table %s alter column %I set statistics 0',
                     v_column.relation, v_column.attname);
    end if;
  end loop;
end;
$$;
