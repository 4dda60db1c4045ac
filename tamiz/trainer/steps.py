"""One step of training and one pass of validation, in nats per target id."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from corpora.errors import BadArgument, TamizError
from tamiz.trainer.compiling import compile_layers, compiled_or_not, uncompile_layers
from tamiz.trainer.computing import Computing
from tamiz.trainer.dataset import Batch
from tamiz.trainer.device import free_memory
from tamiz.trainer.families.base import IGNORED, TARGETS, ModelSettings
from tamiz.trainer.optimizers import OPTIMIZERS
from tamiz.trainer.optimizers.groups import parameter_groups
from tamiz.trainer.outcome import NotFinite, Outcome
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.ranks import current
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.staging import Staging

__all__ = ["NotFinite", "Outcome", "Steps", "optimizer", "share"]


def optimizer(model: torch.nn.Module, family: ModelSettings, settings: TrainSettings) -> torch.optim.Optimizer:
    """The optimizer that the settings name, with weight decay for the parameters for which the family's `decays` is
    true."""
    groups = parameter_groups(model, family, settings.weight_decay)
    device = next(model.parameters()).device
    return OPTIMIZERS.get(settings.optimizer).build(groups, settings, device)


class Steps:
    """Trains and validates a model on batches, in micro-batches.

    parallel: how the model lies on several processes; each of them gives its rows of a batch, and counts, losses and
    the norm of the gradient are those of all. None: the model is whole in this process. late: whether outcomes may be
    read a step late; None: where the device can skip an update by itself: a GPU, with an optimizer that knows how.
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
        late: bool | None = None,
    ) -> None:
        self.model, self.settings, self.device, self.pad_id = model, settings, device, pad_id
        if settings.z_loss and "z_loss" not in inspect.signature(family.loss).parameters:
            raise BadArgument(f"model.family {family.family} has no z-loss: remove train.z_loss")
        self._parallel = parallel or Parallel(model, family, current(), device)
        self.optimizer = optimizer(model, family, settings)
        self._family, self.micro_rows, self.bfloat16 = family, micro_rows, bfloat16
        if bfloat16 and self._parallel.can_copy:
            self._parallel.use_copies()
        self._casts = bfloat16 and not self._parallel.can_copy
        if settings.checkpoint_activations:
            _checkpoint(self._parallel.used, family)
        self._staging, self._compiled, self._computing = Staging(device), False, Computing(device)
        self.late = self._can_be_late() if late is None else late
        self.norm = 0.0  # of the gradient of the step that was read last, before it was scaled down
        self.step_size: Callable[[], float | None] = lambda: None
        """The rate in effect in the step that was read last, where the optimizer scales the schedule's. May wait for
        the device."""

    def _can_be_late(self) -> bool:
        skips = getattr(self.optimizer, "_step_supports_amp_scaling", False)  # torch's fused optimizers and ours
        return self.device.type == "cuda" and self._parallel.ranks.alone and skips

    def train(self, batch: Batch, learning_rate: float) -> float:
        """Does one update; returns the mean loss of the batch before it, over all processes.

        Raises NotFinite if the loss or the norm of the gradient isn't finite, in all processes; then weights and
        means are as before.
        """
        return self.read(self.start(batch, learning_rate))

    def start(self, batch: Batch, learning_rate: float) -> Outcome:
        """Does one update, unless the loss or the norm of the gradient isn't finite: then weights and means stay as
        they are. Where `late` is true, nobody waits for the device, which decides that by itself."""
        return self._computing.run(self._start, batch, learning_rate)

    def _start(self, batch: Batch, learning_rate: float) -> Outcome:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        parallel = self._parallel
        parallel.used.train()
        parallel.refresh()
        self.optimizer.zero_grad(set_to_none=True)
        prepared = self._family.prepare(batch, self.pad_id)
        count = max(1, parallel.ranks.sum(_num_targets(prepared)))
        with _memory_is_said(self.micro_rows):
            losses = self._backward(self._staging.on_device(prepared), count)
            norm = parallel.clip(self.settings.clip_norm)
            outcome = Outcome(losses, norm, count, learning_rate, parallel.ranks.sum)
            self._update(outcome)
        outcome.step_size = OPTIMIZERS.get(self.settings.optimizer).later(self.optimizer)
        return outcome

    def read(self, outcome: Outcome) -> float:
        """The mean loss of a step. Raises NotFinite if it had no update."""
        loss = outcome.read()
        self.norm, self.step_size = outcome.norm, outcome.step_size
        return loss

    def _backward(self, prepared: Batch, count: float) -> list[torch.Tensor]:
        """The losses of micro-batches; gradients are those of the mean over all targets."""
        parallel, micro_batches = self._parallel, list(self._micro_batches(prepared))
        more = (self.settings.z_loss,) if self.settings.z_loss else ()
        losses = []
        for number, rows in enumerate(micro_batches, 1):
            self._computing.check()
            with parallel.accumulating(last=number == len(micro_batches)):
                loss = self._loss(rows, *more)
                (loss / parallel.divisor(count)).backward()
            losses.append(loss.detach())
        return losses

    def _update(self, outcome: Outcome) -> None:
        """One step of the optimizer, if the outcome is finite."""
        if self.late:
            # where this is 1, the optimizer leaves weights and means as they are, as for torch's GradScaler
            self.optimizer.found_inf = outcome.bad()  # type: ignore[attr-defined]
            self.optimizer.step()
            return
        try:
            outcome.read()
        except NotFinite:
            self.optimizer.zero_grad(set_to_none=True)
            return
        self.optimizer.step()

    def validate(self, batches: Iterable[Batch]) -> float:
        """Mean loss over all targets of `batches`, whole ones, which the processes share out here."""
        return self._computing.run(self._validate, batches)

    @torch.no_grad()
    def _validate(self, batches: Iterable[Batch]) -> float:
        self._parallel.used.eval()
        self._parallel.refresh()
        ranks, count = self._parallel.ranks, 0
        losses: list[torch.Tensor] = []
        for batch in batches:
            self._computing.check()
            prepared = self._family.prepare(batch, self.pad_id)
            count += _num_targets(prepared)
            own = prepared if ranks.alone else share(prepared, ranks.rank, ranks.world_size)
            losses += [self._loss(rows) for rows in self._micro_batches(self._staging.on_device(own))]
        return ranks.sum(sum((loss.item() for loss in losses), 0.0)) / max(1, count)

    # before the first step

    def attempt(self, batch: Batch, rows: int) -> None:
        """A forward and backward pass of the first rows of a batch; leaves weights, means and random numbers as they
        are."""
        self._computing.run(self._attempt, batch, rows)

    def _attempt(self, batch: Batch, rows: int) -> None:
        prepared = {name: tensor[:rows] for name, tensor in self._family.prepare(batch, self.pad_id).items()}
        self._parallel.used.train()
        self._parallel.refresh()
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            self._loss(self._staging.on_device(prepared)).backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what fails, fails here
        self.optimizer.zero_grad(set_to_none=True)

    def compile(self, batch: Batch, report: Callable[[str], None]) -> None:
        """Compiles the layers and the elements of the loss, and tries them on rows of the batch; leaves them as they
        are if that fails, with a line that says so."""
        compile_layers(self._parallel.used)
        self._compiled = True
        rows = min(self.micro_rows, len(batch["input_ids"]))
        self._compiled = compiled_or_not(lambda: self.attempt(batch, rows), self._uncompile, report)

    def _uncompile(self) -> None:
        uncompile_layers(self._parallel.used)
        self.forget()

    def forget(self) -> None:
        """After an attempt that failed: frees what it left behind."""
        for parameter in self._parallel.used.parameters():
            parameter.grad = None
        self.optimizer.zero_grad(set_to_none=True)
        free_memory()

    def _micro_batches(self, prepared: Batch) -> Iterator[Batch]:
        """Compiled layers get as many rows each time: rows without targets fill up the last micro-batch."""
        if self._compiled and len(prepared[TARGETS]) > self.micro_rows:
            prepared = filled_up(prepared, self.micro_rows)
        split = [tensor.split(self.micro_rows) for tensor in prepared.values()]
        return (dict(zip(prepared, parts, strict=True)) for parts in zip(*split, strict=True))

    def _loss(self, rows: Batch, *more: float) -> torch.Tensor:
        from tamiz.trainer.families.chunked_loss import compiled_chunks

        casts = torch.autocast(self.device.type, torch.bfloat16, enabled=self._casts)
        with casts, compiled_chunks(self._compiled):
            return self._parallel.loss(rows, *more)


