"""What comes out of a file: its text, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field


class ExtractError(Exception):
    """A file that no text comes from: machine name, sentence, and how to mend it."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Extracted:
    """The text of a file; a form feed in it separates pages."""

    text: str
    title: str
    mime: str
    metadata: dict[str, object] = field(default_factory=dict[str, object])
    date: str | None = None
    """When the document itself says it is from (ISO 8601)."""
