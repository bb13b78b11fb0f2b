"""The secrets of a source: one sealed text, bound to its organization and its name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from ragdb.errors import Problem, RagdbError
from ragdb.sealing import Keys, SealError


def sealed(
    written_keys: str | None, secrets: Mapping[str, str], known: Collection[str],
    organization_id: UUID, name: str,
) -> bytes:  # fmt: skip
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
        return Keys.read(written_keys).seal(written, _purpose(organization_id, name))
    except SealError as error:
        raise RagdbError(
            Problem(
                503, "no_secret_key", str(error),
                "ragdb init makes RAGDB_HOME/secret.key; or set RAGDB_SECRET_KEY_FILE.",
            )
        ) from error  # fmt: skip


def opened(
    keys: Keys, secrets: bytes, organization_id: UUID, name: str
) -> tuple[dict[str, str], bytes | None]:
    """The secrets, and sealed anew where the key they were sealed with is not the current one.

    Raises SealError.
    """
    purpose = _purpose(organization_id, name)
    written = keys.open(secrets, purpose)
    resealed = None if keys.is_current(secrets) else keys.seal(written, purpose)
    return msgspec.json.decode(written, type=dict[str, str]), resealed


def _purpose(organization_id: UUID, name: str) -> str:
    return f"source\n{organization_id}\n{name}"
