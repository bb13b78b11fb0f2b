"""`ragdb tune`."""

from __future__ import annotations

import click

from ragdb_cli.command import command
from ragdb_cli.session import Session

WEIGHTS = ("vector_weight", "phrase_weight", "sentence_weight")


@command("tune")
@click.option("--workspace", metavar="SLUG", help="Default: the one named default.")
@click.option("--dataset", metavar="NAME", help="Use these judgements only, and no feedback.")
@click.option("--apply", is_flag=True, help="Rank by the fitted weights from now on.")
@click.pass_obj
def cli(session: Session, workspace: str | None, dataset: str | None, apply: bool) -> None:
    """Fit the ranking to judgements and feedback.

    Half of the queries choose the weights, the other half shows what they gain. Nothing changes
    without --apply.
    """
    with session.member() as client, session.output.status("Trying weights"):
        tuned = client.call("tune", p_workspace=workspace, p_dataset=dataset, p_apply=apply)[0]
    output = session.output
    if output.is_json:
        output.document(tuned)
        return
    output.table(
        [
            {"weight": name, "now": f"{before:g}", "fitted": f"{tuned[name]:g}"}
            for name, before in zip(WEIGHTS, tuned["before"], strict=True)
        ],
        ("weight", "now", "fitted"),
    )
    output.text(
        f"nDCG@10 of {tuned['held_out']} held-out queries: {tuned['ndcg_before']:.4f} before,"
        f" {tuned['ndcg_after']:.4f} after; {tuned['difference']:+.4f}"
        f" ({tuned['ci'][0]:+.4f} to {tuned['ci'][1]:+.4f})"
    )
    if apply:
        output.note("Applied.")
    elif tuned["ci"][0] > 0:
        output.note("Nothing was changed; apply them with --apply.")
    else:
        output.note("Nothing was changed, and no gain is certain: the weights in force will do.")
