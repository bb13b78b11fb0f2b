"""Two organizations full of words that only the right eyes may see.

Every text a user can write holds a word made for one domain: an organization, its closed
workspace, or one member's own documents and questions. Numbers that are unique only within an
organization are made to collide, so that a forgotten organization shows.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

MEMBERS = {"carol": "developer", "eddy": "editor", "vera": "viewer"}
LOGINS = {
    "analyst": "ragdb_analyst", "rival": "ragdb_analyst", "stranger": "ragdb_analyst",
    "service": "ragdb_service", "worker": "ragdb_worker",
}  # fmt: skip
COMMON = "Keys rotate every ninety days and are kept in the vault."

WORD = re.compile(r"zq[a-z]{10}x")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Vocabulary:
    """Which words and ids belong to which domain."""

    def __init__(self) -> None:
        self.domains: dict[str, set[str]] = defaultdict(set)

    def word(self, domain: str) -> str:
        """A new word of the domain, which no other text holds by chance."""
        word = "zq" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(10)) + "x"
        self.domains[domain].add(word)
        return word

    def outside(self, domains: frozenset[str]) -> set[str]:
        """Everything that belongs to other domains than these."""
        foreign = (words for domain, words in self.domains.items() if domain not in domains)
        return set().union(*foreign) - set().union(*(self.domains[d] for d in domains))


def found(text: str) -> set[str]:
    """Everything in a text that could be a word or an id of a vocabulary."""
    return {*WORD.findall(text), *UUID.findall(text)}


@dataclass
class Item:
    """A document, with the values a thief would ask for."""

    domain: str
    id: str
    workspace: str
    fields: dict[str, Any]
    body_no: int = 0
    document_no: int = 0
    scope_no: int = 0
    chunk_nos: list[int] = field(default_factory=list)


@dataclass
class Party:
    """One organization: its names, members' keys and everything stored for it."""

    domain: str
    slug: str
    org_no: int = 0
    closed: str = ""
    emails: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    def items_of(self, *domains: str) -> list[Item]:
        return [item for item in self.items if item.domain in domains]


@contextmanager
def acting(
    connection: psycopg.Connection[Any], role: str, key: str | None = None, operator: str | None = None
) -> Iterator[None]:
    """A transaction of a superuser's connection, stepped down as the service does it."""
    with connection.transaction():
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        if key is not None:
            connection.execute("select ragdb.begin_context(%s)", (key,))
        if operator is not None:
            connection.execute("select ragdb.begin_operator_context(%s)", (operator,))
        yield


