"""tamiz report"""

from __future__ import annotations

from pathlib import Path

import click

from tamiz.console import say
from tamiz.options import FolderPath


@click.command()
@click.argument("folder", type=FolderPath())
@click.option(
    "--scores",
    type=FolderPath(),
    metavar="DIR",
    help="The scores that a sample was drawn from. [default: next to the sample]",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="PATTERN",
    help="The scored documents; the page shows some of them. [default: those in the run's recipe]",
)
def command(folder: Path, scores: Path | None, inputs: tuple[str, ...]) -> None:
    """Write a page that shows what was kept, FOLDER/report/index.html, and its plots as PNG files next to it.

    FOLDER is the --out of `tamiz run`, `tamiz score` or `tamiz sample`. The page shows perplexity and length before
    and after sampling, sources and languages, and the documents nearest each decile of perplexity, which are read
    from the input again.
    """
    from tamiz.report.page import write_report

    say(f"written: {write_report(folder, scores=scores, inputs=inputs, remote=True)}")
