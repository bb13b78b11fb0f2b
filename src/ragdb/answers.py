"""Answers in two phases, so that no transaction is open while a language model thinks.

    begun  = ask_begin(question)          retrieve and write the prompt, in a transaction
    spoken = generate(settings, begun)    ask the model, in none
    answer = ask_finish(question, spoken) verify its citations and store them, in another

Without a model ask_finish() alone answers, from the documents' own sentences, and so it does when
the model fails.
"""

from __future__ import annotations

import logging
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from ragdb.llm import LlmError, Message, complete
from ragdb.settings import Settings

UNNAMED_MODEL = "default"

_log = logging.getLogger(__name__)


class Begun(msgspec.Struct):
    """A row of ragdb.ask_begin()."""

    confidence: float
    found: bool
    chunk_ids: list[int] | None
    messages: list[Message]


class Citation(msgspec.Struct):
    """Where a statement of an answer comes from: a verified quote of a document."""

    number: Annotated[int, Meta(description="As in the answer's `[1]`.")]
    document_id: UUID
    title: str
    heading: str | None
    url: str | None
    page: int | None
    chunk_id: int
    quote: str
    start: Annotated[int, Meta(description="Where the quote begins in the document's text.")]
    end: Annotated[int, Meta(description="Where it ends; the character there is not of it.")]


class Answer(msgspec.Struct):
    """A row of ragdb.ask_finish()."""

    answer_id: UUID
    answer: str
    confidence: Annotated[
        float, Meta(description="How surely the documents are about the question, 0 to 1.")
    ]
    found: Annotated[bool, Meta(description="False when they say nothing about it.")]
    citations: list[Citation]
    model: Annotated[str | None, Meta(description="The language model whose words these are.")]
    fallback_used: Annotated[
        bool, Meta(description="A model was asked, but the words are the documents' own.")
    ]
    reranked: Annotated[bool, Meta(description="Whether a reranking model chose the passages.")] = (
        False
    )
    rerank_reason: Annotated[
        str | None, Meta(description="Why it did not, though it was asked for.")
    ] = None


async def generate(settings: Settings, begun: Begun) -> dict[str, Any]:
    """Ask the model, and return what ask_finish() takes besides the question's own arguments.

    Nothing to ask about gives no arguments, a failing model gives no text: both end in an answer.
    """
    if not begun.found:
        return {}
    try:
        text = await complete(settings, begun.messages)
    except LlmError as error:
        _log.warning("%s", error)
        text = None
    return {
        "p_model": settings.llm_model or UNNAMED_MODEL,
        "p_chunk_ids": begun.chunk_ids,
        "p_generated": text,
    }
