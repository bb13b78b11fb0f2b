"""`ragdb doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@command("doctor")
@click.pass_obj
def cli(session: Session) -> int:
    """Check the installation; the exit code is 1 when something is wrong."""
    from ragdb.doctor import examine

    output = session.output
    findings = list(examine(session.settings))
    healthy = all(finding.state != "fail" for finding in findings)
    if output.is_json:
        output.document({"healthy": healthy, "checks": [asdict(found) for found in findings]})
    else:
        for finding in findings:
            state = output.style(f"{finding.state:<4}", fg=_COLOURS[finding.state])
            output.text(f"{state}  {finding.check:<15} {finding.message}")
            if finding.hint and finding.state != "ok":
                output.text(f"      {'':<15} {finding.hint}")
    return 0 if healthy else 1
