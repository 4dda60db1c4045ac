"""Trains a model on shards: a small loop whose result doesn't depend on interruptions.

At the end, OUT has what transformers loads (config.json, model.safetensors, generation_config.json, the tokenizer's
files), a card (README.md, loss.png) and metrics.json. OUT/checkpoints/ has what a run needs to resume; the caller
deletes it once everything else is recorded.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from corpora import files
from tamiz.trainer import checkpoint
from tamiz.trainer.dataset import Batch, ShardDataset
from tamiz.trainer.device import choose_device, micro_batch_rows, peak_memory_bytes, repeatable, uses_bfloat16
from tamiz.trainer.energy import EnergyMeter
from tamiz.trainer.export import export
from tamiz.trainer.families.base import ModelSettings, num_parameters
from tamiz.trainer.inputs import Inputs, check_inputs
from tamiz.trainer.progress import Progress
from tamiz.trainer.schedule import learning_rate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps
from tamiz.trainer.trained import Card, Metrics, Trained

Report = Callable[[str], None]
HISTORY_POINTS = 400  # maximum number of training losses kept for the curve


def train(
    shards: Path,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    *,
    card: Card | None = None,
    report: Report = print,
) -> Metrics:
    """Trains for settings.steps steps, resuming from OUT/checkpoints/ if it has any; returns the metrics.

    On a CPU, equal shards, tokenizer and settings give a byte-identical model.safetensors, interrupted or not. Losses
    are in nats per target id; validation_loss is None if the shards have no validation rows. card: returns the text
    of README.md; None: no README.md.

    Raises BadArgument if shards, tokenizer and model don't belong together, StaleOutput for checkpoints of another
    training, DamagedFile for damaged inputs, TamizError if the loss is no longer finite.
    """
    inputs = check_inputs(shards, tokenizer, model, settings.span_corruption)
    files.remove_temporary(out)
    with repeatable(settings):
        run = _Run(inputs, out, model, settings, report)
        run.resume()
        run.to_the_end()
        metrics = run.metrics()
        export(run.steps.model, Trained(inputs, model, settings, metrics), out, card)
    return metrics


class _Run:
    """The state of one training: model, optimizer, position in the data, random state, losses so far."""

    def __init__(
        self, inputs: Inputs, out: Path, family: ModelSettings, settings: TrainSettings, report: Report
    ) -> None:
        device = choose_device(settings)
        self._inputs, self._out, self._settings, self._report, self._device = inputs, out, settings, report, device
        self._family, facts = family, inputs.facts
        built = family.build(seed=settings.seed, pad_id=facts.pad_id, eos_id=facts.eos_id, bos_id=inputs.bos_id)
        micro_rows, bfloat16 = micro_batch_rows(settings, device), uses_bfloat16(settings, device)
        self.steps = Steps(
            built.to(device), family, settings, device, micro_rows=micro_rows, bfloat16=bfloat16, pad_id=facts.pad_id
        )
        noise = settings.span_corruption
        self._data = ShardDataset(
            inputs.shards, batch_size=settings.batch_size, seed=settings.seed, span_corruption=noise
        )
        self._validation: ShardDataset | None = None
        held_out = facts.rows.get("validation")
        if held_out:
            rows = min(settings.batch_size, held_out)
            self._validation = ShardDataset(inputs.shards, "validation", batch_size=rows, span_corruption=noise)
        self._made_from = _made_from(inputs, family, settings)
        self._step, self._seconds, self._history = 0, 0.0, list[dict[str, float]]()
        self._progress = Progress(report, settings.steps)
        precision = "bfloat16 autocast" if bfloat16 else "float32"
        report(
            f"{num_parameters(built):,} parameters on {device} in {precision}; "
            f"{self._data.rows:,} rows, {settings.batch_size} per step, {micro_rows} at a time"
        )

    def resume(self) -> None:
        """Resumes from the newest checkpoint, if there is one."""
        state = checkpoint.load_latest(self._out, self._made_from)
        if state is None:
            return
        self.steps.model.load_state_dict(state["model"])
        self.steps.optimizer.load_state_dict(state["optimizer"])
        self._data.load_state_dict(state["data"])
        torch.set_rng_state(state["random"])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"])
        self._step, self._seconds, self._history = state["step"], state["seconds"], state["history"]
        self._report(f"continued from step {self._step:,} of {self._settings.steps:,}")

    def _save(self) -> None:
        state = {
            "made_from": self._made_from,
            "model": self.steps.model.state_dict(),
            "optimizer": self.steps.optimizer.state_dict(),
            "data": self._data.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self._device.type == "cuda" else None,
            "step": self._step,
            "seconds": self._seconds,
            "history": self._history,
        }
        checkpoint.save(self._out, self._step, state)

    def to_the_end(self) -> None:
        settings, before, began = self._settings, self._seconds, time.monotonic()
        self._energy, self._resumed_at = EnergyMeter(), before
        self._energy.start()
        if self._step == 0:
            self._validate()
        with contextlib.closing(iter(self._data)) as batches:
            while self._step < settings.steps:
                self._one_step(next(batches))
                self._seconds = before + time.monotonic() - began
                last = self._step == settings.steps
                if last or (settings.validate_every and self._step % settings.validate_every == 0):
                    self._validate()
                if not last and settings.checkpoint_every and self._step % settings.checkpoint_every == 0:
                    self._save()

    def _one_step(self, batch: Batch) -> None:
        settings, step = self._settings, self._step + 1
        rate = learning_rate(step, settings)
        loss = self.steps.train(batch, rate)
        self._step = step
        every = -(-settings.steps // HISTORY_POINTS)
        if step % every == 0 or step in (1, settings.steps):
            self._history.append({"step": step, "loss": loss, "learning_rate": rate})
        self._progress.step(step, loss, rate, self._tokens_per_step())

    def _validate(self) -> None:
        """Records the validation loss of this step, if there are validation rows."""
        if self._validation is None:
            return
        loss = self.steps.validate(self._validation_batches(self._validation))
        self._history.append({"step": self._step, "validation_loss": loss})
        self._report(f"step {self._step:,}: validation loss {loss:.4f}")

    def _validation_batches(self, data: ShardDataset) -> Iterator[Batch]:
        """Yields the same rows in every call, each of them once."""
        for step in range(min(self._settings.validation_batches, data.steps_per_epoch)):
            yield data.batch(0, step)

    def _tokens_per_step(self) -> int:
        """Number of ids that the model reads in a step, including those of a decoder."""
        return self._settings.batch_size * self._family.ids_per_row(self._inputs.facts)

    def metrics(self) -> Metrics:
        """The content of metrics.json. Losses are in nats per target id; `tokens` includes the ids of a decoder."""
        validation = [point["validation_loss"] for point in self._history if "validation_loss" in point]
        return {
            "initial_validation_loss": validation[0] if validation else None,
            "validation_loss": validation[-1] if validation else None,
            "target_unigram_entropy_nats": self._inputs.facts.target_unigram_entropy_nats,
            "parameters": num_parameters(self.steps.model),
            "steps": self._step,
            "rows": self._step * self._settings.batch_size,
            "tokens": self._step * self._tokens_per_step(),
            "device": torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu",
            "seconds": self._seconds,
            "peak_memory_bytes": peak_memory_bytes(self._device),
            "energy_kwh": self._energy.stop(),
            "energy_seconds": self._seconds - self._resumed_at,
            "history": self._history,
        }


def _made_from(inputs: Inputs, model: ModelSettings, settings: TrainSettings) -> dict[str, Any]:
    """A flat dict of everything that decides the model's bytes: a checkpoint must have the same."""
    plain = {f"model.{name}": value for name, value in msgspec.to_builtins(model).items()}
    plain |= {f"train.{name}": value for name, value in msgspec.to_builtins(settings).items()}
    return plain | {
        "shards": inputs.fingerprint,
        "tokenizer": inputs.facts.tokenizer_sha256,
    }
