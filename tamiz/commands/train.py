"""tamiz train"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from corpora.errors import BadArgument
from tamiz.commands._summary import summarise
from tamiz.options import out_option, rebuild_option, settings


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


def _settings(model: str, overrides: tuple[str, ...], steps: int | None):  # type: ignore[no-untyped-def]
    """ModelSettings and TrainSettings of a recipe or of a TOML file with the sections [model] and [train]."""
    import tomllib

    from trainer.settings import ModelSettings, TrainSettings

    more = (*overrides, f"train.steps={steps}") if steps is not None else overrides
    path = Path(model)
    if path.suffix == ".toml" and path.is_file():
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(tree) <= {"model", "train"}:
            training = {"steps": 1000, **tree.get("train", {})}
            training |= {"steps": steps} if steps is not None else {}
            return settings(ModelSettings, **tree["model"]), settings(TrainSettings, **training)
    from recipes.load import load

    recipe = load(model, overrides=more)
    return msgspec.structs.replace(recipe.model), msgspec.structs.replace(recipe.train)
