"""Files of other projects' tests, beside the project, and what is known to be in them."""

from __future__ import annotations

from pathlib import Path

FILES = Path(__file__).parents[1].parent / "shared" / "data" / "files"
GIVEN = sorted(FILES.glob("*__*")) if FILES.is_dir() else []

# From the files themselves: words on a page, counted from 1, or anywhere.
KNOWN: dict[str, list[tuple[int | None, str]]] = {
    "docling__csv-comma.csv": [(None, "| Isabelborough |")],
    "docling__multi_page.pdf": [
        (1, "Christopher Latham Sholes"), (2, "### The Modern Era"), (3, "### Specialized Word"),
        (4, "**Accessibility**"), (5, "The journey of the word processor"),
    ],
    "docling__right_to_left_03.pdf": [(None, "کارگزاری")],
    "docling__text_document_01.odt": [(None, "## Heading level 2: A"), (None, "de Finibus")],
    "docling__wiki.md": [(None, "Thomas J. Watson")],
    "docling__wiki_duck.html": [(None, "Anatidae")],
    "docling__word_sample.docx": [
        (None, "# Swimming in the lake"), (None, "| Grain | Corn, Buckwheat, Barley | 200 |"),
    ],
    "financebench__ULTABEAUTY_2023Q4_EARNINGS.pdf": [
        (1, "# Ulta Beauty Announces Fourth Quarter"), (6, "| Net sales | $ 3,226,773 |"),
    ],
    "markitdown__test.docx": [(1, "# Abstract"), (None, "314b0a30-5b04-470b-b9f7-eed2c2bec74a")],
    "markitdown__test.pdf": [(1, "contemporaneous exploration of multi-agent approaches")],
    "markitdown__test.pptx": [
        (2, "44bf7d06-5e7a-4a40-a2e1-a2e42ef28c8a"), (3, "1b92870d-e3b5-4e65-8153-919f4ff45592"),
        (4, "a3f6004b-6f4f-4ea8-bee3-3741f4dc385f"), (4, "2003"),
        (6, "This phrase of the caption is Human-written."),
    ],
    "markitdown__test.xlsx": [
        (1, "6ff4173b-42a5-4784-9b19-f49caff4d93d"),
        (2, "## 09060124-b5e7-4717-9d07-3c046eb"), (2, "affc7dad-52dc-4b98-9b5d-51e65d8a8ad0"),
    ],
    "markitdown__test_mskanji.csv": [(None, "髙橋淳")],
    "terrier__document.docx": [(1, "At vero eos"), (2, "Stet clita")],
    "terrier__document.html": [(None, "At vero eos")],
    "terrier__document.pdf": [(1, "At vero eos"), (2, "Stet clita")],
    "terrier__document.pptx": [(1, "aliquyam erat"), (2, "Stet clita")],
    "terrier__document.txt": [(None, "At vero eos")],
    "terrier__document.xlsx": [(1, "Stet clita")],
    "unstructured__copy-protected.pdf": [(1, "# LayoutParser"), (2, "document digitization")],
    "unstructured__email-with-image.eml": [(None, "The unstructured logo is attached")],
    "unstructured__winter-sports.epub": [(None, "Benson"), (None, "# WINTER SPORTS IN")],
}  # fmt: skip
