"""What every command has: help, an entry in the list, and a start that loads little."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from runner import Ragdb

import ragdb
from ragdb_cli.app import COMMANDS, cli


def leaves(command: click.Command, *names: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from leaves(found, *names, name)
    else:
        yield names, command


LEAVES = dict(leaves(cli))


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_command_has_help(names: tuple[str, ...], tmp_path: Path) -> None:
    said = Ragdb(tmp_path / "home").text(*names, "-h")
    assert said.startswith(f"Usage: ragdb {' '.join(names)} [OPTIONS]")
    if names != ("psql",):  # which hands everything else to the program of that name
        assert "--json" in said and "--quiet" in said
    assert not (tmp_path / "home").exists()


def test_list_of_commands_says_what_each_does() -> None:
    context = click.Context(cli)
    for name, summary in COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None and command.name == name
        assert command.get_short_help_str(limit=200).startswith(summary.rstrip("."))


def test_help_loads_neither_driver_nor_commands() -> None:
    for arguments in (["--help"], ["--version"], ["search", "--help"]):
        program = (
            "import sys; from ragdb_cli.app import run;"
            f"code = run({arguments!r});"
            "print(code, [m for m in ('psycopg', 'rich', 'msgspec', 'asyncio', 'ragdb_cli.add')"
            " if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "0 []"


def test_importing_ragdb_loads_nothing() -> None:
    program = "import sys; before = set(sys.modules); import ragdb; print(*set(sys.modules)-before)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"ragdb", "__future__"}


def test_version_without_a_home(empty: Ragdb) -> None:
    assert empty.text("--version") == f"ragdb {ragdb.__version__}\n"
    assert empty.json("version")["ragdb"] == ragdb.__version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(empty: Ragdb, shell: str) -> None:
    script = empty.text("completion", shell)
    assert "_RAGDB_COMPLETE" in script
    assert empty.json("completion", shell) == {"shell": shell, "script": script[:-1]}


def test_completion_completes(empty: Ragdb) -> None:
    said = empty.having(
        _RAGDB_COMPLETE="bash_complete", COMP_WORDS="ragdb doc s", COMP_CWORD="2"
    ).text()
    assert said == "plain,show\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["search"],
        ["search", "x", "--nonsense"],
        ["search", "x", "--limit", "many"],
        ["search", "x", "--filter", "{not json"],
        ["search", "x", "--filter", "[1]"],
        ["doc", "show", "not-a-uuid"],
        ["key", "create", "x", "--expires", "someday"],
        ["add", "--title", "x", "a.md", "b.md"],
        ["init", "--org", "Not A Slug"],
        ["init", "--email", "nobody"],
    ],
)
def test_usage_errors(empty: Ragdb, arguments: list[str]) -> None:
    assert empty.problem(*arguments) == (2, "usage")


def test_no_arguments_print_help(empty: Ragdb) -> None:
    done = empty.run()
    assert done.returncode == 2
    assert "Commands:" in done.stderr and done.stdout == ""


def test_bad_setting(empty: Ragdb) -> None:
    assert empty.having(RAGDB_PORT="many").problem("status") == (2, "invalid_setting")


def test_options_before_and_after_the_command(installation: Ragdb) -> None:
    before = json.loads(installation.text("--json", "--home", str(installation.home), "version"))
    after = json.loads(installation.text("version", "--json", "--home", str(installation.home)))
    assert before == after
