"""What a training needs and takes: checked and said before any work."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from corpora.errors import TamizError
from corpora.machine import available_cores, free_bytes
from corpora.tokens.facts import ShardFacts
from tamiz.console import size
from tamiz.trainer import checkpoint
from tamiz.trainer.device import choose_device, precision_words, tries_rows
from tamiz.trainer.energy_sources import require_known_country
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.ranks import current
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.tensorboard import require_tensorboard

BYTES_PER_WEIGHT = 4
_LARGE = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"))


def check_machine(out: Path, model: ModelSettings, settings: TrainSettings) -> None:
    """Raises BadArgument if a GPU or tensorboard is wanted and absent, or if codecarbon doesn't know the country,
    TamizError if the disk has no room for the training."""
    choose_device(settings)
    require_known_country(settings.country)
    if settings.tensorboard:
        require_tensorboard()
    needed, free = room_needed(out, model.num_parameters(), settings), free_bytes(out)
    if needed > free:
        raise TamizError(
            f"{out} needs {size(needed)} for the model and its checkpoints, but {size(free)} are free there: free "
            "some, or choose another --out"
        )


def room_needed(out: Path, parameters: int, settings: TrainSettings) -> int:
    """Bytes that the training adds to OUT at its fullest: the model and all checkpoints, less those already there."""
    model = BYTES_PER_WEIGHT * parameters
    states = _numbers_per_weight(settings)
    there = sum(path.stat().st_size for path in checkpoint.found(out))
    writes = settings.checkpoint_every or settings.checkpoint_minutes
    count = settings.keep_checkpoints + 1 if writes else int(settings.keep_checkpoint)
    return max(0, math.ceil(model + count * states * model) - there)


def _numbers_per_weight(settings: TrainSettings) -> float:
    """In a checkpoint: the weight itself, the best one if it is wanted, and what the optimizer keeps for it."""
    return 1.0 + float(settings.keep == "best") + OPTIMIZERS.get(settings.optimizer).states


def machine_line(
    parameters: int, device: torch.device, rows: int, micro_rows: int, settings: TrainSettings, processes: int
) -> str:
    """What trains on what. rows: of the training split. micro_rows: in a forward pass, where that isn't tried yet."""
    batch = settings.batch_size
    many = "" if processes == 1 else f", {batch // processes} in each of {processes} processes ({settings.parallel})"
    at_a_time = "" if tries_rows(settings, device, processes) else f", {micro_rows} at a time"
    return (
        f"{parameters:,} parameters on {device} in {precision_words(settings, device)}; "
        f"{rows:,} rows, {batch} per step{many}{at_a_time}"
    )


def plan_lines(
    out: Path, parameters: int, model: ModelSettings, settings: TrainSettings, facts: ShardFacts, steps_per_epoch: int
) -> list[str]:
    """How long the training is and what it takes, for people."""
    ids = settings.batch_size * model.ids_per_row(facts)
    epochs = settings.steps / steps_per_epoch
    one = math.ceil(_numbers_per_weight(settings) * BYTES_PER_WEIGHT * parameters)
    return [
        f"{settings.steps:,} steps of {ids:,} ids = {in_words(settings.steps * ids)} ids, {epochs:,.1f} epochs "
        f"of {steps_per_epoch:,} {'step' if steps_per_epoch == 1 else 'steps'}",
        f"a checkpoint takes {size(one)}, all files {size(room_needed(out, parameters, settings))} at most; "
        f"{size(free_bytes(out))} are free",
    ]


def threads_line(settings: TrainSettings, device: torch.device) -> str | None:
    """Says that cores are idle: the number of threads is fixed, since it changes the last bits of the weights."""
    cores = available_cores()
    if device.type != "cpu" or cores <= settings.num_threads * current().place.local_world_size:
        return None
    threads = f"{settings.num_threads} {'thread' if settings.num_threads == 1 else 'threads'}"
    return (
        f"training uses {threads} (train.num_threads), but this machine has {cores} cores: set it to {cores} to use "
        "them; the last bits of the weights depend on it"
    )


def in_words(number: int) -> str:
    """5.2 billion."""
    for unit, name in _LARGE:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:,}"
