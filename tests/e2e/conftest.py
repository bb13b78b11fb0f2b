"""A real PostgreSQL and a real MariaDB, for whatever is read from them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from foreign import Foreign, listening_postgres, new_maria, new_postgres
from mariadb import mariadb
from places import roomy_memory


@pytest.fixture(scope="session")
def postgres() -> Iterator[tuple[str, int]]:
    home = Path(tempfile.mkdtemp(prefix="ragdb-", dir=roomy_memory() or "/var/tmp"))
    with listening_postgres(home) as server:
        yield server
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def maria() -> Iterator[Any]:
    with mariadb() as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Foreign:
    if request.param == "postgresql":
        return new_postgres(*request.getfixturevalue("postgres"))
    return new_maria(request.getfixturevalue("maria"))
