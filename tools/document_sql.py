"""Write the SQL reference from the comments in a database (development only).

    python tools/document_sql.py > docs/sql.md

Without a connection string it reads the database that `ragdb init` has set up. Functions whose
name starts with an underscore are parts of others and left out.
"""

from __future__ import annotations

import argparse
import re
from itertools import groupby
from typing import Any

import psycopg
from psycopg.rows import dict_row

from ragdb import settings

SECTIONS = {
    "Search and answers": (
        "search", "explain_search", "suggest", "corrected_query", "put_synonyms",
        "delete_synonyms", "ask", "ask_begin", "ask_finish",
    ),
    "Documents": (
        "put_document", "put_documents", "replace_document", "get_document", "list_documents",
        "delete_document", "delete_documents", "keep_original", "get_original", "trim_parts",
        "maintain", "reembed", "reindex_documents", "rebuild", "dedupe", "check_integrity",
        "export_chunks", "import_chunks",
    ),
    "Embedding models": (
        "use_embedding_model", "leave_embedding_model", "switch_embedding_model",
        "rollback_embedding_model", "retry_embeddings",
        "begin_query_embedding", "finish_query_embedding", "fail_query_embedding",
    ),
    "Jobs and schedules": (
        "enqueue_job", "get_job", "list_jobs", "cancel_job", "retry_failed", "delete_old_jobs",
        "put_schedule", "delete_schedule", "put_upload", "get_upload", "enqueue_files",
    ),
    "Data sources": (
        "put_source", "get_source", "refresh_source", "delete_source", "list_sync_runs",
        "list_sync_errors",
    ),
    "Service desks": ("put_sd_connection",),
    "How good search is": (
        "put_judgements", "evaluate", "record_feedback", "tune", "set_ranking_weights",
    ),
    "The caller": (
        "begin_context", "whoami", "require", "context", "current_org", "current_user_id",
        "current_org_no", "current_user_no", "current_scopes", "record_use",
    ),
    "People, keys and workspaces": (
        "add_member", "create_api_key", "revoke_api_key", "create_workspace",
        "add_workspace_member", "delete_workspace",
    ),
    "For operators": (
        "create_organization", "organizations", "begin_operator_context", "create_analyst",
        "register_embedding_model", "drop_embedding_model", "check_vector_index",
        "drop_vector_index", "build_vector_index", "analyze_tables", "version",
    ),
    "For workers": (
        "claim_jobs", "begin_worker_context", "heartbeat", "finish_job", "fail_job", "release_job",
        "tick", "begin_sync", "open_source", "reseal_source", "sealed_sources", "changed_items",
        "store_sync", "sweep_sync", "end_sync", "begin_embedding", "finish_embedding",
        "fail_embedding", "restore_table_vectors", "embedding_protocols", "reserve_embedding",
        "block_embedding",
    ),
    "Text": (
        "chunk_text", "chunk_markdown", "chunk_recursive", "chunk_sentences", "chunk_table",
        "put_chunk_profile", "delete_chunk_profile", "count_tokens", "embed", "embed_batch",
        "words",
    ),
}  # fmt: skip

PREFACE = """\
# SQL reference

Everything in the schema `ragdb`, as `\\df+ ragdb.*` and `\\dv+ ragdb.*` describe it in psql. This
page is written from those comments by `tools/document_sql.py`, and a test compares the two.

Name the arguments and leave out those whose default will do:
`select * from ragdb.search('rotate keys', p_limit => 5)`. Every call runs with the rights of its
caller, who is an analyst's login or whoever `ragdb.begin_context()` has proven in this transaction.

Errors carry a SQLSTATE whose digits are an HTTP status, `PT404` for 404, and a machine name in the
field `constraint`, such as `document_not_found`. The command line and the REST API use the same
names."""

FUNCTIONS = """
select p.proname as name, obj_description(p.oid, 'pg_proc') as comment,
       pg_get_function_result(p.oid) as result,
       array(select concat_ws(' ', u.name, format_type(u.type, null),
                              'default ' || pg_get_function_arg_default(p.oid, u.position::int))
               from unnest(p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[]),
                           p.proargmodes::text[]) with ordinality u(name, type, mode, position)
              where coalesce(u.mode, 'i') = 'i'
              order by u.position) as arguments
  from pg_proc p
 where p.pronamespace = 'ragdb'::regnamespace
   and not starts_with(p.proname, '_')
 order by p.proname, p.oid
"""

