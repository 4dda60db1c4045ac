"""tamiz export"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from corpora.errors import BadArgument
from corpora.home import Home, Place
from tamiz.choice_options import choice_flags, choice_option, chosen
from tamiz.commands._summary import summarise
from tamiz.options import FolderPath, out_option, rebuild_option
from tamiz.trainer.exports import EXPORTS


@click.command()
@choice_flags(EXPORTS)
@click.argument("model", type=FolderPath(anywhere=True))
@choice_option(EXPORTS, "--to")
@out_option
@rebuild_option
def command(model: Place, to: str, out: str, rebuild: bool, **flags: Any) -> None:
    """Write the trained model in the folder MODEL in the format of another program, with a card.

    Both may be at an address: the model is copied to this machine, and the export is made here and sent.
    """
    from corpora.copies import local_folder
    from tamiz.mirror import worked_in
    from tamiz.stages.common import Context
    from tamiz.stages.export import export_stage

    settings = chosen(EXPORTS, to, flags, {})
    if str(Home.of(out)) == str(Home.of(model)):
        raise BadArgument(f"--out {out} is the folder of the model: name another")
    with worked_in(out, "export") as folder:
        report = export_stage(local_folder(model), folder, settings, Context(rebuild=rebuild))
    summarise([replace(report, folder=out)], "Export")
