"""tamiz export"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tamiz.choice_options import choice_flags, choice_option, chosen
from tamiz.commands._summary import summarise
from tamiz.options import FolderPath, local_out_option, rebuild_option
from tamiz.trainer.exports import EXPORTS


@click.command()
@choice_flags(EXPORTS)
@click.argument("model", type=FolderPath())
@choice_option(EXPORTS, "--to")
@local_out_option
@rebuild_option
def command(model: Path, to: str, out: str, rebuild: bool, **flags: Any) -> None:
    """Write the trained model in the folder MODEL in the format of another program, with a card."""
    from tamiz.stages.common import Context
    from tamiz.stages.export import export_stage

    settings = chosen(EXPORTS, to, flags, {})
    summarise([export_stage(model, Path(out), settings, Context(rebuild=rebuild))], "Export")
