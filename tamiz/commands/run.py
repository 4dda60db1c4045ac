"""tamiz run"""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import click

from corpora.errors import BadArgument
from corpora.files import is_local
from corpora.home import Home
from tamiz.commands._budget import pausing, stop_after_option
from tamiz.commands._summary import summarise
from tamiz.console import say
from tamiz.log import log
from tamiz.options import (
    BEAM,
    Named,
    OutputPath,
    advice_for_unreachable,
    checked_folder,
    pipeline_options,
    runner_settings,
)
from tamiz.stages import Context, Recipe, StageReport, ordered
from tamiz.trainer.ranks import refuse_many


class _UntilHelp(click.Option):
    """Lists the stages in the help text, including those of extensions."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        self.help = f"Stop after this stage: {', '.join(stage.name for stage in ordered())}."
        return super().get_help_record(ctx)


@click.command(context_settings=BEAM)
@click.argument("recipe", required=False, type=Named())
@click.option(
    "--out",
    type=OutputPath(anywhere=True),
    callback=checked_folder,
    help="Output folder. [default: runs/ and the recipe's name; with --demo: demo; of an earlier run: its folder]",
)
@click.option("--until", metavar="STAGE", cls=_UntilHelp)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as train.steps=20."
)
@click.option(
    "--demo",
    is_flag=True,
    help="Use bundled documents and small settings: less than three minutes on two cores.",
)
@stop_after_option
@pipeline_options
def command(
    ctx: click.Context,
    recipe: str | None,
    out: str | None,
    until: str | None,
    overrides: tuple[str, ...],
    demo: bool,
    stop_at: float | None,
    workers: int,
    runner: str,
    rebuild: bool,
    max_rejected: float,
) -> None:
    """Run a recipe from raw text to model: RECIPE is a bundled name (see `tamiz recipes`), a TOML file, or the folder
    of an earlier run, which continues with the recipe that its recipe.json holds.

    A stage runs if the recipe has its section. Finished stages are skipped, and an interrupted stage continues. A
    stage that was made from other settings or inputs is refused unless --rebuild is given. OUT/log.jsonl records each
    run.
    """
    from tamiz.recipes.load import load, names, saved

    _refuse_many()
    if recipe is None or recipe.startswith("-"):
        known = f"`tamiz run {out}` continues the run there" if out and saved(out) else ", ".join(names())
        raise BadArgument(f"name a recipe, a .toml file or the folder of an earlier run before the options: {known}")
    usual: str | Path = recipe
    if not is_local(recipe):
        recipe = str(_saved_in(recipe))
    chosen = load(recipe, overrides=overrides, demo=demo)
    earlier = saved(recipe)
    if is_local(str(usual)):
        usual = earlier.parent if earlier else Path("demo") if demo else Path("runs") / chosen.name
    folder = Home.of(out or usual)
    log.in_folder(folder)
    context = Context(runner_settings(ctx, runner, workers), rebuild, max_rejected, stop_at)
    with pausing():
        _run(chosen, folder, context, until, load(recipe) if demo else None)


def _saved_in(address: str) -> Path:
    """A copy of the recipe.json that the folder of a run in a store holds."""
    from corpora.stores import cache
    from corpora.stores.views import view
    from tamiz.recipes.schema import SAVED

    home = Home.of(address.removesuffix(f"/{SAVED}"))
    try:
        copy = home.fetched(SAVED)
    except FileNotFoundError as error:
        raise BadArgument(f"{home} has no {SAVED}: name the folder of an earlier `tamiz run`") from error
    return view(cache.folder(), copy.name[:32], {SAVED: copy}) / SAVED


def _run(chosen: Recipe, folder: Home, context: Context, until: str | None, full: Recipe | None) -> None:
    """full: the recipe that this is the demo of."""
    from tamiz.run import Run

    with advice_for_unreachable(
        "use --demo, or name local files with --set documents.input=PATTERN --set lm.input=PATTERN"
    ):
        reports = Run(chosen, folder, context).stages(until)
    _show(folder, reports, chosen, full)
    summarise(reports, f"{chosen.title}: {folder}")


def _refuse_many() -> None:
    refuse_many(
        "tamiz run",
        "prepare with `tamiz run RECIPE --out DIR --until shards`, then start `torchrun --nproc-per-node N -m tamiz "
        "train --shards DIR/shards --model RECIPE --out DIR/model`",
    )


def _show(folder: Home, reports: Sequence[StageReport], chosen: Recipe, full: Recipe | None) -> None:
    """full: the recipe that this is the demo of."""
    made = {report.stage for report in reports}
    if "sample" in made:
        _show_page(folder, reports)
    if full is not None and folder.is_local:
        _show_demo(folder.folder, made, chosen, full)


def _show_page(folder: Home, reports: Sequence[StageReport]) -> None:
    """Writes the page and its plots, if a stage has changed."""
    from tamiz.report.page import INDEX, is_written, write_report

    remake = any(r.state != "finished" for r in reports) or not is_written(folder)
    say(f"report: {write_report(folder) if remake else folder.at(INDEX)}")


def _show_demo(folder: Path, made: Container[str], chosen: Recipe, full: Recipe) -> None:
    """The kept share of each class, and what the model has learned. made: the stages. full: what is reduced here."""
    from tamiz.demo import is_bundled, show_classes, show_model

    if "sample" in made and is_bundled(chosen):
        show_classes(folder, chosen)
    if "train" in made:
        show_model(folder / "model", chosen, full)
