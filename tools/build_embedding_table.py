"""Build the embedding table that ships with the package (development only).

    python tools/build_embedding_table.py TABLE.npz VOCAB.txt OUTPUT --model NAME

TABLE.npz holds `q` (int8, one row per vocabulary line) and `scale` (float32, one per row);
VOCAB.txt is the WordPiece vocabulary, one token per line. The output is the file that
`ragdb.embedding` reads. Only rows that `ragdb.words()` can ever ask for are kept, which is
what keeps the file under 8 MB: special tokens, punctuation, symbols and spellings that
normalisation rewrites are left out, and so are rows of zeros, which no training text touched.
"""

from __future__ import annotations

import argparse
import unicodedata
from pathlib import Path

import numpy as np

from ragdb.embedding import FORMAT, HEADER, MAGIC

IDEOGRAPHS = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


def is_ideograph(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in IDEOGRAPHS)


def is_reachable(token: str) -> bool:
    """Whether a word, or a piece inside a word, can be spelled like this token."""
    inside = len(token) > 2 and token.startswith("##")
    piece = token[2:] if inside else token
    if any(unicodedata.category(character)[0] not in "LMN" for character in piece):
        return False
    if unicodedata.normalize("NFKD", piece).lower() != piece:
        return False
    # An ideograph is a word of its own, so it never continues one.
    return not (inside and any(map(is_ideograph, piece)))


def build(table: Path, vocabulary: Path, model: str) -> bytes:
    with np.load(table) as arrays:
        rows, scales = arrays["q"], arrays["scale"]
    tokens = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if rows.dtype != np.int8 or not len(rows) == len(scales) == len(tokens):
        raise SystemExit("The table needs an int8 row and a scale for every vocabulary line.")

    # In index order, so that loading appends to the end of the primary key.
    kept = sorted(
        (n for n, token in enumerate(tokens) if is_reachable(token) and rows[n].any()),
        key=lambda n: tokens[n].encode(),
    )
    text = "\n".join(tokens[n] for n in kept).encode()
    header = HEADER.pack(MAGIC, FORMAT, rows.shape[1], len(kept), len(text), model.encode(), 4.75, 11.55, -9.73)
    return header + text + scales[kept].astype("<f4").tobytes() + rows[kept].tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the shipped embedding table.")
    parser.add_argument("table", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", default="minilm-256-1", help="version name stored in the file")
    arguments = parser.parse_args()

    content = build(arguments.table, arguments.vocabulary, arguments.model)
    arguments.output.write_bytes(content)
    print(f"{arguments.output}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
