"""One step of training and one pass of validation, in nats per target id."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from corpora.errors import BadArgument, TamizError
from tamiz.trainer.dataset import Batch
from tamiz.trainer.families.base import IGNORED, TARGETS, ModelSettings
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.optimizers.groups import parameter_groups
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.ranks import current
from tamiz.trainer.settings import TrainSettings


class NotFinite(TamizError):
    """The loss or the gradient of a batch isn't finite: there was no update."""


def optimizer(model: torch.nn.Module, family: ModelSettings, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer that the settings name, with weight decay for the parameters for which the family's `decays` is
    true."""
    groups = parameter_groups(model, family, settings.weight_decay)
    device = next(model.parameters()).device
    return OPTIMIZERS.get(settings.optimizer).build(groups, settings, device)


class Steps:
    """Trains and validates a model on batches, in micro-batches.

    parallel: how the model lies on several processes; each of them gives its rows of a batch, and counts, losses and
    the norm of the gradient are those of all. None: the model is whole in this process.
    """

    def __init__(
        self,
        model: Any,
        family: ModelSettings,
        settings: TrainSettings,
        device: torch.device,
        *,
        micro_rows: int,
        bfloat16: bool,
        pad_id: int,
        parallel: Parallel | None = None,
    ) -> None:
        self.model, self.settings, self.device, self.pad_id = model, settings, device, pad_id
        if settings.z_loss and "z_loss" not in inspect.signature(family.loss).parameters:
            raise BadArgument(f"model.family {family.family} has no z-loss: remove train.z_loss")
        self._parallel = parallel or Parallel(model, family, current(), device)
        self.optimizer = optimizer(model, family, settings)
        self._family, self._micro_rows, self.bfloat16 = family, micro_rows, bfloat16
        self.norm = 0.0  # of the last step's gradient, before it was scaled down

    def train(self, batch: Batch, learning_rate: float) -> float:
        """Does one update; returns the mean loss of the batch before it, over all processes.

        Raises NotFinite if the loss or the norm of the gradient isn't finite, in all processes; then weights and
        means are as before.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        prepared = self._family.prepare(batch, self.pad_id)
        parallel, micro_batches = self._parallel, list(self._micro_batches(prepared))
        count = max(1, parallel.ranks.sum(_num_targets(prepared)))
        total = 0.0
        more = (self.settings.z_loss,) if self.settings.z_loss else ()
        for number, rows in enumerate(micro_batches, 1):
            with parallel.accumulating(last=number == len(micro_batches)):
                loss = self._loss(rows, *more)
                (loss / parallel.divisor(count)).backward()
            total += loss.item()
        total = parallel.ranks.sum(total)
        self.norm = float(parallel.clip(self.settings.clip_norm))  # waits for the device, as a look at it must
        if not math.isfinite(total) or not math.isfinite(self.norm):
            self.optimizer.zero_grad(set_to_none=True)
            raise NotFinite(
                f"the loss is {total / count} and the norm of the gradient is {self.norm} at learning rate "
                f"{learning_rate:.3g}: lower train.learning_rate, or set train.ramp_steps"
            )
        self.optimizer.step()
        return total / count

    def step_size(self) -> float | None:
        """The rate in effect in the last step, where the optimizer scales the schedule's. May wait for the device."""
        return OPTIMIZERS.get(self.settings.optimizer).step_size(self.optimizer)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> float:
        """Mean loss over all targets of `batches`, whole ones, which the processes share out here."""
        self.model.eval()
        ranks = self._parallel.ranks
        total, count = 0.0, 0
        for batch in batches:
            prepared = self._family.prepare(batch, self.pad_id)
            count += _num_targets(prepared)
            own = prepared if ranks.alone else share(prepared, ranks.rank, ranks.world_size)
            total += sum(self._loss(rows).item() for rows in self._micro_batches(own))
        return ranks.sum(total) / max(1, count)

    def _micro_batches(self, prepared: Batch) -> Iterator[Batch]:
        split = [tensor.split(self._micro_rows) for tensor in prepared.values()]
        return (dict(zip(prepared, parts, strict=True)) for parts in zip(*split, strict=True))

    def _loss(self, rows: Batch, *more: float) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            rows = {name: tensor.to(self.device, non_blocking=True) for name, tensor in rows.items()}
            return self._parallel.loss(rows, *more)


def share(prepared: Batch, rank: int, world_size: int) -> Batch:
    """Every world_size-th row from `rank` on: as many for each process, so that all do as many forward passes. Rows
    without targets fill up the last ones."""
    missing = -len(prepared[TARGETS]) % world_size
    filled = {
        name: torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) for name, tensor in prepared.items()
    }
    if missing:
        filled[TARGETS][-missing:] = IGNORED
    return {name: tensor[rank::world_size] for name, tensor in filled.items()}


def _num_targets(prepared: Batch) -> int:
    return int((prepared[TARGETS] != IGNORED).sum())
