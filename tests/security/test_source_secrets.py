"""Where sources are read from is for those who may change it; their secrets for workers alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from probes import Looker
from subjects import BY_NAME, SUBJECTS, Subject, rolled_back
from world import World

Look = Callable[[Subject], Looker]

MAY_CONFIGURE = {"admin": 2, "carol": 4, "limited": 2, "operator": 2}


@pytest.mark.parametrize(
    "name", [subject.name for subject in SUBJECTS if subject.role != "ragdb_owner"]
)
def test_who_sees_what_of_a_setup(name: str, look: Look) -> None:
    looker = look(BY_NAME[name])
    with rolled_back(looker.connection):
        looker.step_down()
        rows = looker.ask("select config::text from ragdb_data.source_setup").rows
        assert looker.leaks(looker.ask("select config::text from ragdb_data.source_setup")) == set()
        assert len(rows) == MAY_CONFIGURE.get(name, 0)
        secrets = looker.ask("select secrets::text from ragdb_data.source_setup")
        if looker.subject.role == "ragdb_worker":
            assert secrets.rows == () and not secrets.error
            return
        assert secrets.error[0] == "42501"
        for whole in ("select s::text", "select s.*", "select to_jsonb(s)", "delete"):
            outcome = looker.ask(f"{whole} from ragdb_data.source_setup s")
            assert outcome.error[0] == "42501", whole


def test_no_function_or_view_tells_secrets(look: Look, world: World) -> None:
    """Not even to whoever put them there."""
    looker = look(BY_NAME["admin"])
    with rolled_back(looker.connection):
        looker.step_down()
        shown = [
            looker.ask(f"select to_jsonb(v)::text from ragdb.{what} v").text
            for what in ("sources", "sync_runs", "sync_errors", "schedules", "source_types",
                         f"get_source('{world.acme.ids['source']}')")
        ]  # fmt: skip
        assert world.acme.ids["source"] in "".join(shown)
        assert "sealed" not in "".join(shown)
        opened = looker.ask(f"select ragdb.open_source('{world.acme.ids['source']}')")
        assert opened.error[0] == "42501"
