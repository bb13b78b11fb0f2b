"""Synonyms: which words find which others."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Router, delete, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from ragdb.http import problems
from ragdb.http.auth import Session
from ragdb.http.search_models import Synonym, SynonymCount, SynonymList, SynonymsRequest


@get(
    operation_id="listSynonyms",
    summary="List synonyms",
    response_description="All that apply to the caller's searches",
    responses=problems.responses(400, 401, 403, 503),
)
async def list_synonyms(session: NamedDependency[Session]) -> SynonymList:
    """Each pair of words once for each direction it holds in."""
    return SynonymList(await session.read("synonyms", returning=Synonym))


@put(
    operation_id="putSynonyms",
    summary="Store synonyms",
    response_description="They are stored",
    responses=problems.responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def put_synonyms(
    data: JSONBody[SynonymsRequest], session: NamedDependency[Session]
) -> SynonymCount:
    """Let a search for a word find its synonyms as well; a pair that is there is replaced."""
    [row] = await session.call("put_synonyms", returning=_Put, **data.arguments())
    return SynonymCount(row.put_synonyms)


@delete(
    status_code=200,
    operation_id="deleteSynonyms",
    summary="Delete synonyms",
    response_description="They are gone",
    responses=problems.responses(400, 401, 403, 404, 422, 503),
)
async def delete_synonyms(
    session: NamedDependency[Session],
    word: Annotated[str, QueryParameter(description="Whose synonyms to delete.")],
    synonym: Annotated[
        list[str] | None, QueryParameter(description="Which; default: all of them.")
    ] = None,
    workspace: Annotated[
        str | None, QueryParameter(description="Where; default: those of the organization.")
    ] = None,
    language: Annotated[
        str | None, QueryParameter(description="Of the words; default: the workspace's.")
    ] = None,
) -> SynonymCount:
    """Delete a word's synonyms, in both directions."""
    [row] = await session.call(
        "delete_synonyms", returning=_Deleted,
        p_word=word, p_synonyms=synonym, p_workspace=workspace, p_language=language,
    )  # fmt: skip
    return SynonymCount(row.delete_synonyms)


class _Put(msgspec.Struct):
    put_synonyms: int


class _Deleted(msgspec.Struct):
    delete_synonyms: int


router = Router(
    "/synonyms",
    tags=["Retrieval"],
    route_handlers=[list_synonyms, put_synonyms, delete_synonyms],
)
