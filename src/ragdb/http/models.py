"""What requests and responses look like.

What a value may be is judged by the database, so that SQL, command line and REST refuse the same
things under the same machine names; the limits here are documentation. A field that is left out
is left out of the call too, and has the default of the stored function.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import Meta

# Beyond this the database would look for a function that takes a larger number.
Int4 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]

PAGE = 50
PageLimit = Annotated[
    int,
    QueryParameter(
        description="How many.",
        ge=-(2**31),
        le=2**31 - 1,
        schema_extra={"minimum": 1, "maximum": 1000},
    ),
]

JsonObject = dict[str, object]


def described(description: str, *examples: object, **limits: object) -> Meta:
    return Meta(
        description=description, examples=list(examples), extra_json_schema={"extra": limits}
    )


class Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A body of a request."""

    def arguments(self) -> dict[str, Any]:
        """The fields that were given, as arguments of the stored function."""
        return {
            f"p_{name}": value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not None
        }


Filters = Annotated[
    JsonObject | None,
    described(
        "Which documents count. Keys: `document`, `source`, `label`, `lang`, `date`, `title`,"
        " `metadata.<path>`, `and`, `or`, `not`; operators: `eq`, `ne`, `gt`, `gte`, `lt`, `lte`,"
        " `in`, `contains`, `exists`.",
        {"lang": "english", "date": {"gte": "2025-01-01"}},
    ),
]
Workspace = Annotated[
    str | None, described("Slug or id of a workspace; default: all the key may read.", "default")
]
Language = Annotated[
    str | None,
    described("Language of the question, as a name or code; default: the workspace's.", "english"),
]


class AskRequest(Request):
    """What to answer."""

    question: Annotated[
        str,
        described("A question.", "How often do keys rotate?", min_length=1, max_length=10_000),
    ]
    limit: Annotated[
        Int4 | None,
        described("How many passages to answer from; default 5.", 5, minimum=1, maximum=1000),
    ] = None
    filters: Filters = None
    workspace: Workspace = None
    language: Language = None
    rerank: Annotated[
        bool,
        described("Whether a reranking model orders the passages first, where there is one.", True),
    ] = False


class DocumentReplacement(Request):
    """A document's text and everything said about it; what is left out is emptied."""

    content: Annotated[str, described("The text.", "Keys rotate every 90 days.", min_length=1)]
    title: Annotated[
        str | None, described("Default: the external id.", "Key policy", max_length=2000)
    ] = None
    url: Annotated[
        str | None, described("Where people find the document.", "https://example.com/keys")
    ] = None
    metadata: Annotated[JsonObject | None, described("Anything to filter by.", {"year": 2025})] = (
        None
    )
    labels: Annotated[list[str] | None, described("Names to filter by.", ["security"])] = None
    language: Annotated[
        str | None, described("Name or code; default: the workspace's.", "english")
    ] = None
    mime: Annotated[
        str | None,
        described("How the text is written; default text/plain.", "text/markdown"),
    ] = None
    date: Annotated[
        str | None,
        described("The document's own date: `2025-01-31` or `2025-01-31T12:00:00Z`.", "2025-01-31"),
    ] = None
    chunking: Annotated[
        JsonObject | str | None,
        described(
            "How to divide the text: a preset's name or a profile; default: by `mime`.",
            "sentences",
            {"chunker": "recursive", "size": 256},
        ),
    ] = None


class NewDocument(DocumentReplacement):
    """A document to store, or to replace where source, external id and visibility are the same."""

    external_id: Annotated[
        str | None,
        described("Its name in the source; default: a hash of the text.", "kb-17", max_length=2000),
    ] = None


Visibility = Annotated[
    str | None,
    described(
        "Who may read it: the caller, the members of the workspace (default), or everybody in the"
        " organization.",
        "workspace",
        enum=["private", "workspace", "organization"],
    ),
]
_PLACE = ("source", "workspace", "visibility")
_Source = Annotated[
    str | None, described("Where documents come from; default: default.", "handbook")
]


class PutDocument(NewDocument):
    """One document, and where it belongs."""

    source: _Source = None
    workspace: Workspace = None
    visibility: Visibility = None

    def divided(self) -> tuple[JsonObject, JsonObject]:
        """The document by itself, and where it belongs."""
        given: JsonObject = {n.removeprefix("p_"): v for n, v in self.arguments().items()}
        place = {name: given.pop(name) for name in _PLACE if name in given}
        return given, place


class PutDocuments(Request):
    """Several documents of one source, workspace and visibility."""

    documents: Annotated[
        list[JsonObject],
        described(
            "Each like the body of a single one, without source, workspace and visibility. A"
            " faulty one fails alone.",
            [{"external_id": "kb-17", "title": "Key policy", "content": "Keys rotate."}],
        ),
    ]
    source: _Source = None
    workspace: Workspace = None
    visibility: Visibility = None

    def place(self) -> JsonObject:
        """Where the documents belong, as far as it was given."""
        return {name: value for name in _PLACE if (value := getattr(self, name)) is not None}


class Stored(msgspec.Struct):
    """What became of a document."""

    document_id: UUID
    status: Literal["ingested", "updated", "unchanged", "duplicate"]
    chunks: Annotated[int, Meta(description="How many passages it has.")]


class BatchItem(msgspec.Struct):
    """What became of a document of a batch."""

    ordinal: Annotated[int, Meta(description="Its place in the batch, from 1.")]
    external_id: str | None
    document_id: UUID | None
    status: Literal["ingested", "updated", "unchanged", "duplicate", "failed"]
    chunks: int
    error: Annotated[str | None, Meta(description="Machine name of the problem.")]
    message: str | None


class BatchResponse(msgspec.Struct):
    """What became of each document, in the order of the batch."""

    documents: list[BatchItem]


class FeedbackRequest(Request):
    """What is said of a result of a search, or of an answer."""

    value: Annotated[int, described("1 good, -1 bad, 0 takes it back.", 1, minimum=-1, maximum=1)]
    query: Annotated[
        str | None, described("What was searched for.", "how often do keys rotate", maxLength=10000)
    ] = None
    document_id: Annotated[UUID | None, described("A document that was found or cited.")] = None
    answer_id: Annotated[
        UUID | None, described("An answer, for its question and the documents it cites.")
    ] = None


class FeedbackResponse(msgspec.Struct):
    """What was recorded."""

    documents: Annotated[int, Meta(description="Of how many documents that was said.")]


class DocumentSummary(msgspec.Struct, kw_only=True):
    """A document without its text."""

    document_id: UUID
    external_id: str
    title: str
    url: str | None
    mime: str
    source: str
    workspace: str
    visibility: str
    labels: list[str]
    metadata: JsonObject
    language: str
    date: datetime | None
    chunks: int
    created_at: datetime
    updated_at: datetime


class Document(DocumentSummary, kw_only=True):
    """A document with its text."""

    content: str


class ListedDocument(DocumentSummary, kw_only=True):
    """A document of a list."""

    cursor: Annotated[
        str,
        Meta(description="The parameter `after` for a page that begins behind this document."),
    ]


class DocumentPage(msgspec.Struct):
    """Documents, newest first."""

    documents: list[ListedDocument]
    next: Annotated[
        str | None, Meta(description="The parameter `after` for the next page; null at the end.")
    ]
