"""`ragdb config`: the settings in force."""

from __future__ import annotations

from dataclasses import fields

import click

from ragdb_cli.command import group
from ragdb_cli.session import Session

_VARIABLES = {"home": "RAGDB_HOME"}
_SECRETS = {"api_key", "llm_key", "rerank_api_key", "secret_key"}
_URLS = {"database_url", "analyst_url", "worker_url", "operator_url"}


@group("config")
def cli() -> None:
    """Show the settings in force."""


@cli.command("show")
@click.pass_obj
def show(session: Session) -> None:
    """Show every setting, its value and where it comes from; secrets are masked."""
    settings = session.settings
    rows = [
        {
            "setting": f"RAGDB_{field.name.upper()}",
            "value": _masked(field.name, getattr(settings, field.name)),
            "source": settings.sources[field.name],
        }
        for field in fields(settings)
        if field.name != "sources"
    ]
    if session.output.is_json:
        session.output.document({"settings": rows})
    else:
        session.output.table(rows, ("setting", "value", "source"))


def _masked(name: str, value: object) -> object:
    if not isinstance(value, str) or not value:
        return value
    if name in _SECRETS:
        return f"{value[:4]}…" if name == "api_key" else "…"
    return _without_password(value) if name in _URLS else value


def _without_password(url: str) -> str:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "…"
    secret = {name for name in parts if "password" in name}
    return make_conninfo("", **{k: "…" if k in secret else v for k, v in parts.items()})
