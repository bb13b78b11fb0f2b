"""Two organizations full of words that only the right eyes may see.

Every text a user can write holds a word made for one domain: an organization, its closed
workspaces, or one member's own documents and questions. See population.py for how they are made.
"""

from __future__ import annotations

import re
import secrets
import string
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

COMMON = "Keys rotate every ninety days and are kept in the vault."

WORD = re.compile(r"zq[a-z]{10}x")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Vocabulary:
    """Which words and ids belong to which domain."""

    def __init__(self) -> None:
        self.domains: dict[str, set[str]] = defaultdict(set)
        self.deleted: set[str] = set()
        """Words of documents that were deleted."""

    def word(self, domain: str) -> str:
        """A new word of the domain, which no other text holds by chance."""
        word = "zq" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(10)) + "x"
        self.domains[domain].add(word)
        return word

    def mirrored(self) -> Vocabulary:
        """The same with either organization's domains under the other one's names."""
        mirrored = Vocabulary()
        for domain, words in self.domains.items():
            mirrored.domains[_mirrored(domain)] = words
        mirrored.deleted = self.deleted
        return mirrored

    def outside(self, domains: frozenset[str]) -> set[str]:
        """Everything that belongs to other domains than these."""
        foreign = (words for domain, words in self.domains.items() if domain not in domains)
        return set().union(*foreign) - set().union(*(self.domains[d] for d in domains))


def _mirrored(domain: str) -> str:
    name, slash, part = domain.partition("/")
    return {"acme": "globex", "globex": "acme"}[name] + slash + part


def found(text: str) -> set[str]:
    """Everything in a text that could be a word or an id of a vocabulary."""
    return {*WORD.findall(text), *UUID.findall(text)}


@dataclass
class Logins:
    """SQL logins under names that no other database of the server has."""

    names: dict[str, str]
    password: str


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
    workspaces: dict[str, str] = field(default_factory=dict)
    """Slugs and ids, without the one named default."""
    items: list[Item] = field(default_factory=list)

    def mirrored(self) -> Party:
        """The same under the other one's name."""
        items = [replace(item, domain=_mirrored(item.domain)) for item in self.items]
        return replace(self, domain=_mirrored(self.domain), items=items)

    def items_of(self, *domains: str) -> list[Item]:
        return [item for item in self.items if item.domain in domains]


@contextmanager
def acting(
    connection: psycopg.Connection[Any],
    role: str,
    key: str | None = None,
    operator: str | None = None,
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
    """acme and globex, in one database, and logins that know them."""

    def __init__(
        self, url: str, acme: Party, globex: Party, vocabulary: Vocabulary, logins: Logins
    ) -> None:
        self.url, self.acme, self.globex = url, acme, globex
        self.vocabulary, self.logins = vocabulary, logins.names
        self._password = logins.password

    def mirrored(self) -> World:
        """The same, where acme is globex and globex is acme: whose rows come first is the other."""
        vocabulary = self.vocabulary.mirrored()
        logins = Logins(self.logins, self._password)
        return World(self.url, self.globex.mirrored(), self.acme.mirrored(), vocabulary, logins)

    def connect(self) -> psycopg.Connection[Any]:
        """A superuser's connection."""
        return psycopg.connect(self.url, autocommit=True, prepare_threshold=None)

    def login(self, who: str) -> psycopg.Connection[Any]:
        """A connection of a real login, as its owner opens it."""
        url = make_conninfo(self.url, user=self.logins[who], password=self._password)
        return psycopg.connect(url, autocommit=True, prepare_threshold=None)

    def drop_logins(self) -> None:
        with self.connect() as connection:
            for login in self.logins.values():
                connection.execute(f"drop owned by {login}; drop role {login}".encode())
