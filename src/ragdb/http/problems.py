"""Every error as a problem document (RFC 9457), with the machine name the database gave it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
import psycopg
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.openapi import ResponseSpec
from msgspec import UNSET, Meta, UnsetType

from ragdb.errors import Problem, RagdbError

MEDIA_TYPE = "application/problem+json"
INTERNAL = Problem(
    500, "internal_error", "The request failed.", "Look for the request id in the log of ragdb."
)

_log = logging.getLogger(__name__)


class InvalidField(msgspec.Struct):
    """A part of the request that does not have the form it must have."""

    field: Annotated[str, Meta(description="Its name in the body, the path or the query.")]
    message: str


class ProblemDocument(msgspec.Struct):
    """What went wrong (RFC 9457)."""

    type: Annotated[
        str, Meta(description="`code` as a URI.", examples=["urn:ragdb:problem:document_not_found"])
    ]
    title: Annotated[str, Meta(examples=["Document not found"])]
    status: Annotated[int, Meta(description="The HTTP status.", examples=[404])]
    detail: Annotated[str, Meta(description="A sentence about this occurrence.")]
    instance: Annotated[str, Meta(description="The path of the request.")]
    code: Annotated[str, Meta(description="Machine name.", examples=["document_not_found"])]
    message: Annotated[str, Meta(description="The same as `detail`.")]
    request_id: Annotated[str, Meta(description="The same as the header X-Request-ID.")]
    hint: Annotated[str, Meta(description="How to mend it.")] | UnsetType = UNSET
    retry_after: (
        Annotated[int, Meta(description="Seconds, as in the header Retry-After.")] | UnsetType
    ) = UNSET
    errors: (
        Annotated[list[InvalidField], Meta(description="With `invalid_request`: what is invalid.")]
        | UnsetType
    ) = UNSET


_STATUSES: Mapping[int, str] = {
    400: "The request cannot be read, or names two API keys.",
    401: "The API key is missing, unknown, revoked or expired.",
    403: "The API key does not hold the permission.",
    404: "There is nothing with that name, or the caller may not see it.",
    409: "The request conflicts with what is stored.",
    413: "The body is larger than this operation takes.",
    415: "The body is not JSON.",
    422: "A value is not allowed; `code` says which rule it breaks.",
    500: "A fault of the service. The log holds the details under the request id.",
    503: "The database cannot serve the request now.",
}


def responses(*statuses: int) -> dict[int, ResponseSpec]:
    """The problem responses of an operation, for the API's description."""
    return {
        status: ResponseSpec(
            ProblemDocument, description=_STATUSES[status], media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in (*statuses, 500)
    }  # fmt: skip


def request_id(request: Request[Any, Any, Any]) -> str:
    """The id that ties a request, its response and its log lines together."""
    return request.scope["state"]["request_id"]


def _path(request: Request[Any, Any, Any]) -> str:
    return request.scope["raw_path"].decode("latin-1")


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemDocument]:
    """The response to a request that failed."""
    problem, errors = _problem(request, error)
    if problem.status >= 500:
        _report(request, problem, error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    document = ProblemDocument(
        type=f"urn:ragdb:problem:{problem.code}",
        title=_title(problem.code),
        status=problem.status,
        detail=problem.message,
        instance=_path(request),
        code=problem.code,
        message=problem.message,
        request_id=request_id(request),
        hint=problem.hint or UNSET,
        retry_after=UNSET if problem.retry_after is None else problem.retry_after,
        errors=errors or UNSET,
    )
    return Response(document, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def _problem(
    request: Request[Any, Any, Any], error: Exception
) -> tuple[Problem, list[InvalidField]]:
    match error:
        case RagdbError():
            problem = error.problem
        case ValidationException():
            errors = list(_invalid_fields(error))
            said = "; ".join(f"{found.message} ({found.field})" for found in errors)
            return Problem(422, "invalid_request", f"The request is not valid: {said}."), errors
        case RequestEntityTooLarge():
            limit = request.route_handler.resolve_request_max_body_size()
            problem = Problem(
                413, "body_too_large", f"The body is larger than {limit} bytes.",
                "Send less at a time.",
            )  # fmt: skip
        case NotFoundException():
            problem = Problem(
                404, "not_found", f"There is nothing at {_path(request)}.", "See /schema"
            )
        case MethodNotAllowedException():
            problem = Problem(
                405, "method_not_allowed",
                f"{_path(request)} does not take the method {request.method}.",
            )  # fmt: skip
        case HTTPException() if error.status_code < 500:
            status = HTTPStatus(error.status_code)
            problem = Problem(status, status.name.lower(), error.detail or status.description)
        case _:
            problem = INTERNAL
    return problem, []


def _title(code: str) -> str:
    words = ({"api": "API", "json": "JSON", "nul": "NUL"}.get(w, w) for w in code.split("_"))
    title = " ".join(words)
    return title[0].upper() + title[1:]


def _invalid_fields(error: ValidationException) -> list[InvalidField]:
    """What Litestar found; it calls the body `data`, and names one that is missing in quotes."""
    found = error.extra if isinstance(error.extra, list) else []
    return [
        InvalidField("body", "It is missing")
        if part["message"] == "'data'"
        else InvalidField("body" if part["key"] == "data" else part["key"], part["message"])
        for part in found
    ]


def _report(request: Request[Any, Any, Any], problem: Problem, error: Exception) -> None:
    """Log what the caller is not told."""
    cause = error.__cause__ or error
    fields: dict[str, object] = {"request_id": request_id(request), "code": problem.code}
    if isinstance(cause, psycopg.Error) and cause.sqlstate is not None:
        # Not the exception's text: that can quote values of the request.
        fields |= {
            "sqlstate": cause.sqlstate,
            "message": cause.diag.message_primary,
            "context": cause.diag.context,
        }
        _log.error("request failed", extra={"fields": fields})
    elif problem.code == INTERNAL.code:
        _log.error("request failed", exc_info=error, extra={"fields": fields})
    else:
        _log.error("request failed", extra={"fields": fields | {"message": str(cause)}})
