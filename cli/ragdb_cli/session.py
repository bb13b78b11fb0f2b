"""One run of the command line: its options, settings, output and way to the database."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ragdb_cli.output import Output

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    from ragdb.db import Caller, Database
    from ragdb.settings import Settings


@dataclass
class Options:
    """The options every command takes."""

    as_json: bool = False
    quiet: bool = False
    home: Path | None = None
    database_url: str | None = None
    operator_url: str | None = None


@dataclass(frozen=True)
class Client:
    """The database, called as one caller."""

    database: Database
    caller: Caller

    def call(self, function: str, *, read_only: bool = False, **arguments: object) -> list[DictRow]:
        """Call ragdb.<function>; raises RagdbError."""
        return self.database.call(self.caller, function, read_only=read_only, **arguments)

    def embed_queries(self, *queries: str, model: str | None = None) -> None:
        """Have the model that searches use, or another, embed queries, where it is no table."""
        rows = self.call(
            "begin_query_embedding", read_only=True, p_queries=list(queries), p_model=model
        )
        if rows:
            import asyncio

            import msgspec

            from ragdb.embeddings.queries import Wanted, embedded

            function, arguments = asyncio.run(embedded(msgspec.convert(rows[0], Wanted)))
            self.call(function, **arguments)

    def read(self, view: str) -> list[DictRow]:
        """The rows of the view ragdb.<view>."""
        return self.database.read(self.caller, view)


@dataclass
class Session:
    """Handed to every command; what it does not ask for is neither imported nor connected."""

    options: Options = field(default_factory=Options)

    @cached_property
    def output(self) -> Output:
        return Output(self.options)

    @cached_property
    def settings(self) -> Settings:
        """Settings by option, then environment, then credentials file."""
        from ragdb import settings

        environ = dict(os.environ)
        given = {
            f"--{name.replace('_', '-')}": (name, value)
            for name in ("database_url", "operator_url")
            if (value := getattr(self.options, name))
        }
        for name, value in given.values():
            environ[f"RAGDB_{name.upper()}"] = value
            environ.pop(f"RAGDB_{name.upper()}_FILE", None)
        loaded = settings.load(self.options.home, environ)
        sources = {name: option for option, (name, _) in given.items()}
        if self.options.home:
            sources["home"] = "--home"
        return replace(loaded, sources={**loaded.sources, **sources})

    @contextmanager
    def member(self) -> Generator[Client]:
        """The database, as whoever the API key stands for."""
        from ragdb.db import Caller, Database
        from ragdb.errors import Problem, RagdbError

        url, key = self.settings.database_url, self.settings.api_key
        if url is None:
            raise RagdbError(
                Problem(503, "not_installed", f"Nothing is set up in {self.settings.home}.")
            )
        if key is None:
            raise RagdbError(
                Problem(
                    401, "no_api_key", "There is no API key.",
                    "Set RAGDB_API_KEY; an operator can make one: ragdb key create NAME --org SLUG",
                )
            )  # fmt: skip
        with Database.connect(url) as database:
            yield Client(database, Caller(api_key=key))

    @contextmanager
    def operator(self, organization: str | None = None) -> Generator[Client]:
        """The database, as an operator, who may act for an organization."""
        from ragdb import logins
        from ragdb.db import Caller, Database
        from ragdb.errors import RagdbError

        try:
            with Database.connect(logins.operator_url(self.settings)) as database:
                yield Client(database, Caller(role="ragdb_admin", organization=organization))
        except RagdbError as error:
            if error.problem.code != "permission_denied" or error.problem.hint:
                raise
            hint = "Give a login that is a member of ragdb_admin: --operator-url URL"
            raise RagdbError(replace(error.problem, hint=hint)) from error

    @contextmanager
    def acting_for(self, organization: str | None) -> Generator[Client]:
        """As an operator where an organization is named, else as the key's member."""
        with self.operator(organization) if organization else self.member() as client:
            yield client
