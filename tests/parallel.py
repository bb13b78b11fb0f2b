"""Tests in several processes: in which order, and the figures they report in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

FIGURES = pytest.StashKey[dict[str, int]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no process is left alone with it."""
    items.sort(
        key=lambda item: (item.path.stem != "test_mutations", "security" not in item.path.parts)
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = session.config.stash.get(FIGURES, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process counted; one that died has nothing to tell."""
    told: Mapping[str, int] = getattr(node, "workeroutput", {}).get("figures", {})
    figures = node.config.stash.setdefault(FIGURES, {})
    for figure, number in told.items():
        figures[figure] = figures.get(figure, 0) + number


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, {})
    if figures:
        terminalreporter.section("security figures")
        for figure, number in figures.items():
            terminalreporter.line(f"{figure}: {number}")
