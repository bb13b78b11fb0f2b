"""What `ragdb search --explain` prints: a search told in words and tables."""

from __future__ import annotations

from typing import Any

from ragdb_cli.output import Output

_FEATURES = (
    "rank", "score", "base", "normal_lexical", "lexical", "lexical_rank", "cosine",
    "vector_rank", "phrase", "sentence", "boost", "chunk_id", "title",
)  # fmt: skip
_STAGES = ("query", "filter", "vector", "sealed", "fusion")


def explain_on(output: Output, trace: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Print what the legs did, each result's features, and why others are none."""
    for line in _story(trace):
        output.text(output.style(line))
    _table(output, [_word(word) for word in _listed(trace, "words")], ("word", "chunks", "idf"))
    results = [row for row in rows if row["rank"] is not None]
    _table(output, results, _FEATURES)
    others = [row for row in rows if row["rank"] is None]
    _table(
        output,
        others,
        (
            "chunk_id", "title", "score", "lexical", "lexical_rank", "cosine", "vector_rank",
            "phrase", "sentence",
        ),
    )  # fmt: skip
    if rows and any(row["words"] for row in rows):
        output.text()
    for row in rows:
        name = f"result {row['rank']}" if row["rank"] else f"chunk {row['chunk_id']}"
        for told in (row["reason"], _shares(row["words"])):
            if told:
                output.text(output.style(f"{name}: {told}"))
    if results:
        confidence = results[0]["confidence"]
        output.text(f"confidence that the documents are about the query: {confidence:.3f}")


def _story(trace: dict[str, Any]) -> list[str]:
    lines = [f"mode {trace['mode']}, read in {trace['language']}"]
    if trace["corrected_query"]:
        lines.append(f"corrected to: {trace['corrected_query']}")
    lines += [
        f"synonym: {pair['word']} finds {pair['synonym']} (weight {pair['weight']:g})"
        for pair in _listed(trace, "synonyms")
    ]
    must = _listed(trace, "phrases")
    lines += [f'must occur: "{phrase}"' for phrase in must]
    lines += [
        f'words like others, in a sentence or where nothing matches: "{phrase}"'
        for phrase in _listed(trace, "quoted")
        if phrase not in must
    ]
    lines += [f'must not occur: "{phrase}"' for phrase in _listed(trace, "excluded")]
    share = trace["selectivity"]
    about = "about " if trace["filter_strategy"] == "candidates" else ""
    lines.append(
        f"{about}{trace['matching_chunks']} of {trace['chunks_in_scope']:g} chunks match"
        + (f" ({share:.1%})" if share is not None else "")
    )
    lines.append(
        f"keyword leg: the best {trace['keyword_candidates']} at most,"
        f" chosen from {trace['sealed_candidates']} chunks of segments and those not sealed yet"
    )
    lines.append(
        f"vector leg: {trace['vector_strategy']}, {trace['vector_candidates']} candidates;"
        f" {trace['vector_reason']}"
    )
    weights = trace["weights"]
    lines.append(
        f"score: normal_lexical + {weights['vector']:g} cosine + {weights['phrase']:g} phrase"
        f" + {weights['sentence']:g} sentence, the last two for the best {trace['reranked']},"
        " whose cosines are taken with the query moved towards the two best"
        if trace["mode"] == "hybrid"
        else f"score: {'lexical' if trace['mode'] == 'keyword' else 'cosine'}"
    )
    stages = ", ".join(f"{stage} {trace[f'{stage}_ms']:.2f}" for stage in _STAGES)
    return [*lines, f"milliseconds: {stages}"]


def _shares(words: dict[str, float] | None) -> str:
    """What the words of the query contribute to a lexical score, and which are not there."""
    if not words:
        return ""
    found = sorted((word for word in words if words[word]), key=lambda word: -words[word])
    lacking = [word for word in words if not words[word]]
    parts: list[str] = []
    if found:
        parts.append("has " + ", ".join(f"{word} {words[word]:.2f}" for word in found))
    if lacking:
        parts.append("lacks " + ", ".join(lacking))
    return "; ".join(parts)


def _listed(trace: dict[str, Any], name: str) -> list[Any]:
    listed: list[Any] | None = trace[name]
    return listed or []


def _word(word: dict[str, Any]) -> dict[str, Any]:
    if word.get("stop_word"):
        return {"word": word["word"], "chunks": "stop word", "idf": None}
    return {"word": word["word"], "chunks": int(word["chunks"]), "idf": word["idf"]}


def _table(output: Output, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    if not rows:
        return
    output.text()
    output.table(
        [
            {
                name: round(row[name], 3) if isinstance(row[name], float) else row[name]
                for name in columns
            }
            for row in rows
        ],
        columns,
    )
