"""Trains a model on shards: a small loop whose result doesn't depend on interruptions.

At the end, OUT has what transformers loads (config.json, model.safetensors, generation_config.json, the tokenizer's
files), a card (README.md, loss.png) and metrics.json. OUT/checkpoints/ has what a run needs to resume; once
everything else is recorded, the caller keeps the last checkpoint or none (`checkpoint.settle`).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from corpora import files
from corpora.errors import TamizError
from tamiz.trainer import checkpoint, warm_start
from tamiz.trainer.before import plan_lines, threads_line
from tamiz.trainer.dataset import Batch, ShardDataset
from tamiz.trainer.device import choose_device, micro_batch_rows, peak_memory_bytes, repeatable, uses_bfloat16
from tamiz.trainer.energy import EnergyMeter
from tamiz.trainer.export import export
from tamiz.trainer.families.base import ModelSettings, num_parameters
from tamiz.trainer.history import History
from tamiz.trainer.inputs import Inputs, check_inputs
from tamiz.trainer.progress import Progress
from tamiz.trainer.schedule import learning_rate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.signals import Stopped, StopSignals
from tamiz.trainer.steps import Steps
from tamiz.trainer.trained import Card, Metrics, Trained
from tamiz.trainer.vocabulary_rows import padded_rows, set_rows

_LOG = logging.getLogger(__name__)
Report = Callable[[str], None]


def train(
    shards: Path,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    *,
    card: Card | None = None,
    report: Report = print,
    done: Callable[[int, int], None] = lambda _step, _steps: None,
) -> Metrics:
    """Trains for settings.steps steps, resuming from OUT/checkpoints/ if it has any; returns the metrics.

    On a CPU, equal shards, tokenizer and settings give a byte-identical model.safetensors, interrupted or not. Losses
    are in nats per target id; validation_loss is None if the shards have no validation rows. card: returns the text
    of README.md; None: no README.md. done: called after each step with its number and the number of steps.

    SIGINT, SIGTERM or SIGHUP: the step ends, the state is saved, and Stopped is raised. A checkpoint of fewer steps
    is continued if the schedule doesn't depend on the number of steps.

    Raises BadArgument if shards, tokenizer and model don't belong together, StaleOutput for checkpoints of another
    training, DamagedFile for damaged inputs, TamizError if the loss is no longer finite or the disk is full.
    """
    inputs = check_inputs(shards, tokenizer, model, settings.span_corruption, settings.init)
    files.remove_temporary(out)
    with repeatable(settings):
        run = _Run(inputs, out, model, settings, report)
        run.resume()
        run.to_the_end(done)
        metrics = run.metrics()
        run.cut_vocabulary()
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
        self._parameters = num_parameters(built)
        self._prepare(built)
        micro_rows, bfloat16 = micro_batch_rows(settings, device), uses_bfloat16(settings, device)
        self.steps = Steps(
            built.to(device), family, settings, device, micro_rows=micro_rows, bfloat16=bfloat16, pad_id=facts.pad_id
        )
        noise, documents = settings.span_corruption, family.reads_documents
        self._data = ShardDataset(
            inputs.shards, batch_size=settings.batch_size, seed=settings.seed, span_corruption=noise,
            with_documents=documents,
        )  # fmt: skip
        self._validation: ShardDataset | None = None
        held_out = facts.rows.get("validation")
        if held_out:
            rows = min(settings.batch_size, held_out)
            self._validation = ShardDataset(
                inputs.shards, "validation", batch_size=rows, span_corruption=noise, with_documents=documents
            )
        self._made_from = _made_from(inputs, family, settings)
        self._step, self._seconds, self._history = 0, 0.0, History(settings)
        self._saved, self._saved_at = 0, time.monotonic()
        self._progress = Progress(report, settings.steps)
        precision = "bfloat16 autocast" if bfloat16 else "float32"
        report(
            f"{self._parameters:,} parameters on {device} in {precision}; "
            f"{self._data.rows:,} rows, {settings.batch_size} per step, {micro_rows} at a time"
        )
        for line in plan_lines(out, self._parameters, family, settings, facts, self._data.steps_per_epoch):
            report(line)
        if idle := threads_line(settings, device):
            _LOG.warning("%s", idle)

    def _prepare(self, built: Any) -> None:
        """The weights to start from, and more rows in the vocabulary, where the settings want them."""
        settings, ids = self._settings, self._family.vocab_size
        if settings.init is not None and not checkpoint.found(self._out):
            warm_start.load(built, self._family, settings.init)
            self._report(f"starts from the weights of {settings.init}")
        if (rows := padded_rows(ids, settings.pad_vocabulary_to)) != ids:
            set_rows(built, rows)

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
        self._step, self._seconds = state["step"], state["seconds"]
        self._saved = self._step
        self._history.resume(state["history"])
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
            "history": self._history.points,
        }
        checkpoint.save(self._out, self._step, state)
        self._saved, self._saved_at = self._step, time.monotonic()

    def to_the_end(self, done: Callable[[int, int], None]) -> None:
        """Trains and validates until the last step, or a signal: then raises Stopped."""
        settings, before, began = self._settings, self._seconds, time.monotonic()
        self._energy, self._resumed_at = EnergyMeter(), before
        self._energy.start()
        with StopSignals() as signals, contextlib.closing(iter(self._data)) as batches:
            while True:
                self._validate_if_due(signals)
                self._seconds = before + time.monotonic() - began
                if signals.received is not None:
                    raise self._stopped(signals.received)
                if self._step == settings.steps:
                    break
                if self._checkpoint_is_due():
                    self._save()
                self._one_step(next(batches))
                done(self._step, settings.steps)
            self._save_last()

    def _checkpoint_is_due(self) -> bool:
        if self._saved == self._step:
            return False
        every, minutes = self._settings.checkpoint_every, self._settings.checkpoint_minutes
        waited = time.monotonic() - self._saved_at
        return bool(every and self._step % every == 0) or bool(minutes and waited >= 60 * minutes)

    def _save_last(self) -> None:
        """Keeps the finished state, from which more steps continue. A full disk mustn't cost the model itself."""
        if self._saved == self._step or not self._settings.keep_checkpoint:
            return
        try:
            self._save()
        except TamizError as error:
            _LOG.warning("the last checkpoint isn't kept, so more steps can't continue this training: %s", error)

    def _stopped(self, number: int) -> Stopped:
        """Saves the state; returns the error that says so."""
        if self._step == 0:
            return Stopped("stopped before the first step; the same command begins again", number)
        if self._saved != self._step:
            self._save()
        return Stopped(
            f"stopped; kept: step {self._step:,} of {self._settings.steps:,}; the same command continues", number
        )

    def _one_step(self, batch: Batch) -> None:
        settings, step = self._settings, self._step + 1
        rate = learning_rate(step, settings)
        loss = self.steps.train(batch, rate)
        self._step = step
        self._history.loss(step, loss, rate)
        self._progress.step(step, loss, rate, self._tokens_per_step())

    def _validate_if_due(self, signals: StopSignals) -> None:
        """Records the validation loss of this step, if it has one, unless a signal comes first."""
        step, data = self._step, self._validation
        if data is None or not self._history.validates(step) or self._history.is_validated(step):
            return
        loss = self.steps.validate(self._validation_batches(data, signals))
        if signals.received is None:
            self._history.validation(step, loss)
            self._report(f"step {step:,}: validation loss {loss:.4f}")

    def _validation_batches(self, data: ShardDataset, signals: StopSignals) -> Iterator[Batch]:
        """Yields the same rows in every call, each of them once; ends early at a signal."""
        for step in range(min(self._settings.validation_batches, data.steps_per_epoch)):
            if signals.received is not None:
                return
            yield data.batch(0, step)

    def _tokens_per_step(self) -> int:
        """Number of ids that the model reads in a step, including those of a decoder."""
        return self._settings.batch_size * self._family.ids_per_row(self._inputs.facts)

    def cut_vocabulary(self) -> None:
        """Leaves the rows of the vocabulary that the finished model has."""
        if self._settings.pad_vocabulary_to > 1:
            set_rows(self.steps.model, self._family.vocab_size)

    def metrics(self) -> Metrics:
        """The content of metrics.json. Losses are in nats per target id; `tokens` includes the ids of a decoder."""
        validation = self._history.validation_losses()
        return {
            "initial_validation_loss": validation[0] if validation else None,
            "validation_loss": validation[-1] if validation else None,
            "target_unigram_entropy_nats": self._inputs.facts.target_unigram_entropy_nats,
            "parameters": self._parameters,
            "steps": self._step,
            "rows": self._step * self._settings.batch_size,
            "tokens": self._step * self._tokens_per_step(),
            "device": torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu",
            "seconds": self._seconds,
            "peak_memory_bytes": peak_memory_bytes(self._device),
            "energy_kwh": self._energy.stop(),
            "energy_seconds": self._seconds - self._resumed_at,
            "history": self._history.points,
        }


def _made_from(inputs: Inputs, model: ModelSettings, settings: TrainSettings) -> dict[str, Any]:
    """A flat dict of everything that decides the model's bytes: a checkpoint must have the same."""
    plain = {f"model.{name}": value for name, value in model.identity().items()}
    plain |= {f"train.{name}": value for name, value in settings.identity().items()}
    if settings.init is not None:
        plain["init"] = warm_start.digest(settings.init)
    return plain | {
        "shards": inputs.fingerprint,
        "tokenizer": inputs.facts.tokenizer_sha256,
    }
