"""What the upgrade tests share: databases of a server, and trees of SQL files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import as_file
from itertools import count
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ragdb.embedded import Server
from ragdb.sqltree import sql_root

GROUPS = [f"ragdb_{name}" for name in ("owner", "definer", "service", "worker", "analyst", "admin")]
SCHEMAS = ("ragdb", "ragdb_data", "ragdb_private", "ai")

_numbers = count(1)


@dataclass
class Cluster:
    """The server as one test sees it: its logins and databases are gone afterwards."""

    server: Server
    databases: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def superuser(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.superuser_url(database), autocommit=True)

    def superuser_url(self, database: str) -> str:
        return make_conninfo(self.server.superuser_url(), dbname=database)

    def execute(self, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with self.superuser(database) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def login(self, attributes: str = "createrole") -> str:
        name = f"login_{next(_numbers)}"
        self.logins.append(name)
        self.execute(f"create role {name} login password 'secret' {attributes}")
        return name

    def database(self, owner: str, *, options: str = "", vector: bool = True) -> str:
        name = f"upgrade_{next(_numbers)}"
        self.databases.append(name)
        self.execute(f"create database {name} owner {owner} {options}")
        if vector:
            self.execute("create extension vector", name)
        return name

    def url(self, database: str, login: str) -> str:
        return self.server.url(database, login, "secret")

    def installable(self, login: str | None = None) -> str:
        """The URL of a database as an administrator hands it to an installer without privileges."""
        owner = login or self.login()
        return self.url(self.database(owner), owner)

    def superuser_at(self, url: str) -> psycopg.Connection:
        return self.superuser(str(conninfo_to_dict(url)["dbname"]))

    def ask(self, url: str, query: str) -> list[tuple[object, ...]]:
        """The superuser's answer about the database of `url`."""
        return self.execute(query, str(conninfo_to_dict(url)["dbname"]))

    def dump(self, url: str) -> list[str]:
        """The schema as pg_dump writes it, without what differs between two runs of pg_dump."""
        database = str(conninfo_to_dict(url)["dbname"])
        dump = subprocess.run(
            [self.server.binary("pg_dump"), "-s", "-d", self.superuser_url(database)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return [line for line in dump.splitlines() if not re.match(r"--|\\|$", line)]

    def left_behind(self, url: str) -> list[tuple[object, ...]]:
        """Every role, schema and lock of ragdb in the database of `url`."""
        return self.ask(
            url,
            """
            select 'role', rolname::text from pg_roles where rolname ~ '^ragdb_'
            union all
            select 'schema', nspname from pg_namespace where nspname ~ '^(ragdb|ai)'
            union all
            select 'lock', classid::text from pg_locks where locktype = 'advisory'
            """,
        )

    def await_idle(self, url: str) -> None:
        """Wait until the server has noticed that a client was killed."""
        sessions = (
            "select 1 from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid()"
        )
        while self.ask(url, sessions):
            pass

    def clean(self) -> None:
        for database in self.databases:
            self.execute(f"drop database if exists {database} with (force)")
        for role in (*reversed(GROUPS), *self.logins):
            if self.execute(f"select 1 from pg_roles where rolname = '{role}'"):
                self.execute(f"drop role {role}")


@dataclass(frozen=True)
class Tree:
    """A tree of SQL files on disk."""

    root: Path

    @classmethod
    def small(cls, root: Path) -> Tree:
        tree = cls(root)
        real = sql_root()
        for name in ("roles.sql", "migrations/0001_create_schemas.sql", "definers/90_version.sql"):
            tree.write(name, (real / name).read_text())
        for name, text in SMALL.items():
            tree.write(name, text)
        tree.record()
        return tree

    @classmethod
    def real(cls, root: Path) -> Tree:
        """A copy of the tree that ships."""
        with as_file(sql_root()) as shipped:
            shutil.copytree(shipped, root)
        return cls(root)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def record(self) -> None:
        """Write migrations.sum, as sha256sum does."""
        files = sorted((self.root / "migrations").glob("*.sql"))
        sums = (f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
        self.write("migrations.sum", "".join(sums))


SMALL = {
    "migrations/0002_create_note.sql": """
create table ragdb_data.note (
  org_no  int4 not null,
  note_no int4 generated always as identity,
  body    text not null,
  primary key (org_no, note_no)
);
""",
    "migrations/0003_add_note_length.sql": """
-- depends: 0002_create_note
alter table ragdb_data.note add column length int4;
update ragdb_data.note set length = length(body);
""",
    "definers/10_org.sql": """
create or replace function ragdb.current_org() returns int4
  language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select nullif(current_setting('ragdb.org', true), '')::int4 $$;
""",
    "functions/10_notes.sql": """
create or replace function ragdb.notes() returns setof ragdb_data.note
  language sql stable security invoker set search_path = pg_catalog, pg_temp
as $$ select * from ragdb_data.note $$;

create or replace function ragdb.nearest() returns float8
  language sql stable security invoker set search_path = pg_catalog, pg_temp
  set hnsw.iterative_scan = 'relaxed_order'
as $$ select '[1]'::public.vector operator(public.<->) '[2]'::public.vector $$;
""",
    "triggers/10_note.sql": """
create or replace function ragdb_private.measure() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$ begin new.length := length(new.body); return new; end $$;

create or replace trigger measure before insert or update on ragdb_data.note
  for each row execute function ragdb_private.measure();
""",
    "views/10_notes.sql": """
create or replace view ragdb.note_lengths with (security_invoker = true) as
  select note_no, length from ragdb_data.note;
""",
    "policies/10_note.sql": """
alter table ragdb_data.note enable row level security;
drop policy if exists note_org on ragdb_data.note;
create policy note_org on ragdb_data.note
  using (org_no = (select ragdb.current_org())) with check (org_no = (select ragdb.current_org()));
""",
    "privileges/99_privileges.sql": """
grant usage on schema ragdb, ragdb_data to ragdb_service;
grant execute on all functions in schema ragdb to ragdb_service;
grant select, insert on all tables in schema ragdb_data, ragdb to ragdb_service;
set local role ragdb_definer;
grant execute on function ragdb.current_org() to ragdb_service;
""",
    "seed/10_note.sql": """
insert into ragdb_data.note (org_no, body) select 0, 'seed'
 where not exists (select from ragdb_data.note);
""",
}

UPGRADE = """
import os, signal, sys
from pathlib import Path
from ragdb.install import upgrade

url, root, fatal = sys.argv[1:]
steps = 0

def progress(step):
    global steps
    steps += 1
    if steps == int(fatal):
        os.kill(os.getpid(), signal.SIGKILL)

print("changed" if upgrade(url, progress=progress, sql=Path(root)).changed else "unchanged", steps)
"""


def start_upgrade(url: str, root: Path, *, die_at: int = 0) -> subprocess.Popen[str]:
    """Upgrade in a process of its own, which kills itself at the step `die_at`."""
    return subprocess.Popen(
        [sys.executable, "-c", UPGRADE, url, str(root), str(die_at)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    done = [(process, *process.communicate(timeout=120)) for process in processes]
    return [(process.returncode, out.strip(), err.strip()) for process, out, err in done]
