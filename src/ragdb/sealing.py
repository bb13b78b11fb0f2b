"""Secrets that are kept in the database, and that nothing in the database can read.

A secret is sealed with AES-256-GCM by whoever takes it and opened by the worker that needs it. The
keys come from RAGDB_SECRET_KEY, RAGDB_SECRET_KEY_FILE or the file `secret.key` of RAGDB_HOME, one
or more of them: the first seals, all of them open. What a sealed text was sealed for goes into its
authentication, so that it opens nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ragdb.paths import SECRET_KEY, write_private

_VERSION = b"\x01"
_ID_BYTES, _NONCE_BYTES, _KEY_BYTES = 8, 12, 32


class SealError(Exception):
    """A key that is missing or no key, or a text that was not sealed with any of these keys."""


class Keys:
    """The keys of this installation, the current one first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_id(key): key for key in keys}
        self._current = keys[0] if keys else None

    @classmethod
    def read(cls, text: str | None) -> Keys:
        """Keys as they are written down: base64, separated by white space or commas."""
        try:
            keys = [
                base64.b64decode(word, validate=True)
                for word in (text or "").replace(",", " ").split()
            ]
        except binascii.Error as error:
            raise SealError("RAGDB_SECRET_KEY is no base64.") from error
        if any(len(key) != _KEY_BYTES for key in keys):
            raise SealError(f"RAGDB_SECRET_KEY must have {_KEY_BYTES} bytes, as base64.")
        return cls(keys)

    def seal(self, text: str, purpose: str) -> bytes:
        """Seal a text for one purpose; raises SealError where there is no key."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if self._current is None:
            raise SealError("There is no key to seal secrets with.")
        head, nonce = _VERSION + _id(self._current), os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._current).encrypt(nonce, text.encode(), head + purpose.encode())
        return head + nonce + sealed

    def open(self, sealed: bytes, purpose: str) -> str:
        """What was sealed for this purpose; raises SealError."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head, rest = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        key = self._keys.get(head[1:])
        if head[:1] != _VERSION or key is None:
            raise SealError("The secrets were sealed with a key that is not here.")
        nonce, text = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, text, head + purpose.encode()).decode()
        except InvalidTag as error:
            raise SealError("The secrets were sealed for another source.") from error

    def is_current(self, sealed: bytes) -> bool:
        """Whether it was sealed with the key that seals now."""
        return self._current is not None and sealed[1 : 1 + _ID_BYTES] == _id(self._current)


def make_key_file(home: Path) -> bool:
    """Make the file with a key of this home, where there is none; whether there was none."""
    path = home / SECRET_KEY
    if path.exists():
        return False
    write_private(path, _new() + "\n")
    return True


def rotate_key_file(home: Path) -> None:
    """Put a new key before those of the file, which still open what they have sealed."""
    path = home / SECRET_KEY
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    Keys.read(kept)
    write_private(path, f"{_new()}\n{kept}")


def drop_old_keys(home: Path, text: str | None) -> None:
    """Leave the first key of a text alone in the file, unless that has another first by now."""
    path = home / SECRET_KEY
    current = (text or "").replace(",", " ").split()[:1]
    if current and path.read_text(encoding="utf-8").replace(",", " ").split()[:1] == current:
        write_private(path, current[0] + "\n")


def _new() -> str:
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def _id(key: bytes) -> bytes:
    return sha256(b"ragdb key id" + key).digest()[:_ID_BYTES]
