"""tamiz calibrate"""

from __future__ import annotations

from pathlib import Path

import click

from tamiz.console import say, table


@click.command()
@click.argument("scores", type=click.Path(path_type=Path))
def command(scores: Path) -> None:
    """Quartiles, histogram and plot of a folder of scores: calibration.json and calibration.png in it."""
    from tamiz.calibrate import calibrate

    facts = calibrate(scores)
    rows = [(name, f"{value:,.6g}") for name, value in facts["quantiles"].items()]
    table(f"{facts['documents']:,} scored documents", ("quantile", "perplexity"), rows)
    say(f"written: {scores / 'calibration.json'}, {scores / 'calibration.png'}")
