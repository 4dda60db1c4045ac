"""tamiz run"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from tamiz.commands._summary import summarise
from tamiz.console import say
from tamiz.options import BEAM, pipeline_options, runner_settings
from tamiz.stages.common import Context, StageReport


@click.command(context_settings=BEAM)
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="[default: runs/RECIPE, with --demo: demo]")
@click.option(
    "--until", metavar="STAGE", help="Stop after this stage: lm, score, sample, tokenizer, shards or train."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, as train.steps=20.")
@click.option("--demo", is_flag=True, help="The bundled documents and a small setting: three minutes on two cores.")
@pipeline_options
def command(
    ctx: click.Context,
    recipe: str,
    out: Path | None,
    until: str | None,
    overrides: tuple[str, ...],
    demo: bool,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
) -> None:
    """Rebuild a published system from raw text: RECIPE is a bundled name (`tamiz recipes`) or a TOML file.

    Finished stages are skipped, an interrupted one continues; a stage that was made from other settings or inputs
    is refused unless --rebuild.
    """
    from tamiz.recipes.load import load
    from tamiz.run import Run

    chosen = load(recipe, overrides=overrides, demo=demo)
    folder = out or (Path("demo") if demo else Path("runs") / chosen.name)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected)
    reports = Run(chosen, folder, context).stages(until)
    if any(r.stage == "sample" for r in reports):
        bundled = "demo:documents.jsonl" in (chosen.documents.input or ())
        _show(folder, reports, demo, bundled)
    summarise(reports, f"{chosen.title}: {folder}")


def _show(folder: Path, reports: Sequence[StageReport], demo: bool, bundled: bool) -> None:
    """The plots and the page; for the demo also the shares by class and a filled span."""
    from tamiz.report.page import is_written, write_report

    trained = reports[-1].stage == "train"
    if any(r.state != "finished" for r in reports) or not is_written(folder):
        say(f"report: {write_report(folder)}")
    if demo:
        from tamiz.demo import show_classes, show_filled_span

        if bundled:
            show_classes(folder)
        if trained:
            show_filled_span(folder / "model")
