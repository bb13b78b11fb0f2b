"""Write the reference of the command line from its own help (development only).

python tools/document_cli.py > docs/cli.md
"""

from __future__ import annotations

from collections.abc import Generator
from inspect import cleandoc
from typing import cast

import click

from ragdb_cli.app import cli

PREFACE = """\
# Command line

This page is written by `tools/document_cli.py` from what `ragdb --help` and its subcommands say,
and a test compares the two.

Results go to standard output, everything else to standard error. On a terminal results are tables
and colours; in a pipe they are lines with tabs between the columns, and with `--json` one JSON
document. Settings come from options, then from the environment, then from the file `credentials`
in `RAGDB_HOME`: see [configuration](configuration.md).

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, or some of it did |
| 2 | the command was not written as it should be |
| 3 | the database holds another version of ragdb |
| 4 | there is no such thing |
| 5 | not allowed |
| 6 | the database cannot be reached |
| 130 | interrupted |

What `--json` prints:

* `ragdb add`: `{"files": [{"path", "status", "document_id", "chunks", "error"}], "totals",
  "seconds", "chunks_per_second", "interrupted"}`; `status` is ingested, updated, unchanged,
  duplicate or failed, and `error` holds `code` and `message`.
* `ragdb search`: `{"query", "took_ms", "results"}`, the results as `ragdb.search()` returns them.
* `ragdb ask`: `{"answer_id", "answer", "confidence", "found", "citations", "model",
  "fallback_used", "took_ms"}`; a citation has `number`, `document_id`, `title`, `heading`, `url`,
  `page`, `chunk_id`, `quote`, `start` and `end`.
* `ragdb eval`: `{"dataset", "queries", "modes": [{"mode", "ndcg@10", "recall@10", "recall@100",
  "mrr", "map", "ci", "over_keyword", "compared", "queries", "config", "run_id"}]}`; `ci` holds the
  bootstrap interval of each metric, the other two `{"difference", "ci"}` of each, query by query.
* `ragdb tune`: what `ragdb.tune()` returns.
* any command that failed: `{"error": {"code", "message", "hint", "status"}}`; `code` is the machine
  name that SQL and REST use too."""


def reference() -> str:
    """The whole page."""
    root = click.Context(cli, info_name="ragdb", **cli.context_settings)
    common = options(root)
    parts = [
        PREFACE,
        *section(root, {}),
        "All but `--version` may also stand after a command's name, except that of `ragdb psql`,\n"
        "which hands to psql what follows it.",
    ]
    for context in commands(root):
        parts += section(context, common)
    return "\n\n".join(parts) + "\n"


def commands(parent: click.Context) -> Generator[click.Context]:
    """Every command that is no group, in the order of the help."""
    group = cast(click.Group, parent.command)
    for name in group.list_commands(parent):
        command = cast(click.Command, group.get_command(parent, name))
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            yield from commands(context)
        else:
            yield context


def section(context: click.Context, common: dict[str, tuple[str, str]]) -> list[str]:
    """A command: how it is called, what it does, and the options of its own."""
    command = context.command
    pieces = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {context.command_path}", f"`{context.command_path} {pieces}`"]
    parts += map(paragraph, cleandoc(command.help or "").split("\n\n"))
    own = [record for name, record in options(context).items() if name not in common]
    if own:
        parts.append("\n".join(f"* `{names}` {text}".rstrip() for names, text in own))
    return parts


def paragraph(text: str) -> str:
    """A paragraph of help; the mark that keeps click from filling it makes it a block of text."""
    return f"```text\n{text[2:]}\n```" if text.startswith("\b\n") else text


def options(context: click.Context) -> dict[str, tuple[str, str]]:
    """Options by name, each as its help shows it."""
    return {
        str(parameter.name): record
        for parameter in context.command.get_params(context)
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context))
    }


if __name__ == "__main__":
    print(reference(), end="")
