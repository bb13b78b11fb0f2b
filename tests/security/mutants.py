"""The schema with one safeguard taken away, again and again.

Each mutant is a change that a superuser makes to a copy; test_mutations.py asks whether anybody
would notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from subjects import Connection

# `x.org_no = something`: the organization a statement is limited to.
_ORGANIZATION = re.compile(
    r"\b\w+\.org_no = (?:\w+\.org_no|v_\w+|p_org_no|ragdb\.current_org_no\(\))"
)
_PERMISSION = re.compile(r"ragdb\.require\('([a-z:]+)'\)")


@dataclass(frozen=True)
class Mutant:
    """A safeguard removed, and what to look at first."""

    kind: str
    name: str
    statement: str
    tables: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"

    @property
    def subject(self) -> str:
        """The function or view that states an organization or permission no more, or the policy."""
        if self.kind.startswith("policy"):
            return self.name
        subject = self.name.split("(")[0].split(" ")[0].split(".")[-1]
        return subject + (" permission" if self.kind == "permission not required" else "")


# What works only because of a policy for a role of its own.
_USERS = {"worker": ("claim_jobs",), "operator": ("organizations",)}


def mutants(connection: Connection) -> Iterator[Mutant]:
    """All of them, from the catalogue as it is."""
    yield from _policies(connection)
    yield from _tables_and_views(connection)
    yield from _organizations(connection)
    yield from _permissions(connection)
    yield from _rights(connection)
    yield from _settings(connection)


def _policies(connection: Connection) -> Iterator[Mutant]:
    rows = connection.execute(
        """
        select p.polrelid::regclass::text, quote_ident(p.polname), p.polqual is not null,
               p.polwithcheck is not null, p.polcmd
          from pg_policy p
          join pg_class c on c.oid = p.polrelid
         where c.relnamespace = 'ragdb_data'::regnamespace
           and coalesce(pg_get_expr(p.polqual, p.polrelid), '') <> 'true'
           -- What nobody is granted needs no policy.
           and (p.polcmd in ('*', 'r')
                or exists (select from unnest(p.polroles) r(role)
                            where case p.polcmd
                                    when 'a' then has_any_column_privilege(r.role, c.oid, 'insert')
                                    when 'w' then has_any_column_privilege(r.role, c.oid, 'update')
                                    else has_table_privilege(r.role, c.oid, 'delete') end))
         order by 1, 2
        """
    ).fetchall()
    for table, policy, has_using, has_check, command in rows:
        where = f"{policy} on {table}"
        yield Mutant(
            "policy dropped", where, f"drop policy {where}", (table,),
            functions=_USERS.get(policy, ()),
        )  # fmt: skip
        if has_using and has_check and command == "w":
            # What may not be written is refused by either half.
            statement = f"alter policy {where} using (true) with check (true)"
            yield Mutant("policy lets all be updated", where, statement, (table,))
            continue
        if has_using:
            yield Mutant("policy reads all", where, f"alter policy {where} using (true)", (table,))
        if has_check:
            yield Mutant(
                "policy checks nothing", where, f"alter policy {where} with check (true)", (table,)
            )
    for (table,) in connection.execute(
        "select p.polrelid::regclass::text from pg_policy p where p.polname = 'definer' order by 1"
    ).fetchall():
        yield Mutant(
            "policy of the definer dropped", table, f"drop policy definer on {table}", (table,),
            functions=("begin_context",),
        )  # fmt: skip
        yield Mutant(
            "policy of the definer is everybody's", table,
            f"alter policy definer on {table} to public", (table,),
        )  # fmt: skip


def _tables_and_views(connection: Connection) -> Iterator[Mutant]:
    rows = connection.execute(
        "select c.oid::regclass::text, c.relkind from pg_class c where c.relkind in ('r', 'p', 'v')"
        " and c.relnamespace::regnamespace::text in ('ragdb', 'ragdb_data') order by 1"
    ).fetchall()
    for name, kind in rows:
        if kind == "v":
            statement = f"alter view {name} set (security_invoker = false)"
            yield Mutant("view with its owner's rights", name, statement, views=(name,))
        else:
            statement = f"alter table {name} disable row level security"
            yield Mutant("row level security off", name, statement, (name,))


def _sources(connection: Connection) -> list[tuple[str, str, str]]:
    """Function, name and definition of everything written in a language."""
    return connection.execute(
        """
        select p.oid::regprocedure::text, p.proname, pg_get_functiondef(p.oid)
          from pg_proc p
         where p.pronamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
         order by 1
        """
    ).fetchall()


def _edits(source: str, pattern: re.Pattern[str], by: str) -> Iterator[tuple[str, str]]:
    """The source with one match after the other replaced."""
    for match in pattern.finditer(source):
        number = source.count(match[0], 0, match.start()) + 1
        edited = source[: match.start()] + match.expand(by) + source[match.end() :]
        yield f"{match[0]} #{number}", edited


def _organizations(connection: Connection) -> Iterator[Mutant]:
    """Row level security stands behind each of them: only the owner can tell."""
    for function, name, source in _sources(connection):
        for edit, statement in _edits(source, _ORGANIZATION, "true"):
            yield Mutant(
                "organization not stated", f"{function} {edit}", statement,
                functions=(name, *_CALLERS.get(name, ())),
            )  # fmt: skip
    for view, source in connection.execute(
        "select c.oid::regclass::text, pg_get_viewdef(c.oid) from pg_class c"
        " where c.relnamespace = 'ragdb'::regnamespace and c.relkind = 'v' order by 1"
    ).fetchall():
        for edit, query in _edits(
            source, re.compile(r"\w+\.org_no = ragdb\.current_org_no\(\)"), "true"
        ):
            yield Mutant(
                "organization not stated", f"{view} {edit}",
                f"create or replace view {view} with (security_invoker = true) as {query}",
                views=(view,), functions=_CALLERS.get(view.split(".")[1], ()),
            )  # fmt: skip


# Whose arguments reach a part that cannot be called by itself, or not with the right ones.
_CALLERS = {
    "_search": ("search", "explain_search"),
    "_why_not": ("explain_search",),
    "_suggestions": ("suggest", "corrected_query"),
    "index_new_chunks": ("put_document", "put_documents"),
    "unindex_old_chunks": ("delete_documents", "put_documents"),
    "forget_answers": ("delete_documents", "put_document"),
    "visible_scopes": ("begin_context",),
    "_drop_orphan_bodies": ("delete_documents",),
}


def _permissions(connection: Connection) -> Iterator[Mutant]:
    for function, name, source in _sources(connection):
        for edit, statement in _edits(source, _PERMISSION, "ragdb.current_org_no()"):
            yield Mutant(
                "permission not required", f"{function} {edit}", statement, functions=(name,)
            )


def _rights(connection: Connection) -> Iterator[Mutant]:
    """Everything that some request role may not do, granted."""
    roles = (
        "unnest('{ragdb_service,ragdb_worker,ragdb_analyst,ragdb_admin,public}'::text[]) r(role)"
    )
    functions = connection.execute(
        f"""
        select p.oid::regprocedure::text, r.role
          from pg_proc p, {roles}
         where p.pronamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
           and (p.prosecdef or p.proname = 'create_analyst' or p.prorettype = 'trigger'::regtype)
           and not has_function_privilege(r.role, p.oid, 'execute')
         order by 1, 2
        """.encode()
    ).fetchall()
    for function, role in functions:
        yield Mutant(
            "function granted",
            f"{function} to {role}",
            f"grant execute on function {function} to {role}",
        )
    tables = connection.execute(
        f"""
        select c.oid::regclass::text, r.role, string_agg(k.privilege, ', ')
          from pg_class c, {roles},
               unnest('{{select,insert,update,delete,truncate,references,trigger}}'::text[])
                 k(privilege)
         where c.relnamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
           and c.relkind in ('r', 'p', 'v')
           and c.relname !~ 'yoyo|_[0-9][0-9]$'
           and not has_table_privilege(r.role, c.oid, k.privilege)
         group by 1, 2
         order by 1, 2
        """.encode()
    ).fetchall()
    for table, role, privileges in tables:
        what = f"{privileges} on {table} to {role}"
        yield Mutant("right granted", what, f"grant {what}")
    for role in ("ragdb_service", "ragdb_worker", "ragdb_analyst", "ragdb_admin"):
        for what in (
            "usage on schema ragdb_private",
            "usage on schema ai",
            "create on schema ragdb",
        ):
            yield Mutant("right granted", f"{what} to {role}", f"grant {what} to {role}")


def _settings(connection: Connection) -> Iterator[Mutant]:
    rows = connection.execute(
        """
        select p.oid::regprocedure::text, p.prosecdef
          from pg_proc p
         where p.pronamespace::regnamespace::text in ('ragdb', 'ragdb_data', 'ragdb_private')
           and p.proconfig::text ~ 'search_path'
         order by 1
        """
    ).fetchall()
    for function, is_definer in rows:
        other = "invoker" if is_definer else "definer"
        yield Mutant(
            f"made security {other}", function, f"alter function {function} security {other}"
        )
        yield Mutant("search path open", function, f"alter function {function} reset search_path")
