"""The functions that requests may call, from the catalogue, and calls of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class Function:
    """A function as the catalogue has it."""

    schema: str
    name: str
    arguments: tuple[tuple[str, str, bool], ...]
    """Name, type, and whether there is a default."""
    volatility: str
    callers: frozenset[str]

    @property
    def is_pure(self) -> bool:
        """Whether it reads nothing: there is nothing to steal through it."""
        return self.volatility == "i"


@dataclass(frozen=True)
class Call:
    """One call of one function."""

    function: Function
    values: tuple[tuple[str, str, Any], ...]

    @property
    def statement(self) -> str:
        named = ", ".join(f"{name} => %s::{type_}" for name, type_, _ in self.values)
        function = f"{self.function.schema}.{self.function.name}({named})"
        return f"select f::text from (select * from {function}) f"

    @property
    def arguments(self) -> tuple[Any, ...]:
        return tuple(value for _, _, value in self.values)

    def __str__(self) -> str:
        shown = ", ".join(f"{name} => {str(value)[:60]}" for name, _, value in self.values)
        return f"{self.function.name}({shown})"


def functions(connection: psycopg.Connection[Any]) -> list[Function]:
    """Every function of the API, and every part of one that requests may call by itself."""
    rows = connection.execute(
        """
        select p.pronamespace::regnamespace::text, p.proname, p.provolatile,
               coalesce((select array_agg(r.role) from unnest(
                   '{ragdb_service,ragdb_worker,ragdb_analyst,ragdb_admin}'::text[]) r(role)
                 where has_function_privilege(r.role, p.oid, 'execute')), '{}'),
               p.proargnames, p.pronargs, p.pronargdefaults,
               array(select format_type(t, null)
                       from unnest(p.proargtypes::oid[]) with ordinality u(t, n) order by n)
          from pg_proc p
         where p.pronamespace in ('ragdb'::regnamespace, 'ragdb_data'::regnamespace)
           and p.prorettype <> 'trigger'::regtype
         order by 2
        """
    ).fetchall()
    return [
        Function(
            schema,
            name,
            tuple(
                (names[n], types[n].replace("halfvec", "public.halfvec"), n >= count - defaults)
                for n in range(count)
            ),
            volatility,
            frozenset(callers),
        )
        for schema, name, volatility, callers, names, count, defaults, types in rows
    ]  # fmt: skip
