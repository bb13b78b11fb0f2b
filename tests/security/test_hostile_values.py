"""Whatever is passed to a function, it answers or refuses in its own words: no internal errors."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from probes import Looker
from recipes import Recipes
from routines import Function, functions
from subjects import BY_NAME, Subject, rolled_back
from world import World

Look = Callable[[Subject], Looker]
Count = Callable[[str, int], None]

# The problem names itself; a value was wrong; a constraint held; a right or identity was missing.
ACCEPTABLE = ("PT", "22", "23", "28", "42501")

TEXTS = (
    "", " ", "\t\n\r", "'", "''; drop table ragdb_data.document; --", "$$", "%s %n %(x)s {0}",
    "\\", "\\'", "a' || (select max(key_hash)::text from ragdb_private.api_key_hash) || '",
    "foo & bar | !baz <-> (qux:*", ":* & | ! <-> ( ) '", "*", "_%", "\u0001\u0008\u001f\u007f",
    "\u200b\u202e\ufeff", "e\u0301" * 50, "\U0001f600" * 40, "\uffff",
    "\ufb01 \u0130 \u00df \u017f",
    "漢字かな", "-" * 5000, "(" * 3000, "[" * 3000, "a " * 4999, "x" * 30_000, "1" * 400, "1e400",
    "-0", "NaN", "Infinity", "null", "true", "\x1e\x1f", "</passage>", "[1][2][999]", "2025-13-45",
    "infinity", "4713-01-01 BC", "../../etc/passwd", "{" * 100, '{"a": 1}', "(.*)+$", "\\m(a+)+\\M",
)  # fmt: skip
JSON = (
    "null", "0", "-1", "1e400", '""', "[]", "[null]", "[[]]", "{}", '{"a": null}', '{"and": []}',
    '{"or": [{}]}', '{"not": {"not": {}}}', '{"title": {"gt": null}}', '{"": ""}',
    '{"title": {"in": [1, "a", null, {}]}}', '{"metadata.": 1}', '{"metadata.a": {"contains": 1}}',
    '{"date": "infinity"}', '{"date": {"gte": "x"}}', '{"lang": 1}', '{"document": []}',
    '[{"content": 1}]', '[{"content": "a", "metadata": []}]',
    '[{"content": "a"}, {"content": "a"}]',
    '[{"content": "a", "labels": [1, null, {}]}]', '[{"content": "a", "chunking": 1}]',
    '[{"content": "a", "chunking": {"size": 0}}]', '[{"content": "a", "chunking": {"size": 1e9}}]',
    '[{"content": "a", "date": "infinity"}]', '[{"content": "a", "metadata": {"": {"": ""}}}]',
    '{"not":' * 900 + "{}" + "}" * 900, '{"a":' * 900 + "1" + "}" * 900, '{"size": -1}',
    '{"chunker": "x"}', '{"unit": null}', '{"separators": [""]}',
)  # fmt: skip
NUMBERS = (
    "0",
    "-1",
    "1",
    "2147483647",
    "-2147483648",
    "NaN",
    "Infinity",
    "1e308",
    "9223372036854775807",
)
TIMES = ("infinity", "-infinity", "0001-01-01", "294276-12-31", "now")


def _values(type_: str) -> tuple[Any, ...]:
    if type_.endswith("[]"):
        inner = _values(type_.removesuffix("[]"))
        return (None, [], [None], list(inner[:40]), [[inner[0]], [inner[0]]])
    if type_ == "jsonb":
        return (None, *JSON)
    if type_ in ("text", "name"):
        return (None, *TEXTS)
    if type_ in ("integer", "bigint", "double precision", "real"):
        return (None, *NUMBERS)
    if type_ == "timestamp with time zone":
        return (None, *TIMES)
    if type_ == "boolean":
        return (None, True, False)
    return (None,)


def _calls(
    function: Function, recipes: Recipes, chance: random.Random
) -> list[tuple[str, Any, str]]:
    """Each argument with each bad value, the others as they should be; and some all bad at once."""
    made: list[tuple[str, Any, str]] = []
    base = next(recipes.calls(function))
    for at, (name, type_, _) in enumerate(base.values):
        for value in _values(type_):
            values = [*base.arguments[:at], value, *base.arguments[at + 1 :]]
            made.append((base.statement, values, f"{function.name}({name} => {str(value)[:60]!r})"))
    for _ in range(10):
        values = [chance.choice(_values(type_)) for _, type_, _ in base.values]
        made.append((base.statement, values, f"{function.name}({[str(v)[:20] for v in values]})"))
    return made


def test_bad_values_are_refused_politely(look: Look, world: World, count: Count) -> None:
    looker = look(BY_NAME["admin"])
    chance = random.Random(1)
    recipes = Recipes(looker.connection, world, looker.subject)
    unexpected: list[str] = []
    calls = 0
    looker.connection.execute("set statement_timeout = '10s'")
    with rolled_back(looker.connection):
        looker.step_down()
        for function in functions(looker.connection):
            if function.schema != "ragdb" or "ragdb_service" not in function.callers:
                continue
            for statement, values, label in _calls(function, recipes, chance):
                calls += 1
                state = str((looker.ask(statement, values).error or ("22",))[0])
                if not state.startswith(ACCEPTABLE):
                    unexpected.append(f"{state} {label}")
    count("bad input: calls", calls)
    count("bad input: internal errors", len(unexpected))
    assert unexpected == []


@pytest.mark.parametrize("size", [1_000_000])
def test_large_texts_are_answered(look: Look, size: int) -> None:
    """In seconds, whatever they are made of."""
    looker = look(BY_NAME["admin"])
    looker.connection.execute("set statement_timeout = '20s'")
    with rolled_back(looker.connection):
        looker.step_down()
        for piece in ("lorem ipsum. ", "\n", "\t \n", "漢"):
            text = (piece * (size // len(piece)))[: size // len(piece.encode())]
            for statement in (
                "select ragdb.put_document(%s)",
                "select ragdb.put_document(%s, p_mime => 'text/markdown')",
                "select count(*) from ragdb.search(%s)",
            ):
                error = looker.ask(statement, (text,)).error
                assert not error or str(error[0]).startswith(ACCEPTABLE), (statement, piece, error)
