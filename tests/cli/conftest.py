"""The command line against installations that it made itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from runner import Ragdb, fresh_home

from ragdb.embedded import Server


@pytest.fixture(scope="session")
def installation() -> Iterator[Ragdb]:
    """One home for all tests, as `ragdb init` makes it."""
    with fresh_home() as ragdb:
        ragdb.text("init")
        yield ragdb


@pytest.fixture
def empty() -> Iterator[Ragdb]:
    """A home where nothing was done yet."""
    with fresh_home() as ragdb:
        yield ragdb


@pytest.fixture
def member(installation: Ragdb, request: pytest.FixtureRequest) -> Ragdb:
    """The administrator of an organization that no other test sees."""
    number = len(installation.json("org", "list")["organizations"])
    slug = f"org-{number}"
    installation.text("org", "create", slug, "--email", f"admin@{slug}.test")
    key = installation.text("key", "create", "test", "--org", slug).strip()
    return installation.having(RAGDB_API_KEY=key, TEST_ORG=slug)


@pytest.fixture
def superuser_url(installation: Ragdb) -> str:
    """The superuser's URL of the shared home's server."""
    return Server.default(installation.home).superuser_url()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder of documents."""
    folder = tmp_path / "docs"
    (folder / "guide").mkdir(parents=True)
    (folder / "keys.md").write_text("# Keys\n\nAPI keys rotate every 90 days.\n")
    (folder / "guide" / "lemons.txt").write_text("Lemons grow on trees in warm countries.\n")
    (folder / "guide" / "page.html").write_text("<h1>Ferries</h1><p>Ferries leave at noon.</p>")
    return folder
