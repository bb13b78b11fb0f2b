"""The command `ragdb`: its subcommands, loaded when one is called, and its exit codes.

Data goes to stdout, everything else to stderr. 0 done, 1 failed, 2 usage, 3 the database holds
another version of the schema, 4 not found, 5 denied, 6 database unreachable, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile

import click

from ragdb import __version__
from ragdb_cli.command import common_options
from ragdb_cli.session import Session

# Name: what the list of commands says of it. The module ragdb_cli.<name> holds it as `cli`.
COMMANDS = {
    "init": "Set everything up, or bring it up to date.",
    "add": "Add files, folders, web pages or standard input.",
    "search": "Search the documents.",
    "ask": "Answer a question from the documents, with citations.",
    "eval": "Measure search on a set of queries with known answers.",
    "tune": "Fit the ranking to judgements and feedback.",
    "doc": "List, show and delete documents.",
    "synonym": "Let words find other words that mean the same.",
    "servicedesk": "Have the tickets of service desks read.",
    "source": "Have sources read again and again; list where documents come from.",
    "workspace": "Divide an organization into workspaces.",
    "chunking": "Say how documents of a media type are divided into chunks.",
    "user": "Add and list people.",
    "key": "Create, list and revoke API keys.",
    "org": "Create and list organizations (for operators).",
    "analyst": "Create logins for SQL (for operators).",
    "psql": "Open psql, ready for ragdb.search().",
    "serve": "Serve the REST API.",
    "worker": "Do the jobs that were enqueued.",
    "jobs": "List, watch, cancel and retry jobs.",
    "schedule": "Have jobs done again and again.",
    "start": "Start the embedded PostgreSQL.",
    "stop": "Stop the embedded PostgreSQL.",
    "status": "Show whether the database is there.",
    "doctor": "Check the installation.",
    "maintain": "Clean up what deletes left behind.",
    "rebuild": "Divide, stem and embed all stored texts anew.",
    "dedupe": "List documents whose text another document of the workspace has.",
    "chunks": "Carry chunks over, as lines of JSON.",
    "config": "Show the settings in force.",
    "version": "Show the versions of ragdb, of its schema, and of what they run on.",
    "completion": "Print the completion script of a shell.",
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports the module of the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(f"ragdb_cli.{cmd_name}").cli

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    params=common_options(listed=True),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings come from options, then RAGDB_* variables, then RAGDB_HOME/credentials.",
)
@click.version_option(__version__, "--version", message="ragdb %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Search and answer from your own documents, in PostgreSQL."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and turn whatever it raises into a message and an exit code."""
    session = Session()
    # Here as well, for mistakes that are found before options are read.
    session.options.as_json = _asks_for_json(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(arguments, prog_name="ragdb", standalone_mode=False, obj=session)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except (click.Abort, KeyboardInterrupt):
        session.output.note("Interrupted.")
        return 130
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except Exception as error:
        from ragdb_cli.failures import explain

        failure = explain(error)
        if failure is None:
            raise
        problem, code = failure
        session.output.problem(problem)
        return code


def _asks_for_json(arguments: Sequence[str]) -> bool:
    options = takewhile(lambda argument: argument != "--", arguments)
    return "--json" in options
