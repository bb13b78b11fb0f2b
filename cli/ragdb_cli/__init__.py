"""The ragdb command line."""

from __future__ import annotations


def main() -> int:
    """Run a command; returns the exit code."""
    from ragdb_cli.app import run

    return run()
