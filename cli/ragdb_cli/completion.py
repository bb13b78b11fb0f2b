"""`ragdb completion`."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from ragdb_cli.command import command
from ragdb_cli.session import Session

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@command("completion")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def cli(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  eval "$(ragdb completion bash)"  in ~/.bashrc
    zsh   eval "$(ragdb completion zsh)"   in ~/.zshrc, after compinit
    fish  ragdb completion fish > ~/.config/fish/completions/ragdb.fish
    """
    root = ctx.find_root().command
    script = _SHELLS[shell](root, {}, "ragdb", "_RAGDB_COMPLETE").source()
    output = ctx.ensure_object(Session).output
    if output.is_json:
        output.document({"shell": shell, "script": script})
    else:
        output.text(script)
