"""tamiz plan"""

from __future__ import annotations

import click

from tamiz.console import say, table
from tamiz.options import Named, Number, OutputPath, advice_for_unreachable, checked_folder

MOST = 1e18  # documents or bytes: more than there are anywhere, and far from where floats overflow


@click.command()
@click.argument("recipe", type=Named())
@click.option(
    "--documents",
    type=Number(1, MOST),
    metavar="N",
    help="Documents of the whole corpus, such as 416e6. [default: those of the recipe's inputs]",
)
@click.option(
    "--bytes",
    "text",
    type=Number(1, MOST),
    metavar="B",
    help="Bytes of their text, not packed, such as 1.4e12. [default: as of the inputs, as long as documents there]",
)
@click.option(
    "--cores",
    "--workers",
    type=click.IntRange(1, 1_000_000),
    default=1,
    show_default=True,
    metavar="N",
    help="Workers of the run, each on a core of its own.",
)
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key, such as train.steps=20."
)
@click.option("--demo", is_flag=True, help="Plan the recipe's demo.")
@click.option(
    "--sample-bytes",
    type=click.IntRange(100_000),
    default=8_000_000,
    show_default=True,
    metavar="B",
    help="Text to rehearse on: more is slower, and more exact.",
)
@click.option(
    "--out",
    type=OutputPath(anywhere=True),
    callback=checked_folder,
    metavar="DIR",
    help="The --out of the run: the plan is kept there.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(
    recipe: str,
    documents: float | None,
    text: float | None,
    cores: int,
    overrides: tuple[str, ...],
    demo: bool,
    sample_bytes: int,
    out: str | None,
    as_json: bool,
) -> None:
    """Say what a run of RECIPE will take: hours, memory, disk and requests of each stage.

    The recipe's own stages run, with its settings, on two small parts of its own documents, in a temporary folder;
    what they take tells what the whole takes on this machine. With --out, OUT/plan.json keeps the plan, and
    `tamiz report OUT` shows it beside what the run took.
    """
    from tamiz.planning.lines import HEADER, notes, rows, title
    from tamiz.planning.planned import encoded, save
    from tamiz.planning.whole import Asked, plan_run
    from tamiz.recipes.load import load

    chosen = load(recipe, overrides=overrides, demo=demo)
    with advice_for_unreachable("name local files with --set documents.input=PATTERN --set lm.input=PATTERN"):
        plan = plan_run(chosen, Asked(documents, text, cores, sample_bytes), (lambda _: None) if as_json else say)
    kept = save(plan, out) if out else None
    if as_json:
        say(encoded(plan).decode().rstrip())
        return
    table(title(plan), HEADER, rows(plan))
    for line in notes(plan):
        say(line)
    if kept:
        say(f"kept: {kept}")
