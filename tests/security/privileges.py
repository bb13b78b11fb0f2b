"""All privileges in our schemas as text, to compare with the committed privileges.txt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, LiteralString

import psycopg

SNAPSHOT = Path(__file__).with_name("privileges.txt")

_ACLS: LiteralString = """
    with object (kind, name, owner, acl) as (
      select 'schema', n.nspname::text, n.nspowner, n.nspacl
        from pg_namespace n
       where n.nspname in ('ragdb', 'ragdb_data', 'ragdb_private', 'ai')
      union all
      select case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end,
             c.oid::regclass::text, c.relowner, c.relacl
        from pg_class c
       where c.relnamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
         and c.relkind in ('r', 'p', 'v', 'm', 'S')
         and c.relname !~ 'yoyo'
      union all
      select 'column', c.oid::regclass || '.' || a.attname, c.relowner, a.attacl
        from pg_class c
        join pg_attribute a on a.attrelid = c.oid
       where c.relnamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
         and a.attacl is not null
      union all
      select 'function', p.oid::regprocedure::text, p.proowner, p.proacl
        from pg_proc p
       where p.pronamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
      union all
      select 'default', coalesce(d.defaclnamespace::regnamespace::text, '(database)') || ' '
                        || d.defaclobjtype::text, d.defaclrole, d.defaclacl
        from pg_default_acl d
       where d.defaclrole in ('ragdb_owner'::regrole, 'ragdb_definer'::regrole))
    select o.kind, o.name, pg_get_userbyid(o.owner),
           case when o.acl is null then 'as PostgreSQL has it' else (
             select string_agg(r.rights || ' to ' || r.grantees, '; ' order by r.rights)
               from (select g.rights, string_agg(g.grantee, ' ' order by g.grantee) as grantees
                       from (select case a.grantee
                                      when 0 then 'PUBLIC'
                                      else replace(a.grantee::regrole::text, 'ragdb_', '')
                                    end as grantee,
                                    string_agg(lower(a.privilege_type)
                                               || case when a.is_grantable then '*' else '' end, ','
                                               order by a.privilege_type) as rights
                               from aclexplode(o.acl) a
                              where a.grantee <> o.owner
                              group by a.grantee) g
                      group by g.rights) r) end
      from object o
     order by o.kind collate "C", o.name collate "C", 3
"""


def dump(connection: psycopg.Connection[Any]) -> str:
    """Two lines an object: what it is, and who may do what with it."""
    rows = connection.execute(_ACLS).fetchall()
    return "".join(
        f"{kind} {name}\n    owner {owner.removeprefix('ragdb_')}{'; ' + acl if acl else ''}\n"
        for kind, name, owner, acl in rows
    )
