"""tamiz train"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from corpora.errors import BadArgument
from corpora.home import Home, Place
from tamiz.commands._budget import pausing, stop_after_option
from tamiz.commands._shards import Folder, mixed, named_shards, tokenizer_beside
from tamiz.commands._summary import summarise
from tamiz.options import FolderPath, Named, out_option, rebuild_option
from tamiz.trainer.ranks import current, joined

if TYPE_CHECKING:
    from corpora.rows.mixing import MixtureSettings
    from tamiz.trainer.families import ModelSettings
    from tamiz.trainer.settings import TrainSettings


@click.command()
@click.option(
    "--shards",
    required=True,
    type=Named(),
    multiple=True,
    metavar="DIR[=WEIGHT]...",
    help="Folder from `tamiz shards build`, or `shards` of a run with [mixture]. Several are mixed: by WEIGHT, "
    "a share of the rows; else as the recipe's [mixture] says; else by their rows.",
)
@click.option(
    "--max-epochs", type=float, help="The most that a mixture may read of a folder, in epochs. [default: 4]"
)
@click.option(
    "--tokenizer",
    type=FolderPath(anywhere=True),
    help="Folder of the tokenizer, or byt5. [default: the folder `tokenizer` next to the shards]",
)
@click.option(
    "--model",
    required=True,
    type=Named(),
    help="A recipe (name or TOML file), or a TOML file with only [model] and [train].",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of a recipe.")
@click.option(
    "--init", type=Named(), help="Start from the weights of this model: a folder, or OWNER/NAME of the Hub."
)
@click.option("--steps", type=int, help="Number of steps; replaces train.steps.")
@click.option("--tensorboard", is_flag=True, help="Write curves to OUT/tensorboard; like train.tensorboard.")
@stop_after_option
@out_option
@rebuild_option
@joined()
def command(
    shards: tuple[str, ...],
    max_epochs: float | None,
    tokenizer: Place | None,
    model: str,
    overrides: tuple[str, ...],
    init: str | None,
    steps: int | None,
    tensorboard: bool,
    stop_at: float | None,
    out: str,
    rebuild: bool,
) -> None:
    """Train a model on shards, and write a folder that transformers loads, with a model card.

    OUT may be an address: the training works in a local folder, and sends what is new every 30 seconds. Shards at an
    address are copied to this machine first.
    """
    from corpora.rows.shards import read_shards
    from tamiz.mirror import worked_in
    from tamiz.stages.common import Context
    from tamiz.stages.train import train_stage

    given = named_shards(shards)
    first = next(iter(given))
    read_shards(first)  # before anything else is sought near it
    shape, training, mixture = _settings(model, overrides, steps, first)
    if init is not None:
        training = msgspec.structs.replace(training, init=init)
    if tensorboard:
        training = msgspec.structs.replace(training, tensorboard=True)
    own = _tokenizer(tokenizer or tokenizer_beside(first))
    rows = mixed(given, mixture, max_epochs, training.steps * training.batch_size)
    context = Context(rebuild=rebuild, stop_at=stop_at)
    with pausing():
        with worked_in(out, "train") if current().first else nullcontext(Path(out)) as folder:
            report = train_stage(rows, own, folder, shape, training, context)
        summarise([replace(report, folder=out)], "Training")


def _tokenizer(place: Place) -> Path:
    """The tokenizer's folder on this machine."""
    from corpora.copies import local_tokenizer

    home = Home.of(place)
    if not home.is_folder() and str(home) != "byt5":
        raise BadArgument(f"no tokenizer folder at {home}: name it with --tokenizer")
    return Path(local_tokenizer(str(home)))


def _settings(
    model: str, overrides: tuple[str, ...], steps: int | None, shards: Folder
) -> tuple[ModelSettings, TrainSettings, MixtureSettings | None]:
    """The model, the training and the mixture of a recipe, or of a TOML file with [model] and [train]."""
    from tamiz.recipes.load import load, parse, section_settings

    if not model.endswith(".toml") or {"base", "name", "documents"} & parse(Path(model)).keys():
        more = (*overrides, f"train.steps={steps}") if steps is not None else overrides
        recipe = load(model, overrides=more)
        return recipe.model, recipe.train, recipe.mixture
    tree = parse(Path(model))
    if overrides:
        raise BadArgument(
            f"--set {overrides[0]} needs a recipe, but {model} has only [model] and [train]: edit the file instead"
        )
    for name in tree.keys() - {"model", "train"}:
        raise BadArgument(f"{model} has {name}: it may only have the sections [model] and [train]")
    shape, training = tree.get("model"), tree.get("train", {})
    if not isinstance(shape, dict) or not isinstance(training, dict):
        raise BadArgument(f"{model} has no section [model]: add it; a section [train] is optional")
    training = training if steps is None else {**training, "steps": steps}
    if "steps" not in training:
        raise BadArgument(f"{model} has no train.steps: add it, or pass --steps")
    return section_settings("model", _with_vocabulary(shape, shards)), section_settings("train", training), None


def _with_vocabulary(shape: dict[str, Any], shards: Folder) -> dict[str, Any]:
    """A model that doesn't say how many ids it has gets those of the shards, as a recipe's gets its tokenizer's."""
    from corpora.rows.shards import read_shards

    return {"vocab_size": read_shards(shards).facts.vocab_size, **shape}
