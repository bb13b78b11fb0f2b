"""A query that names no language is read as the texts it is asked of."""

from __future__ import annotations

GERMAN = [
    ("Häuser", "Die alten Häuser am Marktplatz wurden von Zimmerleuten gebaut."),
    ("Gärten", "In den Gärten der Klöster wuchsen heilende Kräuter und Rosen."),
]
ENGLISH = [
    ("Houses", "The old houses of the market were built by carpenters."),
    ("Gardens", "Healing herbs and roses grew in the gardens of the monasteries."),
]


def put(organization, texts, language):
    for title, text in texts:
        organization.put(text, p_title=title, p_language=language)


def test_one_other_language_than_the_workspace_s(acme):
    put(acme, GERMAN, "de")
    assert [r["title"] for r in acme.search("Kloster Garten", p_mode="keyword")] == ["Gärten"]


def test_each_query_is_read_in_its_own_language(acme):
    put(acme, GERMAN, "de")
    put(acme, ENGLISH, "en")
    assert [r["title"] for r in acme.search("Haus bauen", p_mode="keyword")] == ["Häuser"]
    assert [r["title"] for r in acme.search("monastery garden", p_mode="keyword")] == ["Gardens"]
    assert acme.search("Zimmermann zimmerleute haus", p_mode="keyword")[0]["title"] == "Häuser"
    acme.call("maintain")
    assert [r["title"] for r in acme.search("building a house", p_mode="keyword")] == ["Houses"]


def test_a_language_that_is_said_holds(acme):
    put(acme, GERMAN, "de")
    assert acme.search("Gärten", p_mode="keyword", p_language="en") == []


def test_a_text_taken_for_another_language_turns_no_query(acme):
    put(acme, [*ENGLISH, ("Keys", "An API key is rotated.")], "en")
    put(acme, [("Table", "an api roatte on")], "ca")
    for query in ("roatte an API kye", "an API", "is it on the API"):
        told, *_ = acme.call("explain_search", p_query=query, read_only=True)
        assert told["trace"]["language"] == "english", query