def _checkpoint(model: Any, family: ModelSettings) -> None:
    """Layers keep only what they get; the backward pass computes the rest again."""
    how = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # its name since transformers 5.23
        model.activation_checkpointing_enable(how)
    elif hasattr(model, "gradient_checkpointing_enable"):
        model.gradient_checkpointing_enable(how)
    else:
        raise BadArgument(f"model.family {family.family} can't checkpoint: remove train.checkpoint_activations")


@contextlib.contextmanager
def _memory_is_said(rows: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise TamizError(
            f"the GPU has too little memory for {rows} rows at a time: set train.micro_batch_size below {rows}, or "
            "train.checkpoint_activations"
        ) from error


def filled_up(prepared: Batch, multiple: int) -> Batch:
    """The rows, and rows without targets up to a multiple."""
    missing = -len(prepared[TARGETS]) % multiple
    if not missing:
        return prepared
    filled = {
        name: torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) for name, tensor in prepared.items()
    }
    filled[TARGETS][-missing:] = IGNORED
    return filled


def share(prepared: Batch, rank: int, world_size: int) -> Batch:
    """Every world_size-th row from `rank` on: as many for each process, so that all do as many forward passes. Rows
    without targets fill up the last ones."""
    return {name: tensor[rank::world_size] for name, tensor in filled_up(prepared, world_size).items()}


def _num_targets(prepared: Batch) -> int:
    return int((prepared[TARGETS] != IGNORED).sum())