VIEWS = """
select c.relname as name, obj_description(c.oid, 'pg_class') as comment,
       array(select array[a.attname::text, format_type(a.atttypid, a.atttypmod)]
               from pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              order by a.attnum) as columns
  from pg_class c
 where c.relnamespace = 'ragdb'::regnamespace
   and c.relkind = 'v'
   and not starts_with(c.relname, '_')
 order by c.relname
"""

Row = dict[str, Any]


def reference(connection: psycopg.Connection[Row]) -> str:
    """The whole page."""
    functions = {
        name: list(rows)
        for name, rows in groupby(connection.execute(FUNCTIONS), lambda row: row["name"])
    }
    placed = {name for names in SECTIONS.values() for name in names}
    if placed != functions.keys():
        raise SystemExit(f"Put into a section, or take out: {sorted(placed ^ functions.keys())}")
    parts = [PREFACE]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [function(row) for name in names for row in functions[name]]
    parts.append("## Views")
    parts += [view(row) for row in connection.execute(VIEWS)]
    return "\n\n".join(parts) + "\n"


def function(row: Row) -> str:
    """A function: its signature, and its comment."""
    name, arguments = row["name"], [brief(argument) for argument in row["arguments"]]
    signature = f"ragdb.{name}({', '.join(arguments)})"
    if len(signature) > 80:
        signature = f"ragdb.{name}(\n" + ",\n".join(f"  {one}" for one in arguments) + ")"
    returns = wrapped(f"  returns {brief(row['result'])}")
    return "\n\n".join([f"### {name}", f"```text\n{signature}\n{returns}\n```", prose(row)])


def view(row: Row) -> str:
    """A view: its columns, and its comment."""
    lines = ["| column | type |", "|---|---|"]
    lines += [f"| {column} | {brief(kind)} |" for column, kind in row["columns"]]
    return "\n\n".join([f"### {row['name']}", prose(row), "\n".join(lines)])


def brief(text: str) -> str:
    """A declaration as one would write it: short names of types, constants without casts."""
    text = re.sub(r"('(?:[^']|'')*'|NULL)::[a-z ]+(\[\])?", r"\1", text)
    text = re.sub(r"'[^']*\n[^']*'", lambda quoted: f"E{quoted[0]!r}", text)
    for name, short in (
        ("timestamp with time zone", "timestamptz"), ("double precision", "float8"),
        ("NULL", "null"), ("ARRAY[", "array["), ("TABLE(", "table ("),
    ):  # fmt: skip
        text = text.replace(name, short)
    return text


def wrapped(text: str) -> str:
    """A result type on lines of 100 characters."""
    lines = [""]
    for part in re.findall(r"[^,]+,? ?", text):
        if len(lines[-1] + part) > 100:
            lines.append("    ")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def prose(row: Row) -> str:
    """A comment as Markdown: a line that follows a finished one begins a block of its own."""
    if not row["comment"]:
        raise SystemExit(f"ragdb.{row['name']} has no comment.")
    blocks: list[str] = []
    finished = True
    for line in row["comment"].splitlines():
        text = line.strip()
        if line.startswith("  "):
            if finished or not blocks[-1].startswith("    "):
                blocks.append("  " + line)
            else:
                blocks[-1] += "\n  " + line
            finished = False
            continue
        if text and (finished or blocks[-1].startswith("    ")):
            blocks.append(block(text))
        elif text:
            blocks[-1] += " " + escaped(text)
        finished = not text or text.startswith("Example: ") or text.endswith((".", ":"))
    # Bullets that follow one another are one list.
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(blocks))


def block(text: str) -> str:
    """The first line of a block: an example, a definition or a sentence."""
    example = re.fullmatch(r"Example: (.*)", text)
    if example:
        return f"Example: `{example[1]}`"
    named = re.fullmatch(r"([a-z_]+(?:, [a-z_]+)?): (.*)", text)
    return f"- `{named[1]}`: {escaped(named[2])}" if named else escaped(text)


def escaped(text: str) -> str:
    """Text in which Markdown finds no tags."""
    return text.replace("<", r"\<")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the SQL reference.")
    parser.add_argument("url", nargs="?", help="connection string of the database")
    url = parser.parse_args().url or settings.load().database_url
    if url is None:
        parser.error("no database is set up; run: ragdb init")
    with psycopg.Connection[Row].connect(url, row_factory=dict_row) as connection:
        print(reference(connection), end="")


if __name__ == "__main__":
    main()
