"""Search, and what explains it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.search_models import (
    Explained,
    ExplainRequest,
    ExplainResponse,
    Hit,
    SearchRequest,
    SearchResponse,
    Suggestion,
    SuggestResponse,
)
from ragdb.rerank import NOT_READ, is_read, reorder, to_fetch
from ragdb.settings import Settings

_PLACE = ("p_query", "p_workspace", "p_language")
_READING = (400, 401, 403, 404, 413, 415, 422, 503)


@post(
    "/search",
    status_code=200,
    operation_id="search",
    summary="Search",
    tags=["Retrieval"],
    response_description="The passages found",
    responses=problems.responses(*_READING),
)
async def search(
    data: JSONBody[SearchRequest], session: NamedDependency[Session], state: State
) -> SearchResponse:
    """Find the passages that match best: by keywords and by meaning, fused and reranked."""
    arguments = data.arguments()
    if data.mode != "keyword":
        await session.embed_queries(data.query, *(data.queries or ()))
    corrected = None
    notices: list[str] = []
    if data.suggest or data.correct:
        place = {name: arguments[name] for name in _PLACE if name in arguments}
        corrected = await _corrected(session, place)
    if data.rerank and is_read(*data.page()):
        response = await _reranked(state.settings, session, data, corrected, notices)
    else:
        hits = await session.call(
            "search", returning=Hit, read_only=True, notices=notices, **arguments
        )
        response = SearchResponse(results=hits, count=len(hits))
        response.rerank_reason = NOT_READ if data.rerank else None
    response.corrected_query = corrected
    response.notices = [*dict.fromkeys(notices)]
    return response


@post(
    "/search/explain",
    status_code=200,
    operation_id="explainSearch",
    summary="Explain a search",
    tags=["Retrieval"],
    response_description="How each result came about",
    responses=problems.responses(*_READING),
)
async def explain(
    data: JSONBody[ExplainRequest], session: NamedDependency[Session]
) -> ExplainResponse:
    """Every feature of each result's score, and why a passage or a document is not among them."""
    await session.embed_queries(data.query)
    told, *results = await session.call(
        "explain_search", returning=Explained, read_only=True, **data.arguments()
    )
    return ExplainResponse(trace=told.trace or {}, results=results)


@get(
    "/suggest",
    operation_id="suggest",
    summary="Correct a query",
    tags=["Retrieval"],
    response_description="What was probably meant",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def suggest(
    session: NamedDependency[Session],
    text: Annotated[str, QueryParameter(name="query", description="As it would be searched for.")],
    workspace: Annotated[str | None, QueryParameter(description="Search this one only.")] = None,
    language: Annotated[str | None, QueryParameter(description="Of the query.")] = None,
) -> SuggestResponse:
    """Replace words that no document has by the most frequent one a letter apart that one has."""
    place: dict[str, Any] = {
        "p_query": text, "p_workspace": workspace, "p_language": language,
    }  # fmt: skip
    suggestions = await session.call("suggest", returning=Suggestion, read_only=True, **place)
    return SuggestResponse(await _corrected(session, place), suggestions)


class _Corrected(msgspec.Struct):
    corrected_query: str | None


async def _corrected(session: Session, place: dict[str, Any]) -> str | None:
    [row] = await session.call("corrected_query", returning=_Corrected, read_only=True, **place)
    return row.corrected_query


async def _reranked(
    settings: Settings,
    session: Session,
    data: SearchRequest,
    corrected: str | None,
    notices: list[str],
) -> SearchResponse:
    """A page of the list whose best results a model puts in order, outside any transaction."""
    limit, offset = data.page()
    arguments = data.arguments() | {"p_limit": to_fetch(limit, offset), "p_offset": 0}
    hits = await session.call("search", returning=Hit, read_only=True, notices=notices, **arguments)
    query = corrected if data.correct and corrected else data.query
    order = await reorder(settings, query, [f"{hit.title}\n{hit.content}" for hit in hits])
    page = order.places[offset : offset + limit]
    results = [hits[place] for place in page]
    for rank, (place, hit) in enumerate(zip(page, results, strict=True), offset + 1):
        hit.rank, hit.rerank_score = rank, order.scores.get(place)
    return SearchResponse(
        results=results,
        count=len(results),
        reranked=order.reason is None,
        rerank_reason=order.reason,
    )
