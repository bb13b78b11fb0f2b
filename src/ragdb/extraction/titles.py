"""The title that a text gives itself."""

from __future__ import annotations

import re
from html import unescape

# A title stands near the top, and is no longer than that.
_TOP = 65_536
_LONGEST = 500
_MATTER = 8192

_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(\w[^\n]*:.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*([\"']?)(.+?)\1[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}=+[ \t]*$")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_EMPHASIS = re.compile(r"(\*\*\*|\*\*|\*|~~|`+)(?! )([^*~`]+)(?<! )\1")


def html_title(html: str) -> str | None:
    """The title of a web page."""
    found = _TITLE.search(html[:_TOP])
    return " ".join(unescape(found[1]).split())[:_LONGEST] or None if found else None


def first_heading(text: str) -> str | None:
    """The first heading of level 1, else the title of the front matter."""
    front = _FRONT_MATTER.match(text[:_MATTER])
    fence = above = ""
    for full_line in text[front.end() if front else 0 : _TOP].split("\n"):
        line = full_line[:_LONGEST]
        marker = _FENCE.match(line)
        if marker and not fence:
            fence = marker[1]
        elif fence:
            if marker and marker[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif heading := _ATX.match(line):
            return _plain(heading[1])
        elif above and _UNDERLINE.match(line):
            return _plain(above)
        above = "" if fence else line.strip()
    titled = _FRONT_TITLE.search(front[1]) if front else None
    return titled[2] if titled else None


def _plain(heading: str) -> str | None:
    return _EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading)).strip() or None
