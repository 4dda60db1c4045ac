"""tamiz report"""

from __future__ import annotations

from pathlib import Path

import click

from tamiz.console import say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write FOLDER/report/index.html, one page with plots of a run of `tamiz run`."""
    from tamiz.report.page import write_report

    say(f"written: {write_report(folder)}")
