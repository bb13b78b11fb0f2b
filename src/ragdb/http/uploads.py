"""Files in the body of a request: written to disk as they arrive, read by processes of their own.

A form is taken apart here and not by Litestar, so that a field that is no file is bounded and
every file is on disk from its first byte.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath, PureWindowsPath
from typing import IO, Any
from uuid import uuid4

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec
from litestar import Request
from multipart import (  # pyright: ignore[reportMissingTypeStubs]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)
from psycopg.rows import DictRow

from ragdb.errors import Problem, RagdbError
from ragdb.http.auth import Session
from ragdb.ingest import Place, Result, ingest_file
from ragdb.reading import Common

MAX_UPLOAD = 512_000_000
"""Bytes of all files of a request together."""

MAX_FILES = 1000

_MAX_FIELD = 256_000
_PIECE = 1 << 20
_LONGEST_NAME = 255
# Of each service process; further requests wait here and not in the pool of parsers.
_at_once = anyio.CapacityLimiter(8)


@dataclass
class Form:
    """What was sent: fields by name, and files with what they are called."""

    fields: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    files: list[tuple[str, IO[bytes]]] = field(default_factory=list[tuple[str, IO[bytes]]])

    def text(self, name: str) -> str | None:
        """A field that stands once; empty counts as left out."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise _invalid(name, "It stands more than once")
        return values[0] if values and values[0] else None

    def flag(self, name: str) -> bool:
        """A field that is true or false."""
        said = (self.text(name) or "false").lower()
        if said not in ("true", "false", "1", "0"):
            raise _invalid(name, "Expected true or false")
        return said in ("true", "1")

    def place(self) -> Place:
        """Where the documents go."""
        return Place(
            self.text("source") or "default",
            self.text("workspace"),
            self.text("visibility") or "workspace",
        )

    def common(self) -> Common:
        """What all documents are given."""
        metadata: Any = {}
        if said := self.text("metadata"):
            try:
                metadata = msgspec.json.decode(said, type=dict[str, object])
            except (msgspec.DecodeError, RecursionError) as error:
                raise _invalid("metadata", f"Expected a JSON object: {error}") from error
        return Common(
            self.text("title"), self.text("language"), tuple(self.fields.get("labels", [])),
            metadata, self.text("url"),
        )  # fmt: skip


@asynccontextmanager
async def received(request: Request[Any, Any, Any], known: frozenset[str]) -> AsyncGenerator[Form]:
    """The form in a request, its files on disk until the block ends; raises RagdbError."""
    media_type, options = request.content_type
    if media_type != "multipart/form-data" or not options.get("boundary"):
        raise RagdbError(
            Problem(
                415, "unsupported_media_type",
                f"The body is {media_type or 'nothing'}, not a form with files.",
                "Send files as multipart/form-data: curl -F files=@report.pdf",
            )
        )  # fmt: skip
    with ExitStack() as held:
        form = Form()
        try:
            parser = PushMultipartParser(
                options["boundary"], max_segment_count=MAX_FILES, max_header_count=16
            )
            with parser:
                await _fill(form, request, parser, held)
        except ParserLimitReached as error:
            raise RagdbError(
                Problem(413, "body_too_large", f"A form has at most {MAX_FILES} parts.")
            ) from error
        except MultipartError as error:
            raise RagdbError(
                Problem(400, "invalid_form", f"The body is no multipart form: {error}.")
            ) from error
        for name in form.fields:
            if name not in known:
                raise _invalid(name, f"Unknown field; a form has {', '.join(sorted(known))}")
        yield form


async def _fill(
    form: Form, request: Request[Any, Any, Any], parser: PushMultipartParser, held: ExitStack
) -> None:
    segment: MultipartSegment | None = None
    target: IO[bytes] | bytearray = bytearray()
    async for chunk in request.stream():
        for event in parser.parse(chunk):
            if isinstance(event, MultipartSegment):
                segment = event
                if event.filename is not None:
                    target = held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
                    form.files.append((_safe(event.filename), target))
                else:
                    target = bytearray()
            elif event and isinstance(target, bytearray):
                target += event
                if len(target) > _MAX_FIELD:
                    raise RagdbError(
                        Problem(413, "body_too_large", f"A field has over {_MAX_FIELD} bytes.")
                    )
            elif event and not isinstance(target, bytearray):
                target.write(event)
            elif segment is not None and isinstance(target, bytearray):
                try:
                    form.fields.setdefault(segment.name or "", []).append(target.decode())
                except UnicodeDecodeError as error:
                    raise _invalid(segment.name or "", "It is not UTF-8") from error
    for _, file in form.files:
        file.flush()


async def ingest(
    session: Session, name: str, file: IO[bytes], place: Place, common: Common, *,
    external_id: str | None = None, keep_original: bool = False,
) -> list[Result]:  # fmt: skip
    """Store a file's documents, away from the event loop; raises RagdbError."""

    def call(function: str, **arguments: object) -> list[DictRow]:
        asked = partial(session.call, function, returning=dict[str, Any], **arguments)
        return anyio.from_thread.run(asked)

    work = partial(
        ingest_file, call, file, name, place, common,
        external_id=external_id, keep_original=keep_original,
    )  # fmt: skip
    return await anyio.to_thread.run_sync(work, limiter=_at_once)


async def leave(session: Session, files: list[tuple[str, IO[bytes]]]) -> list[dict[str, object]]:
    """Leave files in the database for a job: what its payload says of each."""
    left: list[dict[str, object]] = []
    for name, file in files:
        upload, size = uuid4(), file.seek(0, os.SEEK_END)
        file.seek(0)
        for piece in range(-(-size // _PIECE)):
            await session.call(
                "put_upload", returning=dict[str, Any],
                p_upload_id=upload, p_piece=piece, p_content=file.read(_PIECE),
            )  # fmt: skip
        left.append({"upload": str(upload), "name": name, "size": size})
    return left


def _safe(name: str) -> str:
    """The last part of a name, whichever system it is from, without what nobody can see."""
    last = PureWindowsPath(PurePosixPath(name).name).name
    shown = "".join(character for character in last if character.isprintable()).strip()
    return shown[-_LONGEST_NAME:] or "file"


def _invalid(name: str, message: str) -> RagdbError:
    return RagdbError(
        Problem(422, "invalid_request", f"The request is not valid: {message} ({name}).")
    )
