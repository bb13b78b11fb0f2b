"""Search."""

from __future__ import annotations

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import Hit, SearchRequest, SearchResponse


@post(
    "/search",
    status_code=200,
    operation_id="search",
    summary="Search",
    tags=["Retrieval"],
    response_description="The passages found",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def search(
    data: JSONBody[SearchRequest], session: NamedDependency[Session]
) -> SearchResponse:
    """Find the passages that match best: by keywords and by meaning, fused and reranked."""
    hits = await session.call("search", returning=Hit, read_only=True, **data.arguments())
    return SearchResponse(results=hits, count=len(hits))
