"""What all commands share: the options that are understood before and after a command's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ragdb_cli.session import Session


def common_options(*, listed: bool) -> list[click.Parameter]:
    """The common options; help of the command `ragdb` lists all, of its subcommands the first."""

    def option(*names: str, **attributes: Any) -> click.Option:
        return click.Option(
            names, expose_value=False, is_eager=True, callback=_remember, **attributes
        )

    return [
        option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        option("-q", "--quiet", is_flag=True, help="Print results and errors only."),
        option(
            "--home", type=click.Path(path_type=Path), metavar="DIR", hidden=not listed,
            help="Where ragdb keeps its files, instead of RAGDB_HOME.",
        ),
        option(
            "--database-url", metavar="URL", hidden=not listed,
            help="The database, instead of RAGDB_DATABASE_URL.",
        ),
        option(
            "--operator-url", metavar="URL", hidden=not listed,
            help="The login of operator commands, instead of RAGDB_OPERATOR_URL.",
        ),
    ]  # fmt: skip


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if value and option.name:
        setattr(ctx.ensure_object(Session).options, option.name, value)


class Command(click.Command):
    """A command with the common options."""

    def __init__(
        self, *args: Any, params: list[click.Parameter] | None = None, **attributes: Any
    ) -> None:
        params = [*(params or []), *common_options(listed=False)]
        super().__init__(*args, params=params, **attributes)


class Group(click.Group):
    """A group of commands, all with the common options."""

    command_class = Command

    def __init__(
        self, *args: Any, params: list[click.Parameter] | None = None, **attributes: Any
    ) -> None:
        params = [*(params or []), *common_options(listed=False)]
        super().__init__(*args, params=params, **attributes)


def command(name: str) -> Callable[[Callable[..., object]], Command]:
    """Make a function a command with the common options."""
    return click.command(name, cls=Command)


def group(name: str) -> Callable[[Callable[..., object]], Group]:
    """Make a function a group of such commands."""
    return click.group(name, cls=Group)
