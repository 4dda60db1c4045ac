"""tamiz train"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from corpora.errors import BadArgument
from tamiz.commands._summary import summarise
from tamiz.options import out_option, rebuild_option

if TYPE_CHECKING:
    from tamiz.trainer.families import ModelSettings
    from tamiz.trainer.settings import TrainSettings


@click.command()
@click.option("--shards", required=True, type=click.Path(path_type=Path), help="What `tamiz shards build` wrote.")
@click.option(
    "--tokenizer", type=click.Path(path_type=Path), help="[default: the folder `tokenizer` beside the shards]"
)
@click.option("--model", required=True, help="A recipe's name or TOML file, or a TOML file of a [model] section.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Such as train.steps=20 (recipes only).")
@click.option("--steps", type=int, help="Shorthand of --set train.steps=N.")
@out_option
@rebuild_option
def command(
    shards: Path,
    tokenizer: Path | None,
    model: str,
    overrides: tuple[str, ...],
    steps: int | None,
    out: str,
    rebuild: bool,
) -> None:
    """Train a model on shards: a folder that transformers loads, with a card."""
    from tamiz.stages.common import Context
    from tamiz.stages.train import train_stage

    shape, training = _settings(model, overrides, steps)
    home = tokenizer or shards.parent / "tokenizer"
    if not home.is_dir():
        raise BadArgument(f"no tokenizer folder at {home}: name it with --tokenizer")
    summarise([train_stage(shards, home, Path(out), shape, training, Context(rebuild=rebuild))], "Training")


def _settings(model: str, overrides: tuple[str, ...], steps: int | None) -> tuple[ModelSettings, TrainSettings]:
    """The shape and the training that a recipe, or a TOML file of [model] and [train], asks for."""
    from tamiz.recipes.load import load, parse, section_settings

    if not model.endswith(".toml") or {"base", "documents", "shards"} & parse(Path(model)).keys():
        more = (*overrides, f"train.steps={steps}") if steps is not None else overrides
        recipe = load(model, overrides=more)
        return recipe.model, recipe.train
    tree = parse(Path(model))
    if overrides:
        raise BadArgument(f"--set {overrides[0]} needs a recipe; {model} is a file of [model] and [train]: edit it")
    shape, training = tree.get("model"), dict(tree.get("train", {}))
    if steps is not None:
        training["steps"] = steps
    if not isinstance(shape, dict) or "steps" not in training:
        raise BadArgument(f"{model} must have a section [model], and train.steps or --steps")
    return section_settings("model", shape), section_settings("train", training)
