"""Peers by name; a peer's package is imported only when the peer is asked for."""

from __future__ import annotations

from importlib.util import find_spec

from bench.peers import Peer
from bench.server import Ragdb

PACKAGES = {
    "lancedb": "lancedb", "naive": "", "naive_or": "", "chroma": "chromadb",
    "faiss": "faiss", "tantivy": "tantivy", "bm25s": "bm25s",
}  # fmt: skip
QUICK = ("lancedb", "naive")


def missing(names: tuple[str, ...]) -> list[str]:
    """The packages that these peers need and that are not installed."""
    wanted = {PACKAGES[name] for name in names} - {""}
    return sorted(package for package in wanted if find_spec(package) is None)


def make(name: str, ragdb: Ragdb) -> Peer:
    """A peer that holds nothing yet."""
    match name:
        case "lancedb":
            from bench.peers.lance import Lance

            return Lance()
        case "naive":
            from bench.peers.naive import Naive

            return Naive(ragdb.superuser_url)
        case "naive_or":
            from bench.peers.naive import NaiveOr

            return NaiveOr(ragdb.superuser_url)
        case "chroma":
            from bench.peers.chroma import Chroma

            return Chroma()
        case "faiss":
            from bench.peers.faiss_hnsw import Faiss

            return Faiss()
        case "tantivy":
            from bench.peers.tantivy_bm25 import Tantivy

            return Tantivy()
        case "bm25s":
            from bench.peers.bm25s_memory import Bm25s

            return Bm25s()
        case _:
            raise KeyError(name)
