"""Answers with citations."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody

from ragdb.answers import Answer, Begun, generate
from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.models import AskRequest
from ragdb.rerank import READ, Order, reorder
from ragdb.settings import Settings


@post(
    "/ask",
    status_code=200,
    operation_id="ask",
    summary="Answer a question",
    tags=["Retrieval"],
    response_description="The answer",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def ask(
    data: JSONBody[AskRequest], session: NamedDependency[Session], state: State
) -> Answer:
    """Answer from the documents, with citations whose quotes are verified.

    The words are a language model's where one is configured, else the documents' own. When the
    model fails, or none of its citations can be verified, `fallback_used` is true and the words
    are the documents' own too. `found` is false when they say nothing about the question.
    """
    question = data.arguments()
    del question["p_rerank"]
    await session.embed_queries(data.question)
    order: Order | None = None
    if data.rerank:
        order, passages = await _passages(state.settings, session, data)
        question |= {"p_passages": passages} if order.reason is None else {}
    spoken: dict[str, Any] = {}
    if state.settings.llm_url is not None:
        [begun] = await session.call("ask_begin", returning=Begun, read_only=True, **question)
        spoken = await generate(state.settings, begun)
    [answer] = await session.call("ask_finish", returning=Answer, **question, **spoken)
    if order is not None:
        answer.reranked, answer.rerank_reason = order.reason is None, order.reason
    return answer


class _Passage(msgspec.Struct):
    title: str
    content: str
    chunk_id: int


async def _passages(
    settings: Settings, session: Session, data: AskRequest
) -> tuple[Order, list[int]]:
    """The best passages in a reranking model's order."""
    found = await session.call(
        "search", returning=_Passage, read_only=True, p_query=data.question, p_limit=READ,
        p_filters=data.filters, p_workspace=data.workspace, p_language=data.language,
    )  # fmt: skip
    texts = [f"{passage.title}\n{passage.content}" for passage in found]
    order = await reorder(settings, data.question, texts)
    return order, [found[place].chunk_id for place in order.places]
