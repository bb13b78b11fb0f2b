"""How the two organizations are filled: alike, but so that their numbers mean different things.

What is numbered within an organization (documents, chunks, workspaces, scopes, ...) has the same
numbers in both, shifted a little. A statement that forgets the organization finds rows of the
other one, and not the like ones.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import psycopg
from models import embed, register
from psycopg.rows import dict_row
from sourced import add_sources
from work import enqueue_jobs
from world import COMMON, Item, Logins, Party, Vocabulary, World, acting

MEMBERS = {"carol": "developer", "eddy": "editor", "vera": "viewer"}
LOGINS = {
    "analyst": "ragdb_analyst", "rival": "ragdb_analyst", "stranger": "ragdb_analyst",
    "service": "ragdb_service", "worker": "ragdb_worker",
}  # fmt: skip
# A person with an account in both organizations, and little to say in one of them.
GUEST = "guest@both.test"


def populate(superuser_url: str) -> World:
    """Fill a database that was just installed."""
    with psycopg.connect(superuser_url, autocommit=True, row_factory=dict_row) as connection:
        populator = Populator(connection)
        register(connection)
        populator.restart_numbers(workspace=2, document=2)
        acme = populator.organization("acme", guest="viewer")
        populator.restart_numbers()
        globex = populator.organization("globex", guest="admin")
        logins = populator.logins(acme, globex)
        # New rows of one find old numbers of the other nowhere.
        populator.restart_numbers(10_000)
        connection.execute("update ragdb_data.chunk_vector set is_indexed = chunk_no % 2 = 0")
        populator.retrain()
        connection.execute("analyze")
    return World(superuser_url, acme, globex, populator.vocabulary, logins)


class Populator:
    """One superuser's connection that acts as everybody."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.connection = connection
        self.vocabulary = Vocabulary()
        self.word = self.vocabulary.word

    def retrain(self) -> None:
        """A newer embedding table has come; only what members share is left to be embedded."""
        self.connection.execute(
            "insert into ragdb_data.embedding_table_version"
            " select 'newer', 'newer', now(), version + 1, 0, 0, 0"
            " from ragdb_data.embedding_table_version"
        )
        self.connection.execute(
            "insert into ragdb_data.embedding_token (version, token, embedding)"
            " select version + 1, token, embedding from ragdb_data.embedding_token"
        )
        self.connection.execute(
            "insert into ragdb_data.outdated_organization (org_no, version, scopes, done_to)"
            " select org_no, 1, array_agg(scope_no), array_agg(0)"
            " from ragdb_data.scope where user_no is null group by org_no"
        )

    def organization(self, domain: str, guest: str) -> Party:
        party = Party(domain, slug=self.word(domain))
        party.emails["admin"] = self._email(domain)
        with acting(self.connection, "ragdb_admin"):
            made = self.one(
                "select * from ragdb.create_organization(%s, %s, %s, %s)",
                self.word(domain), party.slug, party.emails["admin"], self.word(domain),
            )  # fmt: skip
        self.vocabulary.domains[domain] |= {str(made["organization_id"]), str(made["user_id"])}
        with acting(self.connection, "ragdb_admin", operator=party.slug):
            party.keys["admin"] = self._key(domain, p_name=self.word(domain))
        for name, role in MEMBERS.items():
            party.emails[name] = self._email(domain)
            self._add_member(party, name, role, self.word(domain))
        party.emails["guest"] = GUEST
        self._add_member(party, "guest", guest, "Guest")
        self._workspaces(party)
        self._special_keys(party)
        self._chunk_profiles(party)
        self._documents(party)
        enqueue_jobs(self, party)
        add_sources(self, party)
        self._synonyms(party)
        self._look_up(party)
        self._seal(party)
        embed(self, party)
        return party

    def logins(self, acme: Party, globex: Party) -> Logins:
        names = {who: f"test_{who}_{secrets.token_hex(6)}" for who in LOGINS}
        logins = Logins(names, secrets.token_urlsafe())
        for who, party in (("analyst", acme), ("rival", globex)):
            party.emails["analyst"] = f"{names[who]}@sql.invalid"
            self.connection.execute(
                "select ragdb.create_analyst(%s, %s, %s)", (names[who], party.slug, logins.password)
            )
        for who in ("stranger", "service", "worker"):
            self.connection.execute(
                f"create role {names[who]} login password '{logins.password}' in role {LOGINS[who]}"
                .encode()
            )  # fmt: skip
        self.call(
            globex.keys["admin"], "add_member",
            p_email=acme.emails["analyst"], p_role="admin", p_name="Analyst",
        )  # fmt: skip
        return logins

    def restart_numbers(self, start: int = 1, **others: int) -> None:
        """Let the next rows of tenant tables be numbered from here."""
        for row in self.connection.execute(
            """
            select c.relname, a.attname
              from pg_attribute a
              join pg_class c on c.oid = a.attrelid
             where c.relnamespace = 'ragdb_data'::regnamespace
               and a.attidentity <> ''
               and c.relname not in ('organization', 'app_user')
            """
        ).fetchall():
            number = others.get(row["relname"], start)
            self.connection.execute(
                f"alter table ragdb_data.{row['relname']}"
                f" alter column {row['attname']} restart with {number}".encode()
            )

    def one(self, statement: str, *arguments: object) -> dict[str, Any]:
        row = self.connection.execute(statement.encode(), arguments).fetchone()
        assert row
        return row

    def call(self, key: str, function: str, **arguments: object) -> list[dict[str, Any]]:
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        with acting(self.connection, "ragdb_service", key):
            return self.connection.execute(
                f"select * from ragdb.{function}({named})".encode(), arguments
            ).fetchall()

    def _email(self, domain: str) -> str:
        return f"{self.word(domain)}@{self.word(domain)}.test"

    def _add_member(self, party: Party, name: str, role: str, called: str) -> None:
        member = self.call(
            party.keys["admin"], "add_member",
            p_email=party.emails[name], p_role=role, p_name=called,
        )[0]  # fmt: skip
        if name != "guest":
            self.vocabulary.domains[party.domain].add(str(member["user_id"]))
        with acting(self.connection, "ragdb_service", party.keys["admin"]):
            party.keys[name] = self._key(
                party.domain, p_name=self.word(party.domain), p_email=party.emails[name]
            )

    def _key(self, domain: str, **arguments: object) -> str:
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        made = self.connection.execute(
            f"select * from ragdb.create_api_key({named})".encode(), arguments
        ).fetchone()
        assert made
        self.vocabulary.domains[domain].add(str(made["key_id"]))
        return made["key"]

    def _chunk_profiles(self, party: Party) -> None:
        domains = {"default": party.domain, party.closed: f"{party.domain}/closed"}
        for workspace, domain in domains.items():
            self.call(
                party.keys["admin"], "put_chunk_profile",
                p_mime=f"text/{self.word(domain)}", p_profile='"sentences"',
                p_workspace=workspace,
            )  # fmt: skip

    def _special_keys(self, party: Party) -> None:
        name = self.word(party.domain)
        with acting(self.connection, "ragdb_service", party.keys["admin"]):
            party.keys["limited"] = self._key(party.domain, p_name=name, p_workspace="default")
            party.keys["powerless"] = self._key(
                party.domain, p_name=name, p_email=party.emails["vera"], p_permissions=[]
            )
            self._key(party.domain, p_name=name, p_email=party.emails["vera"])
            spare = self.one("select id from ragdb_data.api_key order by key_no desc limit 1")
        party.ids["key"] = str(spare["id"])

    def _workspaces(self, party: Party) -> None:
        """acme: 2 default, 3 and 4 closed; globex: 1 default, 2 closed, 3 open, 4 the guest's."""
        domain, admin = f"{party.domain}/closed", party.keys["admin"]
        plan = [(self.word(domain), False, "carol"), (self.word(domain), False, "carol")]
        if party.domain == "globex":
            plan[1:] = [(self.word(party.domain), True, None), (self.word(domain), False, "guest")]
            self.connection.execute(
                "update ragdb_data.workspace set language = 'german' where slug = 'default'"
                " and org_no = (select max(org_no) from ragdb_data.organization)"
            )
        for slug, is_open, member in plan:
            name = self.word(party.domain if is_open else domain)
            made = self.call(
                admin, "create_workspace", p_slug=slug, p_name=name, p_is_open=is_open
            )[0]
            if member:
                self.call(
                    admin, "add_workspace_member", p_workspace=slug, p_email=party.emails[member]
                )
            party.workspaces[slug] = str(made["workspace_id"])
            self.vocabulary.domains[party.domain if is_open else domain].add(
                str(made["workspace_id"])
            )
        party.closed = plan[0][0]
        party.ids["closed"] = party.workspaces[party.closed]

    def _documents(self, party: Party) -> None:
        domain = party.domain
        self._plain(party, "sealed", f"{COMMON} Sealed, then deleted.")
        # One text for two documents here, more chunks and documents there: the numbers drift.
        more = {f"more/{n}": f"How often do keys rotate? {n}. {COMMON}" for n in range(4)}
        drift = {
            "acme": dict.fromkeys(("one", "two"), f"{COMMON} It is said twice."),
            "globex": {"long": f"{COMMON}\n\n" + "How often? Keys, rotate keys.\n\n" * 90, **more},
        }
        for name, content in drift[domain].items():
            self._plain(party, name, content)
        second = list(party.workspaces)[1]
        plan = (
            (domain, "admin", "default", "workspace"),
            (domain, "eddy", "default", "organization"),
            (f"{domain}/closed" if domain == "acme" else domain, "admin", second, "workspace"),
            (f"{domain}/closed", "carol", party.closed, "workspace"),
            (f"{domain}/carol", "carol", "default", "private"),
            (f"{domain}/carol", "carol", party.closed, "private"),
            (f"{domain}/eddy", "eddy", "default", "private"),
        )
        for owner, member, workspace, visibility in plan:
            made = [self._put(party.keys[member], owner, workspace, visibility) for _ in range(2)]
            party.items += made
            self._forget(party, member, made[-1], visibility)
        self._plain(party, "common", COMMON)
        for member in ("admin", "carol", "eddy", "vera"):
            self._ask(party, member)
        self._say(party)
        if domain == "globex":
            for number in range(20):
                self._plain(party, f"late/{number}", f"Rotate keys {number}. {COMMON}")

    def _plain(self, party: Party, external_id: str, content: str) -> None:
        """A document without a word of its own; the same name in both organizations."""
        made = self.call(
            party.keys["admin"], "put_document",
            p_content=content, p_title="Common", p_external_id=external_id,
        )[0]  # fmt: skip
        party.ids[external_id] = str(made["document_id"])
        self.call(
            party.keys["admin"], "keep_original", p_document_id=made["document_id"],
            p_name="common.txt", p_mime="text/plain", p_content=b"Common",
        )  # fmt: skip

    def _put(self, key: str, domain: str, workspace: str, visibility: str, **given: object) -> Item:
        def word() -> str:
            return self.word(domain)

        fields: dict[str, Any] = {
            "p_content": f"{COMMON} The {word()} vault belongs to {word()} of {word()}.",
            "p_title": f"Vault {word()}",
            "p_external_id": f"vault/{word()}",
            "p_url": f"https://{word()}.test/{word()}",
            "p_metadata": json.dumps({word(): word(), "area": {"name": [word(), 7]}}),
            "p_labels": [word(), "policy"],
            "p_source": word(),
            "p_date": "2025-01-31",
        } | given
        row = self.call(
            key, "put_document", p_workspace=workspace, p_visibility=visibility, **fields
        )[0]
        self.vocabulary.domains[domain].add(str(row["document_id"]))
        self.call(
            key, "keep_original", p_document_id=row["document_id"], p_name=f"{word()}.pdf",
            p_mime=f"application/{word()}", p_content=fields["p_content"].encode(),
        )  # fmt: skip
        return Item(domain, str(row["document_id"]), workspace, fields)

    def _forget(self, party: Party, member: str, like: Item, visibility: str) -> None:
        """A document that was stored, quoted in an answer, and deleted."""
        key, words = party.keys[member], self.vocabulary.domains[like.domain]
        known = set(words)
        source = like.fields["p_source"]
        item = self._put(key, like.domain, like.workspace, visibility, p_source=source)
        self._ask_about(party, member, item, self.word(like.domain))
        self.call(key, "delete_document", p_document_id=item.id)
        self.vocabulary.deleted |= words - known

    def _ask(self, party: Party, member: str) -> None:
        """A stored answer that quotes the most private document the member has."""
        own = f"{party.domain}/{member}"
        item = (party.items_of(own) or party.items_of(party.domain))[0]
        answer = self._ask_about(party, member, item, self.word(own))
        self.vocabulary.domains[own].add(str(answer["answer_id"]))

    def _say(self, party: Party) -> None:
        """Judgements and weights, everybody's runs, and what members said of results."""
        for item in (party.items_of(party.domain)[0], party.items_of(f"{party.domain}/closed")[-1]):
            fields, workspace = item.fields, item.workspace
            judged = {
                "query_id": self.word(item.domain), "query": f"vault {self.word(item.domain)}",
                "documents": {fields["p_external_id"]: 1},
            }  # fmt: skip
            self.call(
                party.keys["admin"], "put_judgements",
                p_dataset="said", p_judgements=json.dumps([judged]), p_workspace=workspace,
            )  # fmt: skip
            self.call(
                party.keys["admin"], "set_ranking_weights",
                p_vector_weight=1.1, p_workspace=workspace,
            )  # fmt: skip
            self.call(
                party.keys["carol"], "record_feedback",
                p_value=1, p_query=self.word(item.domain), p_document_id=item.id,
            )  # fmt: skip
        for member in ("admin", "carol", "eddy", "vera"):
            run = self.call(
                party.keys[member], "evaluate",
                p_dataset="said", p_config=json.dumps({"modes": ["hybrid"]}),
            )[0]  # fmt: skip
            self.vocabulary.domains[f"{party.domain}/{member}"].add(str(run["run_id"]))
            self.call(
                party.keys[member], "record_feedback",
                p_value=1, p_query=self.word(party.domain),
                p_document_id=party.items_of(party.domain)[2].id,
            )  # fmt: skip

    def _ask_about(self, party: Party, member: str, item: Item, word: str) -> dict[str, Any]:
        quoted = item.fields["p_content"].removeprefix(COMMON)
        answer = self.call(
            party.keys[member], "ask_finish", p_question=f"{quoted} {word}", p_limit=1
        )[0]
        assert answer["found"] and answer["citations"], "the world needs a stored citation"
        return answer

    def _synonyms(self, party: Party) -> None:
        """Other words for what everybody asks about, in the organization and in a closed part."""
        closed = f"{party.domain}/closed"
        for domain, member, workspace in (
            (party.domain, "admin", None),
            (closed, "carol", party.closed),
        ):
            for word, other in (
                ("keys", self.word(domain)), ("keys", "passkeys"),
                # A slip of the pen in one of them, and a word in the other.
                (self.word(domain) if party.domain == "acme" else "vualt", self.word(domain)),
            ):  # fmt: skip
                self.call(
                    party.keys[member], "put_synonyms",
                    p_word=word, p_synonyms=[other], p_workspace=workspace,
                )  # fmt: skip

    def _seal(self, party: Party) -> None:
        """Half of the postings of each scope into segments, as the work of a great scope would."""
        scopes = self.connection.execute(
            "select scope_no, array_agg(chunk_no order by chunk_no) as chunks"
            " from ragdb_data.chunk where org_no = %s group by scope_no order by scope_no",
            (party.org_no,),
        ).fetchall()
        with acting(self.connection, "ragdb_owner", party.keys["admin"]):
            for number, scope in enumerate(scopes):
                half = scope["chunks"][::2]
                self.one("select ragdb_data._seal(%s, %s)", scope["scope_no"], half)
                if number == 1:  # in which some words are said twice
                    self.one("select ragdb_data._learn_words()")
        # A document that goes after that leaves a masked slot.
        self.call(party.keys["admin"], "delete_documents", p_document_ids=[party.ids["sealed"]])

    def _look_up(self, party: Party) -> None:
        """Numbers that only a superuser can know."""
        party.org_no = self.one(
            "select org_no from ragdb_data.organization where slug = %s", party.slug
        )["org_no"]
        for item in party.items:
            row = self.one(
                """
                select d.document_no, d.body_no, d.scope_no,
                       array(select c.chunk_no from ragdb_data.chunk c
                              where c.org_no = d.org_no and c.body_no = d.body_no) as chunk_nos
                  from ragdb_data.document d
                 where d.id = %s
                """,
                item.id,
            )
            item.document_no, item.body_no = row["document_no"], row["body_no"]
            item.scope_no, item.chunk_nos = row["scope_no"], row["chunk_nos"]
