"""tamiz report"""

from __future__ import annotations

import click

from corpora.home import Home, Place
from tamiz.console import say
from tamiz.options import FolderPath, Named


@click.command()
@click.argument("folder", type=FolderPath(anywhere=True))
@click.option(
    "--scores",
    type=FolderPath(anywhere=True),
    metavar="DIR",
    help="The scores that a sample was drawn from. [default: next to the sample]",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=Named(),
    metavar="PATTERN",
    help="The scored documents; the page shows some of them. [default: those in the run's recipe]",
)
def command(folder: Place, scores: Place | None, inputs: tuple[str, ...]) -> None:
    """Write a page that shows what was kept, FOLDER/report/index.html, and its plots as PNG files next to it.

    FOLDER is the --out of `tamiz run`, `tamiz score` or `tamiz sample`. The page shows perplexity and length before
    and after sampling, sources and languages, and the documents nearest each decile of perplexity, which are read
    from the input again. If `tamiz plan` was given the folder, what it planned is shown beside what was taken.
    """
    from tamiz.report.page import write_report
    from tamiz.report.planned import show_plan

    shown = show_plan(folder)
    if shown and not scores and not (Home.of(folder) / "scores").is_folder():
        say("no page: it shows what was scored and sampled, and this run has no scores")
        return

    say(f"written: {write_report(folder, scores=scores, inputs=inputs, remote=True)}")
