"""Who looks at the world: a role, a credential, and the domains that are theirs to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from world import UUID, World

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Subject:
    """One pair of eyes. `sees` are domains; whoever has no credential sees none."""

    name: str
    role: str
    sees: frozenset[str] = frozenset()
    member: str = ""
    key: str = ""
    operator: bool = False
    lease: bool = False

    @property
    def is_known(self) -> bool:
        return bool(self.sees)

    @property
    def is_analyst(self) -> bool:
        """Whether the login itself is the credential."""
        return self.role == "ragdb_analyst"

    @property
    def bypasses_policies(self) -> bool:
        return self.role == "ragdb_owner"


def _subject(name: str, role: str, *sees: str, **fields: Any) -> Subject:
    return Subject(name, role, frozenset(sees), **fields)


_ALL_OF_ACME = ("acme", *(f"acme/{part}" for part in ("closed", "admin", "carol", "eddy", "vera")))

SUBJECTS = (
    _subject(
        "admin", "ragdb_service", "acme", "acme/closed", "acme/admin", member="admin", key="admin"
    ),
    _subject(
        "carol", "ragdb_service", "acme", "acme/closed", "acme/carol", member="carol", key="carol"
    ),
    _subject("eddy", "ragdb_service", "acme", "acme/eddy", member="eddy", key="eddy"),
    _subject("vera", "ragdb_service", "acme", "acme/vera", member="vera", key="vera"),
    _subject("limited", "ragdb_service", "acme", "acme/admin", member="admin", key="limited"),
    _subject("powerless", "ragdb_service", "acme", "acme/vera", member="vera", key="powerless"),
    _subject("analyst", "ragdb_analyst", "acme", member="analyst"),
    _subject(
        "operator", "ragdb_admin", "acme", "acme/closed", "acme/admin",
        member="admin", operator=True,
    ),
    # Tables' owner, whom no policy binds: what is left is the organization each function states.
    _subject("owner", "ragdb_owner", *_ALL_OF_ACME, member="admin", key="admin"),
    _subject("service without key", "ragdb_service"),
    _subject("worker", "ragdb_worker"),
    _subject("stranger", "ragdb_analyst"),
)  # fmt: skip
BY_NAME = {subject.name: subject for subject in SUBJECTS}
# The owner again, under the lease of a job that embeds: see drain_probe.py.
DRAINER = _subject("drainer", "ragdb_owner", *_ALL_OF_ACME, member="admin", lease=True)

# For operators and workers, whose work spans organizations.
OPERATORS_ONLY = frozenset(
    {"organizations", "create_organization", "begin_operator_context", "create_analyst",
     "_register_login", "drop_vector_index", "build_vector_index", "analyze_tables",
     "register_embedding_model", "drop_embedding_model"}
)  # fmt: skip
WORKERS_ONLY = frozenset(
    {"begin_worker_context", "claim_jobs", "heartbeat", "finish_job", "fail_job", "release_job",
     "tick", "_requeue_jobs", "_end_lease", "_leased_job", "open_source", "reseal_source",
     "sealed_sources", "_queue_embedding", "embedding_protocols", "reserve_embedding",
     "block_embedding"}
)  # fmt: skip
# What is a worker's, and for one organization: the tables' owner shows for which.
OPENED = frozenset({"open_source", "reseal_source"})
# What a worker sees of all organizations while it acts for none.
QUEUE = ("job", "job_detail", "schedule", "upload", "embedding_queue", "organization_model")

TENANT_TABLES: LiteralString = """
    select c.relname,
           array_agg(a.attname::text order by a.attnum) as columns,
           array_agg(a.attname::text order by a.attnum) filter (
             where a.atttypid <> 'public.halfvec'::regtype) as comparable
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'ragdb_data'::regnamespace
       and c.relkind in ('r', 'p') and not c.relispartition
     group by c.oid
     order by 1
