"""Files of every format, added as one folder: their known text is found by search, on its page."""

from __future__ import annotations

import re

import pytest
from runner import Ragdb

from given_files import GIVEN, KNOWN


@pytest.mark.skipif(not GIVEN, reason="the collection of files is not here")
def test_known_text_of_every_file_is_found(member: Ragdb) -> None:
    report = member.json("add", *GIVEN)
    assert report["totals"]["failed"] == 0
    documents = {f["document_id"]: f["path"].rsplit("/", 1)[-1] for f in report["files"]}
    assert set(documents.values()) == set(KNOWN)
    missed = [
        (name, page, words)
        for name, known in KNOWN.items()
        for page, words in known
        if (name, page) not in found(member, documents, words, page)
    ]
    assert missed == []


def found(
    member: Ragdb, documents: dict[str, str], words: str, page: int | None
) -> set[tuple[str, int | None]]:
    """Files and, when one is asked for, pages of the results for words without their markup."""
    query = re.sub(r"[*#|$]+", " ", words)
    results = member.json("search", query, "--limit", "50")["results"]
    return {(documents[hit["document_id"]], page and hit["page"]) for hit in results}
