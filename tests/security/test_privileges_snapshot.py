"""Who may do what, line by line, against the committed file.

A change of privileges shows in a diff that somebody reads: after an intended one, run with
RAGDB_UPDATE_PRIVILEGES=1 and commit privileges.txt.
"""

from __future__ import annotations

import os

from privileges import SNAPSHOT, dump
from world import World


def test_privileges_are_the_committed_ones(world: World) -> None:
    with world.connect() as connection:
        current = dump(connection)
    if os.environ.get("RAGDB_UPDATE_PRIVILEGES"):
        SNAPSHOT.write_text(current, encoding="utf-8")
    assert current.splitlines() == SNAPSHOT.read_text(encoding="utf-8").splitlines()
