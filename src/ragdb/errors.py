"""What went wrong, in the one shape that the REST service and the command line both report.

The database speaks in SQLSTATEs: PTnnn means HTTP status nnn, and the constraint name is the
machine name of the problem. What is not listed here is a fault of ours, and its text stays in the
log.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import errors


@dataclass(frozen=True)
class Problem:
    """A refusal or failure: HTTP status, machine name, sentence, and how to mend it."""

    status: int
    code: str
    message: str
    hint: str | None = None
    retry_after: int | None = None


class RagdbError(Exception):
    """Carries a Problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


# By SQLSTATE, else by its class (first two characters).
_KNOWN: dict[str, tuple[int, str, str]] = {
    "22021": (422, "nul_character", "A text contains a NUL character."),
    "22P05": (422, "nul_character", "A text contains a NUL character."),
    "23503": (409, "conflict", "Something this refers to does not exist or is still in use."),
    "23505": (409, "conflict", "This already exists."),
    "23514": (422, "invalid_value", "A value is outside what is allowed."),
    "25006": (403, "read_only", "This connection may only read."),
    "28000": (401, "invalid_session_context", "The session context is not valid."),
    "28P01": (503, "database_login_refused", "The database refused the login."),
    "3D000": (503, "database_unavailable", "The database does not exist."),
    "3F000": (503, "not_installed", "The database holds no ragdb schema."),
    "42501": (403, "permission_denied", "The database role may not do this."),
    "42883": (503, "not_installed", "The database holds no ragdb schema, or another version."),
    "57014": (503, "timeout", "The database took too long and the query was cancelled."),
    "22": (422, "invalid_value", "A value cannot be read."),
    "40": (503, "busy", "Another transaction was in the way."),
    "54": (422, "too_complex", "The request is too large or too deeply nested to work on."),
    "53": (503, "database_overloaded", "The database is out of connections, memory or disk."),
    "08": (503, "database_unavailable", "The database cannot be reached."),
    "57": (503, "database_unavailable", "The database is shutting down or starting."),
}

_OURS_TO_SHOW = {"22", "23"}


def from_database(error: psycopg.Error) -> Problem:
    """The problem behind an exception of the database driver."""
    state = error.sqlstate
    if state is None:
        if isinstance(error, errors.DataError) and "NUL" in str(error):
            return Problem(422, "nul_character", "A text contains a NUL character.", "Remove it.")
        if isinstance(error, psycopg.OperationalError):
            return Problem(
                503, "database_unavailable", "The database cannot be reached.",
                "See: ragdb status", retry_after=1,
            )  # fmt: skip
        return Problem(500, "internal_error", "The request failed.")
    diagnosis = error.diag
    if state.startswith("PT"):
        return Problem(
            int(state[2:]),
            diagnosis.constraint_name or "error",
            diagnosis.message_primary or "The request failed.",
            diagnosis.message_hint,
        )
    known = _KNOWN.get(state) or _KNOWN.get(state[:2])
    if known is None:
        return Problem(500, "internal_error", "The request failed.")
    status, code, sentence = known
    detail = diagnosis.message_primary if code == "invalid_value" and state[:2] == "22" else None
    if state == "23514":
        detail = _outside(diagnosis.table_name, diagnosis.constraint_name)
    # A hint without a constraint is PostgreSQL's own, for whoever writes the SQL.
    return Problem(
        status,
        (diagnosis.constraint_name if state[:2] in _OURS_TO_SHOW else None) or code,
        detail or sentence,
        diagnosis.message_hint if diagnosis.constraint_name else None,
        retry_after=1 if status == 503 else None,
    )


def _outside(table: str | None, constraint: str | None) -> str | None:
    """Which value is not allowed, where the constraint tells: that of one column is called so."""
    found = re.fullmatch(rf"{re.escape(table or '')}_(.+)_check\d*", constraint or "")
    if not found:
        return None
    column, thing = found[1].replace("_", " "), (table or "").replace("_", " ")
    return f"The {column} of the {thing} is empty, too long or otherwise not allowed."
