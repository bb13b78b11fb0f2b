"""A small line chart as SVG, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 420, 260, 52, 30, 14, 64
_INK, _GRID = "#1f2933", "#d8dee4"
_COLOURS = ("#0b6e99", "#d9730d", "#6940a5")


@dataclass(frozen=True)
class Panel:
    """One chart: a row of figures per point, and which of them to draw over `chunks`."""

    title: str
    lines: Sequence[tuple[str, str]]
    """(key of the figure, what to call it)"""


GROWTH = (
    Panel("Hybrid search, ms", (
        ("tenant_p50_ms", "growing tenant, p50"), ("tenant_p95_ms", "growing tenant, p95"),
        ("probe_p50_ms", "tenant of 1,000 in the same table, p50"),
    )),
    Panel("Ingest, ms per chunk", (
        ("put_ms_per_chunk", "put_documents"), ("maintain_ms_per_chunk", "maintain"),
    )),
)  # fmt: skip


def growth_svg(rows: Sequence[dict[str, Any]]) -> str:
    """Latency and ingest cost over the size of a tenant."""
    width = _WIDTH * len(GROWTH)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="11" role="img"'
        ' aria-label="Latency and ingest cost as a tenant grows">',
        f'<rect width="{width}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(GROWTH):
        parts.append(f'<g transform="translate({number * _WIDTH} 0)">')
        parts += _panel(panel, rows)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, rows: Sequence[dict[str, Any]]) -> list[str]:
    low, high = (log10(rows[place]["chunks"]) for place in (0, -1))
    top = _ceiling(max(row[key] for row in rows for key, _ in panel.lines))
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(chunks: float) -> float:
        return _LEFT + across * (log10(chunks) - low) / ((high - low) or 1)

    def y(value: float) -> float:
        return _TOP + down * (1 - value / top)

    parts = [_text(_LEFT, 18, panel.title, weight="bold")]
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<path d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}" fill="none"/>'
        )
        parts.append(_text(_LEFT - 6, y(value) + 4, f"{value:g}", anchor="end"))
    for row in rows:
        label = f"{round(row['chunks'] / 1000):g}k"
        parts.append(_text(x(row["chunks"]), _HEIGHT - _BOTTOM + 14, label, anchor="middle"))
    for number, (key, name) in enumerate(panel.lines):
        colour = _COLOURS[number]
        points = " ".join(f"{x(row['chunks']):.1f},{y(row[key]):.1f}" for row in rows)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        row = _HEIGHT - _BOTTOM + 30 + 13 * number
        parts.append(f'<rect x="{_LEFT}" y="{row - 6}" width="12" height="3" fill="{colour}"/>')
        parts.append(_text(_LEFT + 18, row, name))
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}" text-anchor="{anchor}"'
        f' font-weight="{weight}">{escape(text)}</text>'
    )


def _ceiling(value: float) -> float:
    """The next of 1, 2, 4, 8, 10 times a power of ten, which quarter well."""
    power = 10.0 ** (ceil(log10(value)) - 1)
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
