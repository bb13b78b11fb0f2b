"""What a driver of data sources is: it tells what is there, and the sync stores it.

A driver lists items in an order of its own choosing, each with an external id that never changes
and, where it can be had cheaply, a fingerprint of its state. An item whose fingerprint is known
already is never loaded. Between items it may leave marks: a mark is stored in the transaction that
stores what came before it, and a run that was killed goes on there. The last mark of a run is where
the next incremental run begins.

Drivers run in a thread of the worker and may block, but ask `Tools.check()` between requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import IO, Protocol

from ragdb.outbound import Guard


class SourceError(Exception):
    """Nothing can be read from a source: machine name, sentence, and whether waiting may help."""

    def __init__(
        self, code: str, message: str, *, may_retry: bool = False, after: float = 0.0
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.may_retry = code, message, may_retry
        self.after = after
        """Seconds that the source asked to be left alone."""


class ItemError(Exception):
    """One item cannot be read, and the others can; may_retry: at the next run it may well be."""

    def __init__(self, code: str, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.may_retry = code, message, may_retry


class Stopped(Exception):
    """The run was cancelled, or the worker ends."""


@dataclass(frozen=True)
class Text:
    """An item that is a text; Markdown and HTML are read as such."""

    content: str
    mime: str = "text/plain"


@dataclass(frozen=True)
class File:
    """An item that is a file, which is closed after reading; the name may tell its format."""

    file: IO[bytes]
    name: str


@dataclass(frozen=True)
class Upsert:
    """An item that is there."""

    external_id: str
    load: Callable[[], Text | File]
    """Its content; called once if at all, after up to a hundred more items. Raises ItemError."""
    fingerprint: str | None = None
    """Changes whenever anything below, or the content, may have changed."""
    title: str | None = None
    url: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    modified: str | None = None
    """ISO 8601."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Delete:
    """An item that is known to be gone."""

    external_id: str


@dataclass(frozen=True)
class Broken:
    """An item that cannot be read, though it is there: what is stored of it stays."""

    external_id: str | None
    code: str
    message: str
    may_retry: bool = False
    """Whether the next run has to come back to it, from where this one began."""


@dataclass(frozen=True)
class Gap:
    """A part of the source cannot be listed: nothing counts as gone in this run."""

    code: str
    message: str


@dataclass(frozen=True)
class Mark:
    """Everything before this has been told; reading can begin again here."""

    cursor: Mapping[str, object]


@dataclass(frozen=True)
class Restart:
    """The source does not know the cursor any more; from here on everything is told."""


Told = Upsert | Delete | Broken | Gap | Mark | Restart


@dataclass(frozen=True)
class Start:
    """Where to begin."""

    full: bool
    """Tell everything: what is not told is deleted afterwards."""
    cursor: Mapping[str, object] | None
    """The last mark: of this run, if it is resumed, else of the last one; None for a full run."""
    resumed: bool = False


@dataclass(frozen=True)
class Tools:
    """What the operator lets drivers reach."""

    guard: Guard
    folders: tuple[str, ...] = ()
    """Folders that may be read, as RAGDB_SOURCE_FOLDERS lists them."""
    stop: Event = field(default_factory=Event)

    def check(self) -> None:
        """Raise Stopped once the run is to end."""
        if self.stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until the run is to end."""
        if self.stop.wait(seconds):
            raise Stopped


@dataclass(frozen=True)
class Setup:
    """What is known of a source when a run begins."""

    organization: str
    name: str
    config: Mapping[str, object]
    """As ragdb.source_types describes it for the type; put_source() has checked it."""
    secrets: Mapping[str, str]
    tools: Tools


class Driver(Protocol):
    """Reads one source, for one run."""

    def read(self, start: Start) -> Iterator[Told]:
        """Tell what is there; raises SourceError."""
        ...

    def close(self) -> None:
        """Let go of what reading needed, once the last item is loaded."""
        ...


Make = Callable[[Setup], Driver]
"""What the registry holds for a type; raises SourceError for a setup that cannot work."""
