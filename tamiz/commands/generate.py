"""tamiz generate"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from corpora.errors import BadArgument


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    help="Maximum number of ids to generate. [default: 12 per span, 40 to continue a text]",
)
@click.option("--num-beams", type=click.IntRange(1), default=4, show_default=True, help="Width of the beam search.")
def command(model: Path, text: str | None, max_new_tokens: int | None, num_beams: int) -> None:
    """Fill the masked spans of TEXT, or continue TEXT, with the trained model in the folder MODEL.

    A T5 fills <extra_id_0>, <extra_id_1>, ...; a causal model continues the text. Without TEXT, the text is read from
    standard input.
    """
    from tamiz.trainer import require_torch

    require_torch()
    from tamiz.trainer.generation import generate

    if text is None and sys.stdin is None:
        raise BadArgument("there is no TEXT, and standard input is closed: give one of them")
    given = sys.stdin.read().rstrip("\n") if text is None else text
    click.echo(generate(model, given, max_new_tokens=max_new_tokens, num_beams=num_beams))
