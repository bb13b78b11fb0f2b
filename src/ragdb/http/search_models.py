"""What requests and responses of search look like; see models.py."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from ragdb.http.models import Filters, Int4, JsonObject, Language, Request, Workspace, described

_SUGGESTED = (
    "The query with words that no document has replaced by the most alike that one has; null when"
    " there are none, or it was not asked for."
)


class Query(Request):
    """What is searched for, and how results are chosen."""

    query: Annotated[
        str,
        described(
            'Words or a question. `"an exact phrase"` must occur, unless nothing has it or the'
            ' query is a sentence; `+"a phrase"` must in any case, `-word` and `-"a phrase"` must'
            " not.",
            "how do I rotate keys",
            min_length=1,
            max_length=10_000,
        ),
    ]
    limit: Annotated[
        Int4 | None, described("How many results; default 10.", 10, minimum=1, maximum=1000)
    ] = None
    mode: Annotated[
        str | None,
        described("Default: hybrid.", "hybrid", enum=["hybrid", "keyword", "vector"]),
    ] = None
    filters: Filters = None
    workspace: Workspace = None
    language: Language = None
    queries: Annotated[
        list[str] | None,
        described(
            "Other ways to ask the same; the score is the mean over all.",
            ["key rotation interval"],
            max_items=10,
        ),
    ] = None
    correct: Annotated[
        bool | None, described("Whether to search for `corrected_query` where there is one.", True)
    ] = None
    diversity: Annotated[
        float | None,
        described(
            "How much a result loses by being like those before it; default 0.",
            0.3,
            minimum=0,
            maximum=1,
        ),
    ] = None
    per_document: Annotated[
        Int4 | None, described("At most so many results of each document.", 1, minimum=1)
    ] = None
    distinct: Annotated[
        bool | None,
        described("Whether to leave out passages nearly the same as a better one.", True),
    ] = None
    boosts: Annotated[
        JsonObject | None,
        described(
            "Scores are multiplied by 1 + weight * 2^(-age / half life), and by 1 + weight for"
            " each label.",
            {"recency": {"half_life_days": 30, "weight": 0.2}, "labels": {"policy": 0.3}},
        ),
    ] = None
    min_score: Annotated[float | None, described("Leave out results with a lower score.", 0.5)] = (
        None
    )


class SearchRequest(Query):
    """What to search for."""

    offset: Annotated[
        Int4 | None,
        described(
            "How many to skip; default 0. Pages of one `limit` neither repeat nor skip a result.",
            0,
            minimum=0,
            maximum=10_000,
        ),
    ] = None
    neighbours: Annotated[
        Int4 | None,
        described(
            "How many passages before and after `content` is to hold too; default 0.",
            1,
            minimum=0,
            maximum=20,
        ),
    ] = None
    section: Annotated[
        bool | None, described("Whether `content` is to hold the passage's whole section.", True)
    ] = None
    suggest: Annotated[
        bool, described('Whether to look for a `corrected_query`, for "did you mean".', True)
    ] = False
    rerank: Annotated[
        bool,
        described("Whether a reranking model orders the best results, where there is one.", True),
    ] = False

    def page(self) -> tuple[int, int]:
        """Limit and offset, with the defaults of the stored function."""
        return 10 if self.limit is None else self.limit, self.offset or 0

    def arguments(self) -> dict[str, Any]:
        """Without what the service itself does."""
        own = {"p_suggest", "p_rerank"}
        return {name: value for name, value in super().arguments().items() if name not in own}


class ExplainRequest(Query):
    """What to explain."""

    chunk: Annotated[int | None, described("A passage to explain though it is no result.", 1)] = (
        None
    )
    document: Annotated[
        UUID | None, described("A document whose passages to explain though they are no results.")
    ] = None


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
    rerank_score: Annotated[
        float | None, Meta(description="What the reranking model gave it, if it read it.")
    ] = None


class SearchResponse(msgspec.Struct):
    """The best passages first."""

    results: list[Hit]
    count: Annotated[int, Meta(description="How many `results` there are.")]
    corrected_query: Annotated[str | None, Meta(description=_SUGGESTED)] = None
    reranked: Annotated[
        bool, Meta(description="Whether the order is that of the reranking model.")
    ] = False
    rerank_reason: Annotated[
        str | None, Meta(description="Why it is not, though it was asked for.")
    ] = None
    notices: Annotated[
        list[str],
        Meta(description="What was done otherwise than asked, such as phrases that nothing has."),
    ] = []


class Explained(msgspec.Struct):
    """A passage with every feature of its score."""

    rank: int | None
    title: str | None
    score: float | None
    lexical: float | None
    lexical_rank: int | None
    cosine: float | None
    vector_rank: int | None
    phrase: float | None
    sentence: float | None
    confidence: float | None
    chunk_id: int | None
    trace: JsonObject | None
    normal_lexical: float | None
    base: float | None
    boost: float | None
    reason: Annotated[str | None, Meta(description="Why it is no result.")]
    words: Annotated[
        dict[str, float] | None,
        Meta(description="What each word of the query gives `lexical`; 0 where it is not there."),
    ]


class ExplainResponse(msgspec.Struct):
    """What a search did, and why."""

    trace: Annotated[
        JsonObject,
        Meta(description="Words, corrections, candidates, strategies and times of the search."),
    ]
    results: list[Explained]


class Suggestion(msgspec.Struct):
    """What a word was probably meant to be."""

    word: str
    suggestion: str
    chunks: Annotated[int, Meta(description="How many passages have it.")]


class SuggestResponse(msgspec.Struct):
    """What a query was probably meant to be."""

    corrected_query: Annotated[str | None, Meta(description=_SUGGESTED)]
    suggestions: list[Suggestion]


class SynonymsRequest(Request):
    """A word and what is to be found for it as well."""

    word: Annotated[str, described("A word or phrase.", "k8s", min_length=1, max_length=200)]
    synonyms: Annotated[list[str], described("Words or phrases.", ["kubernetes"])]
    weight: Annotated[
        float | None,
        described("What a synonym counts, where the word counts 1; default 0.7.", 0.7),
    ] = None
    workspace: Annotated[
        str | None,
        described("Slug or id of a workspace; default: the whole organization.", "default"),
    ] = None
    language: Language = None
    both_ways: Annotated[
        bool | None, described("Whether the synonyms find the word too; default true.")
    ] = None


class Synonym(msgspec.Struct):
    """A word and one of its synonyms."""

    word: str
    synonym: str
    weight: float
    language: str
    workspace: Annotated[
        str | None, Meta(description="Null where it holds in the whole organization.")
    ]


class SynonymList(msgspec.Struct):
    """Every synonym that applies to the caller's searches."""

    synonyms: list[Synonym]


class SynonymCount(msgspec.Struct):
    """How many pairs of words were stored or deleted."""

    pairs: int
