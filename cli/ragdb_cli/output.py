"""What a command prints: data on stdout, as text or one JSON document; the rest on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from ragdb.errors import Problem
    from ragdb_cli.session import Options

# A document could hold sequences that a terminal obeys.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_LONG = 1000
"""Characters of a value that are shown among others."""


class Output:
    """Prints as the options ask for."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @property
    def is_json(self) -> bool:
        return self._options.as_json

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the results, and colours and tables are welcome."""
        return sys.stdout.isatty() and not self.is_json

    @property
    def shows_progress(self) -> bool:
        return sys.stderr.isatty() and not self._options.quiet

    def document(self, value: object) -> None:
        """Print the one JSON document of a command."""
        indent = 2 if sys.stdout.isatty() else None
        text = json.dumps(value, ensure_ascii=False, indent=indent, default=_plain)
        # A lone surrogate becomes the escape that JSON has for it.
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.buffer.flush()

    def text(self, line: str = "") -> None:
        """Print a line of the result."""
        _write(sys.stdout, line)

    def note(self, line: str) -> None:
        """Tell the user something that is not the result."""
        if not self._options.quiet:
            _write(sys.stderr, line)

    def warn(self, line: str) -> None:
        """Tell the user of something that failed, even a quiet one."""
        _write(sys.stderr, line)

    def problem(self, problem: Problem) -> None:
        """Print why the command failed."""
        if self.is_json:
            self.document({"error": described(problem)})
            return
        self.warn(f"error: {printable(problem.message)}")
        if problem.hint:
            self.warn(f"hint: {printable(problem.hint)}")

    def style(self, text: str, **attributes: Any) -> str:
        """Printable text, with attributes where a terminal shows them."""
        if not self.is_terminal or _is_plain():
            return printable(text)
        return click.style(printable(text), **attributes)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """Print rows: as a table on a terminal, else separated by tabs."""
        cells = [[_cell(row[column]) for column in columns] for row in rows]
        if not self.is_terminal:
            for line in [list(columns), *cells]:
                self.text("\t".join(re.sub(r"\s+", " ", cell) for cell in line))
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for line in cells:
            table.add_row(*(Text(printable(cell)) for cell in line))
        Console(color_system=None if _is_plain() else "auto").print(table)

    def fields(self, row: Mapping[str, Any]) -> None:
        """Print one thing, a line for each of its values; a long one in part."""
        width = max(map(len, row), default=0) + 2
        for name, value in row.items():
            shown = str(value) if isinstance(value, datetime | bool) else _cell(value)
            if len(shown) > _LONG:
                shown = f"{shown[:_LONG]} … ({len(shown)} characters; all with --json)"
            self.text(f"{name + ':':<{width}}{self.style(shown)}")

    @contextmanager
    def status(self, message: str) -> Generator[Callable[[str], None]]:
        """Tell what is going on while the block runs; the value is called with each new step."""
        if not self.shows_progress:
            yield _silent
            return
        from rich.console import Console

        with Console(stderr=True).status(message) as status:
            yield status.update


def described(problem: Problem) -> dict[str, object]:
    """A problem as it appears in JSON."""
    return {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "status": problem.status,
    }


def _is_plain() -> bool:
    return bool(os.environ.get("NO_COLOR"))


def printable(text: str) -> str:
    """Without what a terminal would obey."""
    return _CONTROL.sub("�", text)


def _write(stream: TextIO, line: str) -> None:
    if stream is sys.stderr:
        sys.stdout.flush()  # so that both read in order where they go to the same place
    try:
        stream.write(line + "\n")
    except UnicodeEncodeError:
        encoded = line.encode(stream.encoding, "backslashreplace")
        stream.write(encoded.decode(stream.encoding) + "\n")


def _silent(step: str) -> None:
    """Where nobody watches."""


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M")
    return str(value)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else str(value)
