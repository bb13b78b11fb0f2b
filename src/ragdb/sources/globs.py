"""Which of the paths of a source are meant: patterns like `guide/**/*.md`."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PIECES = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]/]+\]")
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Globs:
    """Included is what fits one of the patterns, or anything where there are none, and is not
    excluded.

    * and ? stand for anything but a slash, ** for any folders; a pattern without a slash fits the
    name alone, in whatever folder.
    """

    def __init__(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> None:
        self._include = [_compiled(pattern) for pattern in include or ()]
        self._exclude = [_compiled(pattern) for pattern in exclude or ()]

    def fits(self, path: str) -> bool:
        """Whether a path like guide/start.md is meant."""
        included = not self._include or any(one.fullmatch(path) for one in self._include)
        return included and not any(one.fullmatch(path) for one in self._exclude)


def _compiled(pattern: str) -> re.Pattern[str]:
    if "/" not in pattern:
        pattern = f"**/{pattern}"
    translated, at = "", 0
    for found in _PIECES.finditer(pattern):
        translated += re.escape(pattern[at : found.start()])
        piece = found[0]
        translated += _MEANING.get(piece) or piece.replace("[!", "[^")
        at = found.end()
    return re.compile(translated + re.escape(pattern[at:]), re.S)
