"""Queries embedded before they are searched for, while no transaction is open.

    wanted = begin_query_embedding(queries)   what to embed, in a transaction; nothing for the table
    name, arguments = await embedded(wanted)  ask the model, in none
    name(arguments)                           keep the vectors, or count the failure, in another

Whatever happens here, the search that follows has an answer: without a vector it asks the table.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from ragdb.embeddings.provider import Provider, ProviderError, client, embed

_PATIENCE = 10.0
"""Nobody waits longer than these seconds for a query to be embedded."""

_log = logging.getLogger(__name__)


class Wanted(msgspec.Struct):
    """A row of ragdb.begin_query_embedding()."""

    model: Provider
    queries: list[str]
    texts: list[str]


async def embedded(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """Ask the model; returns the function to call next, and its arguments."""
    model = wanted.model
    model.timeout = min(model.timeout, _PATIENCE)
    vectors: list[str] = []
    tokens = 0
    try:
        async with client(model.url) as http:
            for first in range(0, len(wanted.texts), model.batch_size):
                texts = wanted.texts[first : first + model.batch_size]
                found = await embed(http, model, texts)
                vectors += found.vectors
                tokens += found.tokens
    except ProviderError as error:
        _log.warning("embedding model %s: %s", model.name, error)
        return "fail_query_embedding", {"p_name": model.name, "p_error": str(error)}
    return "finish_query_embedding", {
        "p_name": model.name, "p_queries": wanted.queries, "p_embeddings": vectors,
        "p_tokens": tokens,
    }  # fmt: skip
