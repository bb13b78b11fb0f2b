"""Rules that the schema keeps, each a query whose rows are violations."""

from __future__ import annotations

from typing import LiteralString

# Functions that run with more rights than their caller. Adding one is a decision: at most twelve.
DEFINERS = (
    "ragdb.add_member",
    "ragdb.begin_context",
    "ragdb.begin_operator_context",
    "ragdb.begin_worker_context",
    "ragdb.create_api_key",
    "ragdb.create_organization",
    "ragdb.record_use",
    "ragdb.version",
    "ragdb_data._context",
    "ragdb_data._open_scope",
    "ragdb_data._register_login",
    "ragdb_private.forget_answers",
)

# Keys that lead with no organization: what identifies one, or spans them all.
GLOBAL_KEYS = (
    "api_key_hash_pkey", "app_user_email_key", "app_user_id_key", "app_user_pkey",
    "chunk_preset_pkey", "context_key_pkey", "embedding_table_version_pkey",
    "embedding_model_name_key", "embedding_model_pkey", "embedding_model_vectorizer_id_key",
    "embedding_rate_model_no_fkey", "embedding_rate_pkey",
    "embedding_token_pkey", "install_pkey", "job_kind_pkey", "login_pkey",
    "membership_role_fkey", "membership_user_no_fkey", "migration_sum_pkey", "organization_id_key",
    "organization_model_model_no_fkey", "organization_slug_key",
    "outdated_organization_version_fkey", "role_pkey", "source_type_pkey",
)  # fmt: skip

_OURS = "('ragdb'::regnamespace, 'ragdb_data'::regnamespace, 'ragdb_private'::regnamespace)"

