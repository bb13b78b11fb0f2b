"""A bar on a terminal that shows how far adding files has come."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ragdb_cli.output import Output

if TYPE_CHECKING:
    from ragdb.files import Entry


class Progress(Protocol):
    """What the work tells as it goes on."""

    def expect(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        """The files that are to come."""
        ...

    def advance(self, size: int, message: str) -> None:
        """So many bytes of them are done."""
        ...


class _Silent:
    def expect(self, entries: Iterable[Entry]) -> Iterable[Entry]:
        return entries

    def advance(self, size: int, message: str) -> None:
        pass


@contextmanager
def progress(output: Output) -> Generator[Progress]:
    """A bar where somebody watches."""
    if not output.shows_progress:
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from ragdb.files import Found

    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Looking for files", total=None)

        class Shown:
            def expect(self, entries: Iterable[Entry]) -> Iterable[Entry]:
                held = list(entries)
                total = sum(entry.size for entry in held if isinstance(entry, Found))
                bar.update(task, total=total, description=f"{len(held)} files")
                return held

            def advance(self, size: int, message: str) -> None:
                bar.update(task, advance=size, description=message)

        yield Shown()
