"""The description of the API (OpenAPI 3.1), and a page that shows it without any network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Request, Router
from litestar.datastructures import CacheControlHeader
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import (
    Components,
    License,
    Operation,
    RequestBody,
    SecurityScheme,
    Tag,
)
from litestar.static_files import (
    create_static_files_router,  # pyright: ignore[reportUnknownVariableType]
)

from ragdb import __version__

_STATIC = Path(__file__).parents[1] / "static"

# Swagger UI sets style attributes and draws its icons from data: URLs.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


class _ReferencePage(OpenAPIRenderPlugin):
    """The page at the root of the description's router."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return (_STATIC / "reference.html").read_bytes()

    def receive_router(self, router: Router) -> None:
        """Take out Litestar's own page for unknown paths: they are problems like elsewhere."""
        router.routes = [route for route in router.routes if "{path:str}" not in route.path]


@dataclass
class OptionalBody(Operation):
    """An operation whose body may be left out."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False


def description() -> OpenAPIConfig:
    """What is said of the API as a whole, and where it is shown."""
    return OpenAPIConfig(
        title="ragdb",
        version=__version__,
        summary="Search and cited answers over an organization's documents.",
        description=(
            "Every operation below `/api` needs an API key and sees what the key's owner may see."
            " Errors are problem documents (RFC 9457); their `code` is the machine name that the"
            " SQL functions and the command line use too."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        openapi_router=Router(
            "/schema",
            route_handlers=[],
            include_in_schema=False,
            response_headers={"Content-Security-Policy": _PAGE_POLICY},
        ),
        render_plugins=[_ReferencePage(path="/"), JsonRenderPlugin()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http", scheme="bearer", description="`Authorization: Bearer <API key>`"
                ),
                "apiKey": SecurityScheme(
                    type="apiKey",
                    name="X-API-Key",
                    security_scheme_in="header",
                    description="The same key in a header of its own.",
                ),
            }
        ),
        security=[{"bearer": []}, {"apiKey": []}],
        tags=[
            Tag("Retrieval", "Search, and answers with citations."),
            Tag("Documents", "Put documents in, read them, delete them."),
            Tag("Data sources", "Where documents come from: put, refresh, delete."),
            Tag("Service desks", "Tickets, read from the databases they are in."),
            Tag("Jobs", "What workers do later: enqueue, watch, cancel and retry."),
            Tag("Account", "Who the API key acts for."),
            Tag("Health", "For load balancers and container platforms; without a key."),
        ],
    )


def assets() -> Router:
    """The files of the page."""
    return create_static_files_router(
        "/static",
        directories=[_STATIC],
        cache_control=CacheControlHeader(public=True, max_age=86_400),
        include_in_schema=False,
    )
