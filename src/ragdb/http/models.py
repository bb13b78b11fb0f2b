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
from msgspec import Meta

# Beyond this the database would look for a function that takes a larger number.
_Int4 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]

JsonObject = dict[str, object]


def _field(description: str, *examples: object, **limits: object) -> Meta:
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


_Filters = Annotated[
    JsonObject | None,
    _field(
        "Which documents count. Keys: `document`, `source`, `label`, `lang`, `date`, `title`,"
        " `metadata.<path>`, `and`, `or`, `not`; operators: `eq`, `ne`, `gt`, `gte`, `lt`, `lte`,"
        " `in`, `contains`, `exists`.",
        {"lang": "english", "date": {"gte": "2025-01-01"}},
    ),
]
_Workspace = Annotated[
    str | None, _field("Slug or id of a workspace; default: all the key may read.", "default")
]
_Language = Annotated[
    str | None,
    _field("Language of the question, as a name or code; default: the workspace's.", "english"),
]


class SearchRequest(Request):
    """What to search for."""

    query: Annotated[
        str,
        _field("Words or a question.", "how do I rotate keys", min_length=1, max_length=10_000),
    ]
    limit: Annotated[
        _Int4 | None, _field("How many results; default 10.", 10, minimum=1, maximum=1000)
    ] = None
    offset: Annotated[
        _Int4 | None, _field("How many to skip; default 0.", 0, minimum=0, maximum=10_000)
    ] = None
    mode: Annotated[
        str | None,
        _field("Default: hybrid.", "hybrid", enum=["hybrid", "keyword", "vector"]),
    ] = None
    filters: _Filters = None
    workspace: _Workspace = None
    language: _Language = None


class Hit(msgspec.Struct):
    """A passage of a document that matches."""

    rank: int
    title: str
    snippet: Annotated[str, Meta(description="The words of the query between ** and **.")]
    score: float
    url: str | None
    heading_path: list[str] | None
    page: int | None
    document_id: UUID
    chunk_id: int
    char_start: Annotated[int, Meta(description="Where `content` begins in the document's text.")]
    char_end: int
    lexical_score: float | None
    lexical_rank: int | None
    vector_score: float | None
    vector_rank: int | None
    content: str


class SearchResponse(msgspec.Struct):
    """The best passages first."""

    results: list[Hit]
    count: Annotated[int, Meta(description="How many `results` there are.")]


class AskRequest(Request):
    """What to answer."""

    question: Annotated[
        str,
        _field("A question.", "How often do keys rotate?", min_length=1, max_length=10_000),
    ]
    limit: Annotated[
        _Int4 | None,
        _field("How many passages to answer from; default 5.", 5, minimum=1, maximum=1000),
    ] = None
    filters: _Filters = None
    workspace: _Workspace = None
    language: _Language = None


class DocumentReplacement(Request):
    """A document's text and everything said about it; what is left out is emptied."""

    content: Annotated[str, _field("The text.", "Keys rotate every 90 days.", min_length=1)]
    title: Annotated[
        str | None, _field("Default: the external id.", "Key policy", max_length=2000)
    ] = None
    url: Annotated[
        str | None, _field("Where people find the document.", "https://example.com/keys")
    ] = None
    metadata: Annotated[JsonObject | None, _field("Anything to filter by.", {"year": 2025})] = None
    labels: Annotated[list[str] | None, _field("Names to filter by.", ["security"])] = None
    language: Annotated[
        str | None, _field("Name or code; default: the workspace's.", "english")
    ] = None
    mime: Annotated[
        str | None,
        _field("How the text is written; default text/plain.", "text/markdown"),
    ] = None
    date: Annotated[
        str | None,
        _field("The document's own date: `2025-01-31` or `2025-01-31T12:00:00Z`.", "2025-01-31"),
    ] = None
    chunking: Annotated[
        JsonObject | str | None,
        _field("How to divide the text: a preset's name or a profile; default: by `mime`.",
               "sentences", {"chunker": "recursive", "size": 256}),
    ] = None


class NewDocument(DocumentReplacement):
    """A document to store, or to replace where source, external id and visibility are the same."""

    external_id: Annotated[
        str | None,
        _field("Its name in the source; default: a hash of the text.", "kb-17", max_length=2000),
    ] = None


Visibility = Annotated[
    str | None,
    _field(
        "Who may read it: the caller, the members of the workspace (default), or everybody in the"
        " organization.",
        "workspace",
        enum=["private", "workspace", "organization"],
    ),
]
_Source = Annotated[str | None, _field("Where documents come from; default: default.", "handbook")]


class PutDocument(NewDocument):
    """One document, and where it belongs."""

    source: _Source = None
    workspace: _Workspace = None
    visibility: Visibility = None


class PutDocuments(Request):
    """Several documents of one source, workspace and visibility."""

    documents: Annotated[
        list[JsonObject],
        _field(
            "Each like the body of a single one, without source, workspace and visibility. A"
            " faulty one fails alone.",
            [{"external_id": "kb-17", "title": "Key policy", "content": "Keys rotate."}],
        ),
    ]
    source: _Source = None
    workspace: _Workspace = None
    visibility: Visibility = None


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


class DocumentPage(msgspec.Struct):
    """Documents, newest first."""

    documents: list[DocumentSummary]
    next: Annotated[
        UUID | None, Meta(description="The parameter `after` for the next page; null at the end.")
    ]
