"""What `tamiz plan` must know of a training: a few steps of a few rows tell what all of them take."""

from __future__ import annotations

from tamiz.recipes.schema import Recipe
from tamiz.stages.common import Costs, Part, with_section
from tamiz.stages.growth import Growth
from tamiz.trainer.families.base import ModelSettings

REHEARSED_FLOPS = {"cpu": 2e12, "cuda": 1e15}  # half a minute on two cores; a few seconds on a GPU
REHEARSED_STEPS = 6
_LAYERS = ("num_layers", "num_decoder_layers")


def _rehearsed(recipe: Recipe, part: Part) -> Recipe:
    """A few steps of a few rows; a model that is too large for that is rehearsed with one layer, where its family has
    layers to leave out. FLOPs tell what the whole training takes."""

    from tamiz.trainer.device import choose_device

    most = REHEARSED_FLOPS[choose_device(recipe.train).type]

    def rows(model: ModelSettings) -> float:
        ids: int = recipe.shards.sequence_length
        return most / (REHEARSED_STEPS * 6 * model.num_parameters() * ids)

    model = recipe.model
    if rows(model) < 1:
        fewer = {name: 1 for name in _LAYERS if getattr(model, name, 0) > 1}
        recipe = with_section(recipe, "model", **fewer)
    batch = max(1, min(recipe.train.batch_size, int(rows(recipe.model))))
    steps = max(1, round(REHEARSED_STEPS * part.scale))
    few = {"steps": steps, "batch_size": batch, "warmup_steps": 0, "ramp_steps": 0, "schedule_steps": None}
    rarely = {"validate_every": 0, "validation_batches": 1, "checkpoint_every": 0, "checkpoint_minutes": 0.0}
    never = {"early_stopping": 0, "early_stopping_delta": 0.0, "keep": "last", "micro_batch_size": None, "init": None}
    return with_section(recipe, "train", **few, **rarely, **never)


COSTS = Costs(
    phases=lambda _: {"": Growth("flops")},
    memory=Growth("parameters"),
    disk=Growth("parameters"),
    rehearsed=_rehearsed,
)
