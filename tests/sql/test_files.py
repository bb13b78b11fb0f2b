"""Originals of documents, and what is left of files in parts."""

from __future__ import annotations

from typing import Any

import pytest

from ragdb.errors import RagdbError


def refusal(acme: Any, function: str, **arguments: object) -> str:
    with pytest.raises(RagdbError) as caught:
        acme.call(function, **arguments)
    return caught.value.problem.code


def keep(acme: Any, document_id: object, content: bytes = b"\0\xff") -> bool:
    [row] = acme.call(
        "keep_original", p_document_id=document_id, p_name="a.pdf", p_mime="application/pdf",
        p_content=content,
    )  # fmt: skip
    return row["keep_original"]


def test_an_original_is_kept_and_goes_with_its_document(acme: Any) -> None:
    document = acme.put("Lemons.", p_external_id="a")["document_id"]
    assert refusal(acme, "get_original", p_document_id=document) == "original_not_found"
    assert keep(acme, document) is True
    assert keep(acme, document) is False
    assert keep(acme, document, b"other") is True
    [found] = acme.call("get_original", p_document_id=document)
    assert (found["name"], found["mime"], found["size"], found["content"]) == (
        "a.pdf", "application/pdf", 5, b"other",
    )  # fmt: skip
    acme.call("delete_document", p_document_id=document)
    assert refusal(acme, "get_original", p_document_id=document) == "original_not_found"
    assert refusal(
        acme, "keep_original", p_document_id=document, p_name="a", p_mime="b", p_content=b""
    ) == "document_not_found"  # fmt: skip


def test_an_original_goes_with_its_text_and_stays_with_a_new_title(acme: Any) -> None:
    for name, other in (("alone", None), ("shared", "Sour lemons.")):
        document = acme.put(f"{name} lemons.", p_external_id=name)["document_id"]
        if other:
            acme.put(f"{name} lemons.", p_external_id="twin")
            acme.put(other)
        keep(acme, document)
        acme.put(f"{name} lemons.", p_external_id=name, p_labels=["fruit"])
        assert acme.call("get_original", p_document_id=document)
        acme.put(other or "Other lemons.", p_external_id=name)
        assert refusal(acme, "get_original", p_document_id=document) == "original_not_found"


def test_originals_have_a_greatest_size(acme: Any) -> None:
    document = acme.put("Lemons.")["document_id"]
    assert refusal(
        acme, "keep_original", p_document_id=document, p_name="a", p_mime="b",
        p_content=bytes(64_000_001),
    ) == "original_too_large"  # fmt: skip


def test_what_a_longer_version_left_is_deleted(acme: Any) -> None:
    def put(*names: str) -> None:
        acme.put_many([{"external_id": name, "content": f"Text of {name}."} for name in names])

    def trim(name: str, parts: int) -> int:
        return acme.call("trim_parts", p_external_ids=[name], p_parts=[parts])[0]["trim_parts"]

    def names() -> set[str]:
        return {row["external_id"] for row in acme.read("documents")}

    put("a", "a#part-1", "a#part-2", "a#part-3", "b#part-1", "b#part-2", "c")
    assert trim("a", 2) == 2
    assert names() == {"a#part-1", "a#part-2", "b#part-1", "b#part-2", "c"}
    assert trim("b", 0) == 2
    assert trim("c", 0) == 0
    assert names() == {"a#part-1", "a#part-2", "c"}
