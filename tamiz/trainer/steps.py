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
    """Trains and validates a model on batches, in micro-batches."""

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
    ) -> None:
        self.model, self.settings, self.device, self.pad_id = model, settings, device, pad_id
        if settings.z_loss and "z_loss" not in inspect.signature(family.loss).parameters:
            raise BadArgument(f"model.family {family.family} has no z-loss: remove train.z_loss")
        self.optimizer = optimizer(model, family, settings)
        self._family, self._micro_rows, self._bfloat16 = family, micro_rows, bfloat16

    def train(self, batch: Batch, learning_rate: float) -> float:
        """Does one update; returns the mean loss of the batch before it.

        Raises NotFinite if the loss or the norm of the gradient isn't finite; then weights and means are as before.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        prepared = self._family.prepare(batch, self.pad_id)
        count = max(1, _num_targets(prepared))
        total = 0.0
        for rows in self._micro_batches(prepared):
            loss = self._loss(rows, self.settings.z_loss)
            (loss / count).backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        if not math.isfinite(total) or not torch.isfinite(norm):
            self.optimizer.zero_grad(set_to_none=True)
            raise NotFinite(
                f"the loss is {total / count} and the norm of the gradient is {float(norm)} at learning rate "
                f"{learning_rate:.3g}: lower train.learning_rate, or set train.ramp_steps"
            )
        self.optimizer.step()
        return total / count

    def step_size(self) -> float | None:
        """The rate in effect in the last step, where the optimizer scales the schedule's. May wait for the device."""
        return OPTIMIZERS.get(self.settings.optimizer).step_size(self.optimizer)

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> float:
        """Mean loss over all targets of `batches`."""
        self.model.eval()
        total, count = 0.0, 0
        for batch in batches:
            prepared = self._family.prepare(batch, self.pad_id)
            count += _num_targets(prepared)
            total += sum(self._loss(rows).item() for rows in self._micro_batches(prepared))
        return total / max(1, count)

    def _micro_batches(self, prepared: Batch) -> Iterator[Batch]:
        split = [tensor.split(self._micro_rows) for tensor in prepared.values()]
        return (dict(zip(prepared, parts, strict=True)) for parts in zip(*split, strict=True))

    def _loss(self, rows: Batch, z_loss: float = 0.0) -> torch.Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            rows = {name: tensor.to(self.device, non_blocking=True) for name, tensor in rows.items()}
            if z_loss:
                return self._family.loss(self.model, rows, z_loss)
            return self._family.loss(self.model, rows)


def _num_targets(prepared: Batch) -> int:
    return int((prepared[TARGETS] != IGNORED).sum())
