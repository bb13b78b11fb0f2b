"""The HNSW index built anew, where that is better than inserting one vector after the other.

Only a login that owns the tables may; everybody else inserts, by maintain().
"""

from __future__ import annotations

from ragdb.ingest import Call

# So many are built again in a few seconds.
_FEW = 20_000


def make_way(owner: Call) -> None:
    """Before a bulk load: take a small index away, so that what comes is written only once."""
    found = owner("check_vector_index", p_sample=1)[0]
    if found["is_owned"] and found["held"] <= _FEW:
        owner("drop_vector_index")


def rebuild(owner: Call) -> bool:
    """Build the index where that is advised; before maintain(), which would insert."""
    if owner("check_vector_index")[0]["advice"] != "build":
        return False
    owner("drop_vector_index")
    owner("build_vector_index")
    return True