RULES: dict[str, LiteralString] = {
    "a table without row level security": """
        select c.relname from pg_class c
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relkind in ('r', 'p')
           and not c.relrowsecurity
    """,
    "a table with forced row level security, which the owner's migrations would not survive": """
        select c.relname from pg_class c
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relforcerowsecurity
    """,
    "a table without a policy": """
        select c.relname from pg_class c
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relkind in ('r', 'p')
           and not exists (select from pg_policy p where p.polrelid = c.oid)
    """,
    "a permissive policy without a check": """
        select p.polrelid::regclass, p.polname from pg_policy p
         where p.polpermissive and p.polwithcheck is null and p.polcmd not in ('r', 'd')
    """,
    "a permissive policy that lets everything through": """
        select p.polrelid::regclass, p.polname from pg_policy p
         where p.polpermissive
           and 'true' in (pg_get_expr(p.polqual, p.polrelid),
                          pg_get_expr(p.polwithcheck, p.polrelid))
           and p.polroles <> array['ragdb_definer'::regrole::oid]
           and p.polrelid::regclass::text <> all (
                 '{ragdb_data.role,ragdb_data.job_kind,ragdb_data.chunk_preset,ragdb_data.source_type,'
                 'ragdb_data.embedding_token,ragdb_data.embedding_table_version,'
                 'ragdb_data.embedding_model}')
    """,
    "a policy of a partition that differs from its parent's": """
        select p.polrelid::regclass, p.polname
          from pg_inherits i
          join pg_policy p on p.polrelid = i.inhrelid
         where i.inhrelid::regclass::text ~ '^ragdb_data\\.'
           and not exists (
                 select from pg_policy q
                  where q.polrelid = i.inhparent
                    and (q.polname, q.polcmd, q.polpermissive, q.polroles)
                        = (p.polname, p.polcmd, p.polpermissive, p.polroles)
                    and pg_get_expr(q.polqual, q.polrelid)
                        is not distinct from pg_get_expr(p.polqual, p.polrelid)
                    and pg_get_expr(q.polwithcheck, q.polrelid)
                        is not distinct from pg_get_expr(p.polwithcheck, p.polrelid))
    """,
    "a partition with fewer policies than its parent": """
        select i.inhrelid::regclass
          from pg_inherits i
         where i.inhrelid::regclass::text ~ '^ragdb_data\\.'
           and i.inhrelid in (select c.oid from pg_class c where c.relkind = 'r')
           and (select count(*) from pg_policy p where p.polrelid = i.inhrelid)
               <> (select count(*) from pg_policy p where p.polrelid = i.inhparent)
    """,
    "a tenant table that is keyed by no organization": """
        select c.relname from pg_class c
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relkind in ('r', 'p')
           and not exists (select from pg_attribute a
                            where a.attrelid = c.oid and a.attname = 'org_no' and a.attnotnull)
           and c.relname not in ('app_user', 'role', 'job_kind', 'chunk_preset', 'source_type',
                                 'embedding_token', 'embedding_table_version', 'embedding_model',
                                 'embedding_rate')
    """,
    "a column of the organization that is no int4": """
        select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relkind in ('r', 'p')
           and a.attname = 'org_no' and a.atttypid <> 'int4'::regtype
    """,
    "a view with its owner's rights": """
        select c.relname from pg_class c
         where c.relnamespace = any (array['ragdb'::regnamespace, 'ragdb_data'::regnamespace])
           and c.relkind in ('v', 'm')
           and not coalesce('security_invoker=true' = any (c.reloptions), false)
    """,
    "a table in the schema of the API": """
        select c.relname from pg_class c
         where c.relnamespace = 'ragdb'::regnamespace and c.relkind in ('r', 'p', 'm', 'f')
    """,
    "something granted to PUBLIC": f"""
        select 'relation', c.oid::regclass::text from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace in {_OURS} and a.grantee = 0
        union all
        select 'column', c.oid::regclass || '.' || t.attname
          from pg_class c join pg_attribute t on t.attrelid = c.oid, aclexplode(t.attacl) a
         where c.relnamespace in {_OURS} and a.grantee = 0
        union all
        select 'routine', p.oid::regprocedure::text
          from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         where p.pronamespace in {_OURS} and a.grantee = 0
        union all
        select 'schema', n.nspname from pg_namespace n, aclexplode(n.nspacl) a
         where n.nspname in ('ragdb', 'ragdb_data', 'ragdb_private', 'ai') and a.grantee = 0
    """,
    "a right on a table that row level security does not see": f"""
        select c.oid::regclass, a.privilege_type, a.grantee::regrole
          from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace in {_OURS} and a.grantee <> c.relowner
           and a.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
    """,
    "a sequence that is granted": f"""
        select c.oid::regclass, a.grantee::regrole
          from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace in {_OURS} and c.relkind = 'S' and a.grantee <> c.relowner
    """,
    "a right that may be passed on": f"""
        select c.oid::regclass::text, a.grantee::regrole from pg_class c, aclexplode(c.relacl) a
         where c.relnamespace in {_OURS} and a.is_grantable and a.grantee <> c.relowner
        union all
        select p.oid::regprocedure::text, a.grantee::regrole from pg_proc p, aclexplode(p.proacl) a
         where p.pronamespace in {_OURS} and a.is_grantable and a.grantee <> p.proowner
    """,
    "a request role that may do something in the private schemas": """
        select r.role, n.nspname
          from unnest('{ragdb_service,ragdb_worker,ragdb_analyst,ragdb_admin}'::text[]) r(role),
               pg_namespace n
         where n.nspname in ('ragdb_private', 'ai')
           and has_schema_privilege(r.role, n.oid, 'usage')
            or n.nspname ~ '^(ragdb.*|ai|public)$'
           and has_schema_privilege(r.role, n.oid, 'create')
    """,
    "an analyst who may write, or a worker more than the queue and secrets sealed anew": """
        select c.oid::regclass, r.role, k.command
          from pg_class c,
               unnest('{ragdb_analyst,ragdb_worker}'::text[]) r(role),
               unnest('{insert,update}'::text[]) k(command)
         where c.relnamespace = 'ragdb_data'::regnamespace and c.relkind in ('r', 'p', 'v')
           and (has_any_column_privilege(r.role, c.oid, k.command)
                or has_table_privilege(r.role, c.oid, 'delete'))
           and not (r.role = 'ragdb_worker'
                    and c.relname in ('job', 'job_detail', 'schedule', 'source_setup',
                                      'embedding_rate', 'upload'))
    """,
    "a definer function that belongs to somebody else": f"""
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace in {_OURS} and p.prosecdef
           and p.proowner <> 'ragdb_definer'::regrole
    """,
    "a table of the definer's": """
        select c.oid::regclass from pg_class c
         where c.relowner = 'ragdb_definer'::regrole and c.relkind in ('r', 'p', 'v', 'm', 'S')
    """,
    "something of ours that belongs neither to the owner nor to the definer": f"""
        select c.oid::regclass::text from pg_class c
         where c.relnamespace in {_OURS} and c.relowner <> 'ragdb_owner'::regrole
        union all
        select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace in {_OURS}
           and p.proowner not in ('ragdb_owner'::regrole, 'ragdb_definer'::regrole)
    """,
    "a function without a fixed search path": f"""
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace in {_OURS}
           and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)
           -- Parsed when it was created, no search path can bend it.
           and p.prosqlbody is null
    """,
    "a function or view without a comment": f"""
        select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace in {_OURS} and obj_description(p.oid, 'pg_proc') is null
        union all
        select c.oid::regclass::text from pg_class c
         where c.relnamespace = 'ragdb'::regnamespace and c.relkind = 'v'
           and obj_description(c.oid, 'pg_class') is null
    """,
    "a definer function that does not say why it is one": """
        select p.oid::regprocedure from pg_proc p
         where p.prosecdef and p.pronamespace in ('ragdb'::regnamespace, 'ragdb_data'::regnamespace)
           and obj_description(p.oid, 'pg_proc') !~* 'definer'
    """,
    "an immutable function that names a table": f"""
        select p.oid::regprocedure from pg_proc p
         where p.pronamespace in {_OURS} and p.provolatile = 'i'
           and pg_get_functiondef(p.oid)
               ~ '(from|join|into|update) ragdb_(data|private)\\.[a-z]+\\M(?!\\()'
    """,
    "a request role that owns something": """
        select r.rolname, d.classid::regclass, d.objid
          from pg_roles r join pg_shdepend d on d.refobjid = r.oid and d.deptype = 'o'
         where r.rolname in ('ragdb_service', 'ragdb_worker', 'ragdb_analyst', 'ragdb_admin')
    """,
    "a role of ours that can do more than a group": """
        select r.rolname from pg_roles r
         where r.rolname ~ '^ragdb_(owner|definer|service|worker|analyst|admin)$'
           and (r.rolsuper or r.rolbypassrls or r.rolcanlogin or r.rolcreaterole or r.rolcreatedb
                or r.rolreplication)
    """,
    "a way from a request role to another role": """
        select r.role, g.rolname
          from unnest('{ragdb_service,ragdb_worker,ragdb_analyst,ragdb_admin}'::text[]) r(role),
               pg_roles g
         where g.rolname <> r.role and pg_has_role(r.role, g.oid, 'member')
    """,
    "a way from a role of ours to a role of the system": """
        select m.member::regrole, m.roleid::regrole from pg_auth_members m
         where m.member::regrole::text ~ '^ragdb_'
    """,
    "a member of the owner or the definer that inherits their rights": """
        select m.member::regrole, m.roleid::regrole from pg_auth_members m
         where m.roleid in ('ragdb_owner'::regrole, 'ragdb_definer'::regrole) and m.inherit_option
    """,
    "a trigger that anybody can call": """
        select p.oid::regprocedure, r.role
          from pg_proc p,
               unnest('{ragdb_service,ragdb_worker,ragdb_analyst,ragdb_admin}'::text[]) r(role)
         where p.prorettype = 'trigger'::regtype and p.pronamespace::regnamespace::text ~ '^ragdb'
           and has_function_privilege(r.role, p.oid, 'execute')
    """,
}
