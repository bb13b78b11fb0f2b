"""Web pages as Markdown, without what surrounds their content."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from html_to_markdown import ConversionOptions, PreprocessingOptions, WarningKind, convert

from ragdb.extraction.result import ExtractError

if TYPE_CHECKING:
    from html_to_markdown._html_to_markdown import HtmlVisitor

# What surrounds the content of a page, and what has no text of its own.
_BOILERPLATE = (
    "nav", "footer", "[role=navigation]", "[role=search]", "[role=banner]", "[role=contentinfo]",
    "button", "select", "textarea", "iframe", "svg",
)  # fmt: skip


class _PlainLinks:
    """Keeps the text of links and images, not their addresses."""

    def visit_link(self, _ctx: object, href: str, text: str, _title: str) -> dict[str, str]:
        # An address stands for the text where a link has none.
        return {"type": "custom", "output": "" if text == href else text}

    def visit_image(self, _ctx: object, _src: str, alt: str, _title: str) -> dict[str, str]:
        return {"type": "custom", "output": alt}


def from_html(html: str, name: str) -> str:
    """The content of a page."""
    result = convert(
        html,
        ConversionOptions(
            extract_metadata=False,
            compact_tables=True,
            exclude_selectors=list(_BOILERPLATE),
            # A form may hold the whole page, and a header its title.
            preprocessing=PreprocessingOptions(remove_navigation=False, remove_forms=False),
        ),
        cast("HtmlVisitor", _PlainLinks()),
    )
    if any(warning.kind == WarningKind.DEPTH_LIMIT_EXCEEDED for warning in result.warnings):
        raise ExtractError(
            "html_too_deep", f"{name} nests elements so deeply that its text is out of reach."
        )
    return result.content or ""
