"""Scripts without spaces are found by pairs of characters; German and Spanish by their stems."""

from __future__ import annotations

import pytest

TEXTS = {
    "zh": "北京是中华人民共和国的首都。上海是最大的城市。",
    "ja": "東京タワーは東京都港区にあります。鍵は90日ごとに交換されます\uff01",
    "ko": "서울은 대한민국의 수도이다. 열쇠는 금고에 보관한다.",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย กุญแจอยู่ในตู้นิรภัย",
    "mixed": "The Tokyo Tower (東京タワー) was opened in 1958.",
    "en": "Keys rotate every ninety days.",
}


@pytest.fixture
def world(acme):
    acme.put_many([{"external_id": name, "content": text} for name, text in TEXTS.items()])
    return acme


def found(tenant, query: str, **arguments: object) -> set[str]:
    texts = {text: name for name, text in TEXTS.items()}
    rows = tenant.search(query, p_mode="keyword", **arguments)
    return {texts[row["content"]] for row in rows}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("首都", {"zh"}),
        ("最大的城市", {"zh"}),
        ("東京タワー", {"ja", "mixed"}),
        ("港区", {"ja"}),
        ("交換", {"ja"}),
        ("대한민국", {"ko"}),
        ("금고", {"ko"}),
        ("เมืองหลวง", {"th"}),
        ("กุญแจ", {"th"}),
        ("rotating key", {"en"}),
        ("tower", {"mixed"}),
        ("\uff11\uff19\uff15\uff18", {"mixed"}),
    ],
)
def test_words_are_found(world, query, expected):
    assert found(world, query) == expected


def test_phrases_and_exclusions(world):
    assert found(world, '"東京タワー"') == {"ja", "mixed"}
    assert found(world, '"東京都"') == {"ja"}
    assert found(world, "東京タワー -港区") == {"mixed"}
    assert found(world, '+"首都上海"') == set(), "a sentence ends between them"


def test_snippets_show_what_was_found(world):
    [row] = world.search("最大的城市", p_mode="keyword")
    assert "**最大的城市**" in row["snippet"]
    row = world.search("東京 tower", p_mode="keyword")[0]
    assert "**Tower**" in row["snippet"]
    assert "**東京**" in row["snippet"]


def test_english_is_indexed_as_before(db):
    """Hashes of stems, in order, 0 where a sentence ends; typography changes nothing."""
    [(plain, typographic)] = db.execute(
        "select ragdb_data._terms('english', %s), ragdb_data._terms('english', %s)",
        (
            'Rotate "keys" - twice. Then rest, it\'s safe.',
            "Rotate \u201ckeys\u201d \u2013 twice. Then rest, it\u2019s safe.",
        ),
    ).fetchall()
    assert plain == typographic
    assert plain.count(0) == 1
    assert len(plain) == 6


@pytest.mark.parametrize(
    ("language", "content", "queries"),
    [
        (
            "de",
            "Die Verträge wurden gekündigt. Häuser werden von Maklern verkauft.",
            ("Vertrag kündigen", "Haus verkaufen", '"häuser werden"', "MAKLER"),
        ),
        (
            "es",
            "Las facturas se pagaron tarde. Los clientes cancelaron sus cuentas.",
            ("factura pagada", "cancelar cuenta", '"los clientes"', "CLIENTE"),
        ),
    ],
)
def test_stemming_by_language(acme, language, content, queries):
    acme.call("create_workspace", p_slug="abroad", p_language=language)
    acme.put(content, p_workspace="abroad")
    acme.put("Nothing of the kind.", p_workspace="abroad", p_language="en")
    for query in queries:
        rows = acme.search(query, p_mode="keyword", p_workspace="abroad")
        assert [row["content"] for row in rows] == [content], "the workspace's language"
        rows = acme.search(query, p_mode="keyword", p_language=language)
        assert [row["content"] for row in rows] == [content], "the language given"


def test_a_document_has_a_language_of_its_own(acme):
    acme.put("Los contratos fueron cancelados.", p_language="es")
    assert acme.search("cancelado contrato", p_mode="keyword", p_language="es")
    assert not acme.search("cancelado contrato", p_mode="keyword", p_language="en")


def test_letters_that_make_pairs_are_told_by_number_as_by_class(db):
    differing = db.execute(
        "select i from generate_series(1, 204000) i where i not between 55296 and 57343"
        " and ragdb_data._is_dense(i) <> (chr(i) ~ ('[' || ragdb_data._dense() || ']'))"
    ).fetchall()
    assert differing == []
