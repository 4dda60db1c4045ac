"""tamiz clean"""

from __future__ import annotations

import click

from corpora.home import Place
from tamiz.console import say
from tamiz.options import FolderPath


@click.command()
@click.argument("folder", type=FolderPath(anywhere=True))
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
def command(folder: Place, dry_run: bool) -> None:
    """Remove what killed runs left in FOLDER, a path or an address: files that no manifest of a finished folder
    names, temporary files, and in S3 uploads in parts that were begun more than a day ago and never finished.

    Folders whose work isn't finished stay as they are: the next run continues there.
    """
    from corpora.leftovers import leftovers, remove

    found = leftovers(folder)
    for each in found:
        say(f"{'would remove' if dry_run else 'removing'} {each.said}")
        if not dry_run:
            remove(each)
    if not found:
        say(f"{folder}: nothing to clean")
