"""The local model behind the interface of OpenAI's embeddings, for `ragdb serve --embeddings`.

Whoever has an API key may use it; nothing of what is sent is stored.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody
from msgspec import Meta

from ragdb.embeddings.local import SHARED, sizes
from ragdb.embeddings.minilm import DIMENSIONS, MAX_TOKENS, MODEL, PROJECTED, table_model
from ragdb.errors import Problem, RagdbError
from ragdb.http import auth, problems
from ragdb.http.auth import Identity, Session
from ragdb.http.models import described

MOST_INPUTS = 256
MAX_BODY = 4_000_000


class EmbeddingsRequest(msgspec.Struct, kw_only=True):
    """What to embed. Fields of other servers are ignored."""

    input: Annotated[
        str | list[Any],
        described(
            f"A text, or up to {MOST_INPUTS} of them. Of each the first {MAX_TOKENS} tokens are"
            " read.",
            ["How do I rotate keys?"],
            max_items=MOST_INPUTS,
        ),
    ]
    model: Annotated[
        str | None,
        described("Default: the one whose vectors ragdb searches.", "minilm-256-2", MODEL),
    ] = None
    dimensions: Annotated[
        int | None,
        described(
            f"{PROJECTED}: projected into the space of ragdb's embedding table; {DIMENSIONS}: as"
            " the model makes them. Default: the model's.",
            PROJECTED,
            enum=[PROJECTED, DIMENSIONS],
        ),
    ] = None
    encoding_format: Annotated[
        str | None,
        described(
            "Numbers, or Base64 of little-endian 32-bit floats.", "float", enum=["float", "base64"]
        ),
    ] = None


class Embedding(msgspec.Struct):
    """The vector of one text; its length is 1."""

    index: Annotated[int, Meta(description="Which of the texts.")]
    embedding: list[float] | str
    object: Literal["embedding"] = "embedding"


class Usage(msgspec.Struct):
    """Tokens read."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(msgspec.Struct):
    """A vector for each text, in order."""

    data: list[Embedding]
    model: str
    usage: Usage
    object: Literal["list"] = "list"


class Model(msgspec.Struct):
    """A name that the field `model` may have."""

    id: str
    created: int = 0
    owned_by: str = "ragdb"
    object: Literal["model"] = "model"


class Models(msgspec.Struct):
    """The names that the field `model` may have."""

    data: list[Model]
    object: Literal["list"] = "list"


class Failure(msgspec.Struct):
    """What went wrong, as clients of OpenAI read it."""

    message: str
    type: str
    code: Annotated[str, Meta(description="Machine name.", examples=["unknown_model"])]
    param: str | None = None


class Failed(msgspec.Struct):
    """The body of an error."""

    error: Failure


_RESPONSES = {
    status: ResponseSpec(Failed, description=description, generate_examples=False)
    for status, description in {
        400: "The request cannot be read.",
        401: "The API key is missing, unknown, revoked or expired.",
        404: "There is no such model.",
        413: "The body is too large.",
        415: "The body is not JSON.",
        422: "A value is not allowed; `code` says which rule it breaks.",
        429: "Too many requests wait.",
        500: "A fault of the service.",
        503: "The database cannot say whose the API key is.",
    }.items()
}


@post(
    "/embeddings",
    status_code=200,
    operation_id="createEmbeddings",
    summary="Embed texts",
    tags=["Embeddings"],
    response_description="The vectors",
    responses=_RESPONSES,
    request_max_body_size=MAX_BODY,
)
async def create(
    data: JSONBody[EmbeddingsRequest],
    session: NamedDependency[Session],
) -> Embeddings:
    """Embed texts with all-MiniLM-L6-v2, on this machine.

    Speaks as OpenAI's endpoint of the same name does. The vectors of the model that is named like
    the embedding table may stand beside those that the database makes itself.
    """
    await session.call("whoami", returning=Identity, read_only=True)
    if data.encoding_format not in (None, "float", "base64"):
        raise _refused("unknown_encoding_format", "encoding_format is float or base64.")
    model = data.model or table_model()
    vectors, tokens = await SHARED.embed(_texts(data.input), model, data.dimensions)
    return Embeddings(
        [
            Embedding(n, _base64(vector) if data.encoding_format == "base64" else vector)
            for n, vector in enumerate(vectors)
        ],
        model,
        Usage(tokens, tokens),
    )


@get(
    "/models",
    operation_id="listModels",
    summary="The local models",
    tags=["Embeddings"],
    responses={status: _RESPONSES[status] for status in (401, 500, 503)},
)
async def models(session: NamedDependency[Session]) -> Models:
    """The names of the models that embed texts here."""
    await session.call("whoami", returning=Identity, read_only=True)
    return Models([Model(name) for name in sizes()])


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[Failed]:
    """An error in the shape that clients of OpenAI read."""
    response = problems.respond(request, error)
    found = response.content
    kind = "server_error" if found.status >= 500 else "invalid_request_error"
    message = f"{found.detail} {found.hint}" if found.hint else found.detail
    return Response(
        Failed(Failure(message, kind, found.code)),
        status_code=response.status_code,
        headers=response.headers,
    )


def router() -> Router:
    """The operations below /v1; loads the model, raises RagdbError where there is none."""
    SHARED.load()
    return Router(
        "/v1",
        route_handlers=[create, models],
        guards=[auth.require_key],
        dependencies={"session": Provide(auth.provide_session, sync_to_thread=False)},
        after_response=auth.record_use,
        exception_handlers={Exception: respond, HTTPException: respond},
    )


def _texts(given: str | list[Any]) -> list[str]:
    """The texts of a request."""
    texts = [given] if isinstance(given, str) else given
    if not 1 <= len(texts) <= MOST_INPUTS:
        raise _refused(
            "invalid_input", f"{len(texts)} texts were sent; 1 to {MOST_INPUTS} are embedded."
        )
    found = [text for text in texts if isinstance(text, str) and text.strip()]
    if len(found) < len(texts):
        raise _refused(
            "invalid_input", "The input holds something else than texts with words.",
            "Numbers of tokens are another model's: send the text itself.",
        )  # fmt: skip
    return found


def _base64(vector: list[float]) -> str:
    import numpy

    return base64.b64encode(numpy.array(vector, "<f4").tobytes()).decode("ascii")


def _refused(code: str, message: str, hint: str | None = None) -> RagdbError:
    return RagdbError(Problem(422, code, message, hint))
