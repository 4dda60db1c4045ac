"""tamiz report"""

from __future__ import annotations

from pathlib import Path

import click

from tamiz.console import say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--scores",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The scores that a sample was drawn from. [default: found beside it]",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="PATTERN",
    help="The scored documents, some of which are shown. [default: those of the run's recipe]",
)
def command(folder: Path, scores: Path | None, inputs: tuple[str, ...]) -> None:
    """Draw what the sieve did: FOLDER/report/index.html, one page, with its plots beside it as PNG files.

    FOLDER is the --out of `tamiz run`, `tamiz score` or `tamiz sample`. The page shows perplexity and length before
    and after sampling, sources and languages, and the documents nearest each decile of perplexity, read
    back from the input.
    """
    from tamiz.report.page import write_report

    say(f"written: {write_report(folder, scores=scores, inputs=inputs, remote=True)}")
