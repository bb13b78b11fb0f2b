-- What operators may list. Row level security lets them see every organization and membership as
-- long as they have opened no context.

create or replace function ragdb.organizations()
  returns table (organization_id uuid, slug text, name text, members int8, created_at timestamptz)
  language sql
  stable
  security invoker
  set search_path = pg_catalog, pg_temp
as $$
  select o.id, o.slug, o.name,
         (select count(*) from ragdb_data.membership m where m.org_no = o.org_no),
         o.created_at
    from ragdb_data.organization o
   order by o.slug
$$;

comment on function ragdb.organizations() is
$$All organizations of this database.

For operators (ragdb_admin), who see all of them while they act for none.$$;
