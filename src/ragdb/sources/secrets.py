"""The secrets of a source: one sealed text, bound to its organization, its name and its places.

Places are what its configuration says of where secrets are sent. Whoever changes that, even in the
tables themselves, is left with a sealed text that opens no more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import msgspec

from ragdb.errors import Problem, RagdbError
from ragdb.sealing import Keys, SealError


@dataclass(frozen=True)
class Bound:
    """What secrets are sealed for."""

    organization_id: UUID
    name: str
    type: str
    config: Mapping[str, object]
    places: Sequence[str]

    def __str__(self) -> str:
        places = {place: self.config.get(place) for place in self.places}
        digest = sha256(msgspec.json.encode(places, order="sorted")).hexdigest()
        return "\n".join(("source", str(self.organization_id), self.name, self.type, digest))


def sealed(
    written_keys: str | None, secrets: Mapping[str, str], known: Collection[str], bound: Bound
) -> bytes:
    """As put_source() takes them; nothing at all for none. Raises RagdbError.

    known: the names that the source's type has secrets by.
    """
    if unknown := sorted(set(secrets) - set(known)):
        names = ", ".join(sorted(known)) or "none"
        raise RagdbError(
            Problem(
                422, "unknown_secret", f"Such a source has no secret {unknown[0]}.",
                f"Its secrets: {names}",
            )
        )  # fmt: skip
    if not secrets:
        return b""
    try:
        written = msgspec.json.encode(dict(secrets)).decode()
        return Keys.read(written_keys).seal(written, str(bound))
    except SealError as error:
        raise RagdbError(
            Problem(
                503, "no_secret_key", str(error),
                "ragdb init makes RAGDB_HOME/secret.key; or set RAGDB_SECRET_KEY_FILE.",
            )
        ) from error  # fmt: skip


def opened(keys: Keys, secrets: bytes, bound: Bound) -> tuple[dict[str, str], bytes | None]:
    """The secrets, and sealed anew where the key they were sealed with is not the current one.

    Raises SealError.
    """
    written = keys.open(secrets, str(bound))
    resealed = None if keys.is_current(secrets) else keys.seal(written, str(bound))
    return msgspec.json.decode(written, type=dict[str, str]), resealed
