"""On a terminal: colours unless unwanted, a bar while adding, and no commands of documents."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from runner import PROGRAM, Ragdb


def on_terminal(ragdb: Ragdb, *arguments: str | Path) -> str:
    """What a command writes to a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *arguments], env=ragdb.variables | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=follower, stdout=follower, stderr=follower,
    )  # fmt: skip
    os.close(follower)
    written = bytearray()
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert process.wait() == 0
    return written.decode()


def test_search_and_tables(member: Ragdb, docs: Path) -> None:
    shown = on_terminal(member, "add", docs)
    assert "3 ingested" in shown and "\x1b[" in shown
    found = on_terminal(member, "search", "rotate keys")
    assert "\x1b[1mrotate\x1b[0m" in found and "**" not in found
    assert "keys.md" in on_terminal(member, "doc", "list") or "Keys" in found
    assert "\x1b[1m" in on_terminal(member, "ask", "How often do API keys rotate?")
    plain = on_terminal(member.having(NO_COLOR="1"), "search", "rotate keys")
    assert "\x1b" not in plain and "**rotate**" in plain
    assert "\x1b" not in on_terminal(member.having(NO_COLOR="1"), "doc", "list")
    assert on_terminal(member, "search", "rotate keys", "--json").startswith("{\r\n")


def test_documents_command_no_terminal(member: Ragdb, docs: Path) -> None:
    evil = "Rotate \x1b]0;owned\x07 keys \x1b[2J often.\n"
    (docs / "evil.txt").write_text(evil)
    member.text("add", "--title", "Evil \x1b[31m title", docs / "evil.txt")
    for command in (["search", "rotate keys"], ["ask", "rotate keys often?"], ["doc", "list"]):
        shown = on_terminal(member.having(NO_COLOR="1"), *command)
        assert "\x1b]0;" not in shown and "\x1b[2J" not in shown and "\x1b[31m" not in shown
    (document,) = member.json("doc", "list")["documents"]
    shown = on_terminal(member, "doc", "show", document["document_id"])
    assert "\x1b[2J" not in shown
    # Into a file the text goes as it is.
    assert member.text("doc", "show", document["document_id"], "--text") == evil + "\n"


def test_reader_that_has_seen_enough(member: Ragdb, docs: Path) -> None:
    member.text("add", docs)
    done = subprocess.run(
        ["sh", "-c", '"$0" search keys --json | head -c 1', PROGRAM], env=member.variables,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("{", "")
