"""Feedback on results and answers."""

from __future__ import annotations

from typing import TypedDict

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import FeedbackRequest, FeedbackResponse


class _Recorded(TypedDict):
    record_feedback: int


@post(
    "/feedback",
    status_code=200,
    operation_id="recordFeedback",
    summary="Say that a result was good or bad",
    tags=["Retrieval"],
    response_description="It is recorded",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def record(
    data: JSONBody[FeedbackRequest], session: NamedDependency[Session]
) -> FeedbackResponse:
    """Judge a document found for a query, or all that an answer cites.

    `ragdb tune` learns from it. The query's text is kept with it until it is taken back with the
    value 0 or the document is deleted.
    """
    [recorded] = await session.call("record_feedback", returning=_Recorded, **data.arguments())
    return FeedbackResponse(documents=recorded["record_feedback"])
