"""Work that whoever sends it does not wait for: the header Prefer (RFC 7240), and its answer."""

from __future__ import annotations

from typing import Annotated

from litestar import Response
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter

from ragdb.http.job_models import Enqueued

Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer", description="`respond-async`: have a worker do it, and answer at once."
    ),
]
LATER = ResponseSpec(
    Enqueued, description="A job will do it, as asked for by `Prefer`", generate_examples=False
)


def wants_job(prefer: str | None) -> bool:
    """Whether a header Prefer asks not to wait (RFC 7240, 4.1)."""
    preferences = (part.partition(";")[0].strip().lower() for part in (prefer or "").split(","))
    return "respond-async" in preferences


def as_asked(response: Response[Enqueued]) -> Response[Enqueued]:
    """A response that says that the preference was heeded."""
    response.headers["Preference-Applied"] = "respond-async"
    return response