class World:
    """acme and globex, both filled the same way, in one database."""

    def __init__(self, superuser_url: str) -> None:
        self.url = superuser_url
        self.vocabulary = Vocabulary()
        self.logins = {who: f"test_{who}_{secrets.token_hex(6)}" for who in LOGINS}
        self.deleted: set[str] = set()
        self.password = secrets.token_urlsafe()
        with psycopg.connect(superuser_url, autocommit=True, row_factory=dict_row) as connection:
            self.connection = connection
            self.acme = self._populate("acme")
            self._restart_numbers(1)
            self.globex = self._populate("globex")
            self._restart_numbers(10_000)
            self._create_logins()
            connection.execute("update ragdb_data.chunk_vector set is_indexed = chunk_no % 2 = 0")
            connection.execute("analyze")
        del self.connection

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)

    def login(self, who: str) -> psycopg.Connection[Any]:
        """A connection of a real login, as its owner opens it."""
        url = make_conninfo(self.url, user=self.logins[who], password=self.password)
        return psycopg.connect(url, autocommit=True, prepare_threshold=None)

    def drop_logins(self) -> None:
        with self.connect() as connection:
            for login in self.logins.values():
                connection.execute(f"drop owned by {login}; drop role {login}".encode())

    def _create_logins(self) -> None:
        for who, role in LOGINS.items():
            party = {"analyst": self.acme, "rival": self.globex}.get(who)
            if party is None:
                self.connection.execute(
                    f"create role {self.logins[who]} login password '{self.password}' in role {role}".encode()
                )
            else:
                party.emails["analyst"] = f"{self.logins[who]}@sql.invalid"
                self.connection.execute(
                    "select ragdb.create_analyst(%s, %s, %s)",
                    (self.logins[who], party.slug, self.password),
                )

    def _call(self, key: str, function: str, **arguments: object) -> list[dict[str, Any]]:
        with acting(self.connection, "ragdb_service", key):
            named = ", ".join(f"{name} => %({name})s" for name in arguments)
            return self.connection.execute(
                f"select * from ragdb.{function}({named})".encode(), arguments
            ).fetchall()

    def _populate(self, domain: str) -> Party:
        word, connection = self.vocabulary.word, self.connection
        party = Party(domain, slug=word(domain))
        party.emails["admin"] = f"{word(domain)}@{word(domain)}.test"
        with acting(connection, "ragdb_admin"):
            made = connection.execute(
                "select * from ragdb.create_organization(%s, %s, %s, %s)",
                (word(domain), party.slug, party.emails["admin"], word(domain)),
            ).fetchone()
            assert made
            self.vocabulary.domains[domain] |= {
                str(made["organization_id"]), str(made["user_id"])
            }  # fmt: skip
        with acting(connection, "ragdb_admin", operator=party.slug):
            party.keys["admin"] = self._key(domain, p_name=word(domain))
        for name, role in MEMBERS.items():
            self._add_member(party, name, role)
        admin = party.keys["admin"]
        party.closed = word(f"{domain}/closed")
        closed = self._call(
            admin, "create_workspace",
            p_slug=party.closed, p_name=word(f"{domain}/closed"), p_is_open=False,
        )[0]  # fmt: skip
        party.ids["closed"] = str(closed["workspace_id"])
        self.vocabulary.domains[f"{domain}/closed"].add(party.ids["closed"])
        self._call(
            admin, "add_workspace_member", p_workspace=party.closed, p_email=party.emails["carol"]
        )
        self._make_keys(party)
        self._write_documents(party)
        self._look_up(party)
        return party

    def _add_member(self, party: Party, name: str, role: str) -> None:
        word = self.vocabulary.word
        party.emails[name] = f"{word(party.domain)}@{word(party.domain)}.test"
        member = self._call(
            party.keys["admin"], "add_member",
            p_email=party.emails[name], p_role=role, p_name=word(party.domain),
        )[0]  # fmt: skip
        self.vocabulary.domains[party.domain].add(str(member["user_id"]))
        with acting(self.connection, "ragdb_service", party.keys["admin"]):
            party.keys[name] = self._key(
                party.domain, p_name=word(party.domain), p_email=party.emails[name]
            )

    def _key(self, domain: str, **arguments: object) -> str:
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        made = self.connection.execute(
            f"select * from ragdb.create_api_key({named})".encode(), arguments
        ).fetchone()
        assert made
        self.vocabulary.domains[domain].add(str(made["key_id"]))
        return made["key"]

    def _make_keys(self, party: Party) -> None:
        name = self.vocabulary.word(party.domain)
        with acting(self.connection, "ragdb_service", party.keys["admin"]):
            party.keys["limited"] = self._key(party.domain, p_name=name, p_workspace="default")
            party.keys["powerless"] = self._key(
                party.domain, p_name=name, p_email=party.emails["vera"], p_permissions=[]
            )
            spare = self._key(party.domain, p_name=name, p_email=party.emails["vera"])
            found_key = self.connection.execute(
                "select id from ragdb_data.api_key order by key_no desc limit 1"
            ).fetchone()
        assert spare and found_key
        party.ids["key"] = str(found_key["id"])

    def _write_documents(self, party: Party) -> None:
        domain, keys = party.domain, party.keys
        plan = (
            (domain, "admin", "default", "workspace"),
            (domain, "eddy", "default", "organization"),
            (f"{domain}/closed", "carol", party.closed, "workspace"),
            (f"{domain}/carol", "carol", "default", "private"),
            (f"{domain}/carol", "carol", party.closed, "private"),
            (f"{domain}/eddy", "eddy", "default", "private"),
        )
        for owner, member, workspace, visibility in plan:
            for _ in range(2):
                party.items.append(
                    self._put(keys[member], owner, workspace, visibility)
                )  # fmt: skip
            self._forget(party, member, owner, workspace, visibility)
        self._call(
            keys["admin"], "put_document", p_content=COMMON, p_title="Common", p_external_id="common"
        )
        for member in ("admin", "carol", "eddy", "vera"):
            self._ask(party, member)

    def _forget(
        self, party: Party, member: str, domain: str, workspace: str, visibility: str
    ) -> None:
        """A document that was stored, quoted in an answer, and deleted."""
        known = set(self.vocabulary.domains[domain])
        kept = party.items[-1].fields["p_source"]
        item = self._put(party.keys[member], domain, workspace, visibility, p_source=kept)
        self._ask_about(party, member, item, self.vocabulary.word(domain))
        self._call(party.keys[member], "delete_document", p_document_id=item.id)
        self.deleted |= self.vocabulary.domains[domain] - known

    def _put(
        self, key: str, domain: str, workspace: str, visibility: str, **given: object
    ) -> Item:
        def word() -> str:
            return self.vocabulary.word(domain)

        fields: dict[str, Any] = {
            "p_content": f"{COMMON} The {word()} vault belongs to {word()} of {word()}.",
            "p_title": f"Vault {word()}",
            "p_external_id": f"vault/{word()}",
            "p_url": f"https://{word()}.test/{word()}",
            "p_metadata": json.dumps({word(): word(), "area": {"name": [word(), 7]}}),
            "p_labels": [word(), "policy"],
            "p_source": given.get("p_source") or word(),
            "p_date": "2025-01-31",
        }
        row = self._call(
            key, "put_document", p_workspace=workspace, p_visibility=visibility,
            **fields,
        )[0]  # fmt: skip
        self.vocabulary.domains[domain].add(str(row["document_id"]))
        return Item(domain, str(row["document_id"]), workspace, fields)

    def _ask(self, party: Party, member: str) -> None:
        """A stored answer that quotes the most private document the member has."""
        own = f"{party.domain}/{member}"
        item = (party.items_of(own) or party.items_of(party.domain))[0]
        answer = self._ask_about(party, member, item, self.vocabulary.word(own))
        self.vocabulary.domains[own].add(str(answer["answer_id"]))

    def _ask_about(self, party: Party, member: str, item: Item, word: str) -> dict[str, Any]:
        quoted = item.fields["p_content"].removeprefix(COMMON)
        answer = self._call(
            party.keys[member], "ask_finish", p_question=f"{quoted} {word}", p_limit=1
        )[0]
        assert answer["found"] and answer["citations"], "the world needs a stored citation"
        return answer

    def _look_up(self, party: Party) -> None:
        """Numbers that only a superuser can know."""
        one = self.connection.execute(
            "select org_no from ragdb_data.organization where slug = %s", (party.slug,)
        ).fetchone()
        assert one
        party.org_no = one["org_no"]
        for item in party.items:
            row = self.connection.execute(
                """
                select d.document_no, d.body_no, d.scope_no,
                       array(select c.chunk_no from ragdb_data.chunk c
                              where c.org_no = d.org_no and c.body_no = d.body_no) as chunk_nos
                  from ragdb_data.document d
                 where d.id = %s
                """,
                (item.id,),
            ).fetchone()
            assert row
            item.document_no, item.body_no = row["document_no"], row["body_no"]
            item.scope_no, item.chunk_nos = row["scope_no"], row["chunk_nos"]

    def _restart_numbers(self, start: int) -> None:
        """Let the next rows of a tenant table be numbered from here."""
        for row in self.connection.execute(
            """
            select a.attrelid::regclass::text as relation, a.attname
              from pg_attribute a
              join pg_class c on c.oid = a.attrelid
             where c.relnamespace = 'ragdb_data'::regnamespace
               and a.attidentity <> ''
               and c.relname not in ('organization', 'app_user')
            """
        ).fetchall():
            self.connection.execute(
                f"alter table {row['relation']} alter column {row['attname']} restart with {start}"
                .encode()
            )  # fmt: skip
