"""Documents: what is put can be found, what is changed costs its difference, what is deleted is gone."""

from __future__ import annotations


def test_put_and_search(acme):
    put = acme.put("Keys rotate every ninety days. The vault does it alone.", p_title="Key policy")
    assert (put["status"], put["chunks"]) == ("ingested", 1)
    hit = acme.search("how often do keys rotate")[0]
    assert hit["document_id"] == put["document_id"]
    assert "**rotate**" in hit["snippet"]
