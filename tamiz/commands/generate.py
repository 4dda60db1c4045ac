"""tamiz generate"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from corpora.errors import BadArgument
from corpora.home import Place
from tamiz.options import FolderPath

if TYPE_CHECKING:
    from tamiz.trainer.families.decoding import Sampling


@click.command()
@click.argument("model", type=FolderPath(anywhere=True))
@click.argument("text", required=False)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    help="Maximum number of ids to generate. [default: 12 per span (60 bytes), 40 to continue a text]",
)
@click.option("--num-beams", type=click.IntRange(1), help="Width of the beam search. [default: 4]")
@click.option("--temperature", type=float, help="Draw the text at random, from logits divided by this number.")
@click.option("--top-p", type=float, help="Draw the text at random, from the likeliest ids with this probability.")
@click.option("--seed", type=int, help="Seed of a text that is drawn at random. [default: 0]")
def command(
    model: Place,
    text: str | None,
    max_new_tokens: int | None,
    num_beams: int | None,
    temperature: float | None,
    top_p: float | None,
    seed: int | None,
) -> None:
    """Fill the masked spans of TEXT, or continue TEXT, with the trained model in the folder MODEL.

    A T5 fills <extra_id_0>, <extra_id_1>, ...; a causal model continues the text. Without TEXT, the text is read from
    standard input.
    """
    from corpora.copies import local_folder
    from tamiz.trainer import require_torch

    require_torch()
    from tamiz.trainer.families.decoding import NUM_BEAMS
    from tamiz.trainer.generation import generate

    if text is None and sys.stdin is None:
        raise BadArgument("there is no TEXT, and standard input is closed: give one of them")
    given = sys.stdin.read().rstrip("\n") if text is None else text
    sampling = _sampling(num_beams, temperature, top_p, seed)
    beams = NUM_BEAMS if num_beams is None else num_beams
    click.echo(
        generate(local_folder(model), given, max_new_tokens=max_new_tokens, num_beams=beams, sampling=sampling)
    )


def _sampling(
    num_beams: int | None, temperature: float | None, top_p: float | None, seed: int | None
) -> Sampling | None:
    """How the text is drawn at random; None if it isn't. Raises BadArgument for options that exclude each other."""
    from tamiz.trainer.families.decoding import Sampling

    if temperature is None and top_p is None:
        if seed is not None:
            raise BadArgument("--seed is for a text drawn at random: add --temperature or --top-p, or remove it")
        return None
    if num_beams is not None:
        raise BadArgument("--num-beams searches for the most likely text, --temperature and --top-p draw one: choose")
    given = {"temperature": temperature, "top_p": top_p, "seed": seed}
    return Sampling(**{name: value for name, value in given.items() if value is not None}).checked()  # type: ignore[arg-type]
