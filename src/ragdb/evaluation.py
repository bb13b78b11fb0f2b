"""Evaluation sets on disk, as BEIR lays them out, and their way into a throw-away workspace.

A set is a folder with corpus.jsonl, queries.jsonl, and judgements in qrels.tsv or qrels/test.tsv.
The database measures; here files are read and batches are sent.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, cast

from psycopg.types.json import Jsonb

from ragdb import ingest
from ragdb.errors import Problem, RagdbError
from ragdb.extraction.language import languages
from ragdb.ingest import Call
from ragdb.reading import Document

BATCH_QUERIES = 1000
_PAUSE = 0.5
_SAMPLE = 200
_LANGUAGE = "english"

# What BM25 is usually given: the title as the beginning of the text, and a document in one piece.
_PLAIN = {"chunker": "recursive", "size": 100_000, "overlap": 0, "unit": "characters"}


@dataclass(frozen=True)
class EvaluationSet:
    """A folder, and how its documents are to be indexed."""

    folder: Path
    language: str | None = None
    plain: bool = False

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def workspace(self) -> str:
        """The slug of its workspace: the same for the same files indexed alike."""
        files = [(path.name, path.stat().st_size) for path in (self._corpus, self._queries)]
        told = json.dumps([str(self.folder.resolve()), files, self.language, self.plain])
        return f"eval-{sha256(told.encode()).hexdigest()[:16]}"

    def check(self) -> None:
        """Raises RagdbError when a file is missing."""
        for path in (self._corpus, self._queries, self._qrels):
            if not path.is_file():
                raise _invalid(f"{path} is missing.")

    def spoken(self) -> str:
        """What it is said to be in, else the language of most of its first documents."""
        if self.language is not None:
            return self.language
        first = islice(self.documents(), _SAMPLE)
        found = languages([cast(str, document.fields["content"]) for document in first])
        counts = Counter(language for language in found if language is not None)
        return counts.most_common(1)[0][0] if counts else _LANGUAGE

    def size(self) -> int:
        """Bytes of the corpus."""
        return self._corpus.stat().st_size

    def documents(self) -> Generator[Document]:
        """The corpus, as put_documents() takes it; a document without any text is left out."""
        for line, record in _records(self._corpus):
            title, text = str(record.get("title") or ""), str(record.get("text") or "")
            if self.plain:
                title, text = "", f"{title}\n\n{text}" if title else text
            if not text.strip():
                title, text = "", title
            if text.strip():
                fields: dict[str, object] = {
                    "external_id": str(record["_id"]), "title": title, "content": text,
                    "language": self.language,
                }  # fmt: skip
                if self.plain:
                    fields["chunking"] = _PLAIN
                yield Document(str(record["_id"]), fields, len(line))

    def judgements(self) -> list[dict[str, object]]:
        """The queries that were judged, as put_judgements() takes them."""
        grades = self._grades()
        return [
            {"query_id": name, "query": str(record["text"]), "documents": grades[name]}
            for _, record in _records(self._queries)
            if (name := str(record["_id"])) in grades
        ]

    @property
    def _corpus(self) -> Path:
        return self.folder / "corpus.jsonl"

    @property
    def _queries(self) -> Path:
        return self.folder / "queries.jsonl"

    @property
    def _qrels(self) -> Path:
        test = self.folder / "qrels" / "test.tsv"
        return test if test.is_file() else self.folder / "qrels.tsv"

    def _grades(self) -> dict[str, dict[str, int]]:
        grades: dict[str, dict[str, int]] = {}
        with self._qrels.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                fields = line.rstrip("\n").split("\t")
                try:
                    query, document, grade = fields[0], fields[-2], int(fields[-1])
                except (IndexError, ValueError):
                    if number == 1 or not line.strip():  # the header
                        continue
                    raise _invalid(f"{self._qrels}, line {number}: no judgement.") from None
                grades.setdefault(query, {})[document] = grade
        return grades


def load(
    held: EvaluationSet, call: Call, workspace: str, advance: Callable[[int, str], None]
) -> None:
    """Bring a set into a workspace; what is there already costs little. Raises RagdbError."""
    place = ingest.Place(workspace=workspace)
    stored = 0
    for batch in ingest.batches(held.documents()):
        for result in ingest.store(call, place, batch):
            if result.error:
                raise _invalid(f"Document {result.path}: {result.error['message']}")
        stored += len(batch)
        size = sum(document.size for document in cast(list[Document], batch))
        advance(size, f"{stored} documents")
    judgements = iter(held.judgements())
    while judged := list(islice(judgements, BATCH_QUERIES)):
        call(
            "put_judgements",
            p_dataset=held.name, p_judgements=Jsonb(judged), p_workspace=workspace,
        )  # fmt: skip


def await_vectors(
    read: Callable[[str], list[dict[str, Any]]], model: str, advance: Callable[[int, str], None]
) -> None:
    """Wait until workers have embedded all chunks with a model. Raises RagdbError."""
    while True:
        rows = {row["name"]: row for row in read("embedding_models") if row["is_used"]}
        if model not in rows:
            raise RagdbError(
                Problem(
                    404, "embedding_model_not_found",
                    f"The organization uses no embedding model {model}.",
                    "Begin to: ragdb model use NAME, or ragdb model upgrade",
                )
            )  # fmt: skip
        found = rows[model]
        if not found["waiting"] and not found["is_backfilling"]:
            return
        advance(0, f"{found['waiting']} chunks wait for ragdb worker")
        time.sleep(_PAUSE)


def _records(path: Path) -> Generator[tuple[bytes, dict[str, object]]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                if "_id" not in record:
                    raise ValueError
            except (ValueError, TypeError):
                raise _invalid(f"{path}, line {number}: no JSON object with an _id.") from None
            yield line, record


def _invalid(message: str) -> RagdbError:
    hint = "A set is a folder with corpus.jsonl, queries.jsonl and qrels.tsv or qrels/test.tsv."
    return RagdbError(Problem(422, "invalid_evaluation_set", message, hint))
