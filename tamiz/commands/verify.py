"""tamiz verify"""

from __future__ import annotations

import click

from corpora.errors import DamagedFile
from corpora.home import Place
from tamiz.console import fail, say, warn
from tamiz.options import FolderPath
from tamiz.verify import notes, verify

SHOWN = 20


@click.command()
@click.argument("folder", type=FolderPath(anywhere=True))
def command(folder: Place) -> None:
    """Check FOLDER, and every folder below it, against its manifest: files, sizes, checksums, counts."""
    checked, problems = verify(folder)
    for problem in problems[:SHOWN]:
        fail(problem)
    if len(problems) > SHOWN:
        fail(f"and {len(problems) - SHOWN} more")
    found, *more = notes(folder)
    for line in more:
        warn(line)
    if problems:
        raise DamagedFile(f"{folder}: {len(problems)} problem(s) in {checked} files of {found}")
    say(f"{folder}: {checked} files of {found} are as their manifests say")
