"""From an exception to what is printed of it and the exit code."""

from __future__ import annotations

import click
import psycopg

from ragdb.embedded import EmbeddedError
from ragdb.errors import Problem, RagdbError, from_database
from ragdb.install import InstallError, VersionMismatch
from ragdb.settings import SettingsError

FAILED, USAGE, VERSION, NOT_FOUND, DENIED, UNREACHABLE = range(1, 7)

_BY_CODE = {
    "not_installed": VERSION,
    "version_mismatch": VERSION,
    "database_unavailable": UNREACHABLE,
    "database_login_refused": UNREACHABLE,
    "database_overloaded": UNREACHABLE,
    "server_failed": UNREACHABLE,
    "usage": USAGE,
    "invalid_setting": USAGE,
    "invalid_database_url": USAGE,
}
_BY_STATUS = {401: DENIED, 403: DENIED, 404: NOT_FOUND}
_HINTS = {
    "not_installed": "Run: ragdb init",
    "database_unavailable": "Is it running? See: ragdb status",
    "database_login_refused": "Make new credentials with: ragdb init",
    "internal_error": "The reason is in the log of the database server.",
}


def explain(error: Exception) -> tuple[Problem, int] | None:
    """The problem and the exit code; None for what only a bug can raise."""
    problem = _problem(error)
    return problem and (problem, exit_code(problem))


def exit_code(problem: Problem) -> int:
    """The exit code of a problem."""
    return _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status, FAILED)


def _problem(error: Exception) -> Problem | None:
    match error:
        case RagdbError():
            problem = error.problem
            return Problem(
                problem.status, problem.code, problem.message,
                _HINTS.get(problem.code, problem.hint),
            )  # fmt: skip
        case psycopg.Error():
            return _problem(RagdbError(from_database(error)))
        case VersionMismatch():
            return Problem(409, "version_mismatch", str(error))
        case InstallError():
            return Problem(500, "install_failed", str(error))
        case EmbeddedError():
            return Problem(503, "server_failed", str(error))
        case SettingsError():
            return Problem(400, "invalid_setting", str(error))
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "ragdb"
            return Problem(400, "usage", error.format_message(), f"See: {where} --help")
        case click.ClickException():
            return Problem(500, "failed", error.format_message())
        case OSError():
            what = f"{error.filename}: " if error.filename else ""
            return Problem(500, "os_error", f"{what}{error.strerror or error}.")
        case _:
            return None