"""


@dataclass(frozen=True)
class Boundary:
    """The conditions that tell a subject's rows from the hidden ones, as a superuser sees them."""

    tables: list[tuple[str, list[str], list[str]]]
    numbers: dict[str, Any]
    spans_queue: bool

    @classmethod
    def of(cls, connection: Connection, world: World, subject: Subject) -> Boundary:
        tables = connection.execute(TENANT_TABLES).fetchall()
        spans_queue = subject.role == "ragdb_worker"
        return cls(tables, cls._numbers(connection, world, subject), spans_queue)

    @staticmethod
    def _numbers(connection: Connection, world: World, subject: Subject) -> dict[str, Any]:
        party = world.acme
        closed_is_hidden = "acme/closed" not in subject.sees
        row = connection.execute(
            """
            select coalesce((select user_no from ragdb_data.app_user where email = %(email)s), -1),
                   array(select workspace_no from ragdb_data.workspace
                          where org_no = %(org)s and %(hide)s and slug = any (%(closed)s))
            """,
            {
                "email": party.emails.get(subject.member, ""), "org": party.org_no,
                "hide": closed_is_hidden, "closed": list(party.workspaces),
            },
        ).fetchone()  # fmt: skip
        assert row
        return {
            "org": party.org_no if subject.is_known else -1,
            "user": row[0],
            "closed": row[1],
            "everyone": subject.bypasses_policies,
            "tunes": subject.bypasses_policies or subject.member in ("admin", "carol"),
        }

    def hidden(
        self, connection: Connection
    ) -> Iterator[tuple[str, list[str], str, dict[str, Any]]]:
        """Each tenant table: name, comparable columns, and the condition of its hidden rows."""
        numbers = dict(self.numbers)
        scopes = connection.execute(
            """
            select array(select scope_no from ragdb_data.scope
                          where org_no = %(org)s
                            and (%(everyone)s or user_no is null or user_no = %(user)s)
                            and coalesce(workspace_no <> all (%(closed)s), true))
            """,
            numbers,
        ).fetchone()
        assert scopes
        numbers["scopes"] = scopes[0]
        for name, columns, comparable in self.tables:
            if name == "app_user":
                condition = (
                    "user_no not in (select m.user_no from ragdb_data.membership m"
                    " where m.org_no = %(org)s)"
                )
            elif name == "embedding_rate" and not self.spans_queue:
                condition = "true"
            elif "org_no" not in columns or (self.spans_queue and name in QUEUE):
                continue
            else:
                condition = "org_no <> %(org)s"
                if "scope_no" in columns:
                    condition += " or scope_no <> all (%(scopes)s)"
                    if name == "feedback":
                        condition += " or user_no <> %(user)s and not %(tunes)s"
                elif "workspace_no" in columns and name != "api_key":
                    condition += " or workspace_no = any (%(closed)s)"
                elif name.startswith(
                    ("answer", "evaluation", "query_embedding", "job_detail", "upload")
                ):
                    condition += " or user_no <> %(user)s and not %(everyone)s"
            yield name, comparable, condition, numbers

    def hide(self, connection: Connection) -> None:
        """Delete every hidden row, as if it had never been."""
        tables = list(self.hidden(connection))
        connection.execute("set local session_replication_role = replica")
        for name, _, condition, numbers in sorted(tables, key=lambda table: table[0] != "app_user"):
            connection.execute(f"delete from ragdb_data.{name} where {condition}".encode(), numbers)
        connection.execute("set local session_replication_role = origin")

    def state(self, connection: Connection) -> str:
        """The subject's own rows, table by table: how many, and a hash of what lasts in them."""
        tables = list(self.hidden(connection))
        union = " union all ".join(
            f"select '{name}=' || count(*) || '/' || coalesce(sum(hashtextextended(regexp_replace("
            f"row({', '.join(_lasting(columns))})::text, %(uuid)s, '', 'g'), 0)::numeric %% 99991),"
            f" 0) as n from ragdb_data.{name} where coalesce(not ({condition}), true)"
            for name, columns, condition, _ in tables
        )
        row = connection.execute(
            f"select string_agg(u.n, ' ' order by u.n collate \"C\") from ({union}) u".encode(),
            tables[0][3] | {"uuid": UUID.pattern},
        ).fetchone()
        assert row
        return row[0]

    def fingerprint(self, connection: Connection) -> str:
        """Versions of all hidden rows: what a subject must not be able to change or touch."""
        tables = list(self.hidden(connection))
        union = " union all ".join(
            f"select '{name}' as name,"
            " sum(hashtextextended(ctid::text || xmin || tableoid, 0)::numeric) as versions"
            f" from ragdb_data.{name} where {condition}"
            for name, _, condition, _ in tables
        )
        row = connection.execute(
            f"select string_agg(name || versions, ' ' order by name) from ({union}) u".encode(),
            tables[0][3],
        ).fetchone()
        assert row
        return str(row[0])


def step_down(connection: Connection, world: World, subject: Subject) -> None:
    """Become the subject for the rest of this transaction of a superuser's connection."""
    if subject.bypasses_policies:
        _prepare_owner(connection, world.acme.org_no)
    if subject.is_analyst:
        login = sql.Identifier(world.logins[subject.name])
        connection.execute(sql.SQL("set local session authorization {}").format(login))
        return
    if subject.lease:
        job = connection.execute(
            "select org_no, job_no, token from ragdb_data.job where org_no = %s"
            " and kind = 'embed' and status = 'running' order by job_no limit 1",
            (world.acme.org_no,),
        ).fetchone()
        assert job
        connection.execute("set local role ragdb_worker")
        connection.execute("select ragdb.begin_worker_context(%s, %s, %s)", job)
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(subject.role)))
    if subject.key:
        connection.execute("select ragdb.begin_context(%s)", (world.acme.keys[subject.key],))
    elif subject.operator:
        connection.execute("select ragdb.begin_operator_context(%s)", (world.acme.slug,))


def _lasting(columns: list[str]) -> list[str]:
    """Columns that hold no number, id or time given to a row when it is made."""
    given = re.compile("(_no|_at|_after|_until)$|^(id|prefix)$")
    return ["1"] + [c for c in columns if not given.search(c)]


def _prepare_owner(connection: Connection, org_no: int) -> None:
    """Let the owner call everything, and give what it writes numbers that globex has used."""
    connection.execute("grant execute on all routines in schema ragdb, ragdb_data to ragdb_owner")
    columns = connection.execute(
        """
        select c.oid::regclass::text, a.attname
          from pg_attribute a
          join pg_class c on c.oid = a.attrelid
         where c.relnamespace = 'ragdb_data'::regnamespace
           and a.attidentity <> ''
           and c.relname not in ('organization', 'app_user', 'embedding_model')
        """
    ).fetchall()
    for table, column in columns:
        row = connection.execute(
            f"select coalesce(max({column}), 0) + 1 from {table} where org_no = %s".encode(),
            (org_no,),
        ).fetchone()
        assert row
        connection.execute(
            f"alter table {table} alter column {column} restart with {row[0]}".encode()
        )


@contextmanager
def rolled_back(connection: Connection) -> Iterator[None]:
    """A transaction, or part of one, of which nothing remains."""
    with connection.transaction(force_rollback=True):
        yield
