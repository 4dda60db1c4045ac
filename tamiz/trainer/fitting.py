"""How many rows a GPU computes at a time, found by trial: `train.micro_batch_size` left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import torch

from corpora.errors import TamizError
from tamiz.trainer.compiling import wants_compiled
from tamiz.trainer.dataset import Batch
from tamiz.trainer.device import free_memory, tries_rows
from tamiz.trainer.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from tamiz.trainer.steps import Steps


class Fitted(TypedDict):
    """The result of a trial, for checkpoints: a training that is continued computes as many rows at a time."""

    rows: int
    device: str


def most_rows(attempt: Callable[[int], None], rows: int, free: Callable[[], None]) -> int:
    """The largest of 1, 2, 4, ... and `rows` for which `attempt`, a forward and backward pass, has enough memory.

    free: gives back what a failed attempt held. Raises TamizError if there is too little for one row.
    """
    fits, tried = 0, 1
    while True:
        try:
            attempt(tried)
        except torch.OutOfMemoryError:
            free()
            break
        fits = tried
        if tried == rows:
            return fits
        tried = min(2 * tried, rows)
    if not fits:
        raise TamizError(
            "the GPU has too little memory for one row at a time: set train.checkpoint_activations, shorten the rows "
            "or share the model among GPUs (train.parallel = 'fsdp')"
        )
    return fits


def even(rows: int, most: int) -> int:
    """Rows at a time, at most `most`, so that a batch of `rows` has as few micro-batches as can be, and these are as
    equal as can be."""
    return -(-rows // -(-rows // most))


def prepare(
    steps: Steps, first: Callable[[], Batch], known: Fitted | None, processes: int, report: Callable[[str], None]
) -> Fitted | None:
    """Before the first step, where the settings and the device call for it: finds how many rows fit at a time, and
    compiles. first: a batch of the training. known, and the result: of `found_rows`."""
    tries = tries_rows(steps.settings, steps.device, processes)
    compiles = wants_compiled(steps.settings, steps.device, processes)
    if not tries and not compiles:
        return known
    batch = first()
    if tries:
        known = found_rows(steps, batch, known, report)
    if compiles:
        steps.compile(batch, report)
    return known


def found_rows(steps: Steps, batch: Batch, known: Fitted | None, report: Callable[[str], None]) -> Fitted:
    """Sets the rows that `steps` computes at a time, and says so. known: what a checkpoint has of an earlier trial,
    which counts on a device of the same name."""
    device = steps.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    if known is not None and known["device"] == name:
        steps.micro_rows = int(known["rows"])
        report(f"{steps.micro_rows} rows at a time, as before")
        return known
    rows = len(batch["input_ids"])
    held = reserved(steps, device)
    most = most_rows(lambda tried: steps.attempt(batch, tried), rows, steps.forget)
    del held
    free_memory()
    steps.micro_rows = even(rows, most)
    report(f"{steps.micro_rows} of {rows} rows at a time: {most} have room in the memory of the {name}")
    return {"rows": steps.micro_rows, "device": name}


def reserved(steps: Steps, device: torch.device) -> torch.Tensor:
    """Memory that is held during the trial for what comes with the first update: the optimizer's means, where a
    checkpoint hasn't brought them."""
    states = 0.0 if steps.optimizer.state else OPTIMIZERS.get(steps.settings.optimizer).states
    weights = sum(parameter.numel() for parameter in steps.model.parameters())
    return torch.empty(int(4 * states * weights), dtype=torch.uint8, device=device)
