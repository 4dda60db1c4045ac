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
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import torch

from corpora import files
from corpora.errors import TamizError
from corpora.randomness import digest
from tamiz.trainer import checkpoint, state
from tamiz.trainer.before import plan_lines, threads_line
from tamiz.trainer.dataset import Batch, ShardDataset
from tamiz.trainer.device import choose_device, micro_batch_rows, peak_memory_bytes, repeatable, uses_bfloat16
from tamiz.trainer.energy import EnergyMeter
from tamiz.trainer.export import export
from tamiz.trainer.families.base import ModelSettings, num_parameters
from tamiz.trainer.history import History
from tamiz.trainer.inputs import Inputs, check_inputs
from tamiz.trainer.parallel import parallel
from tamiz.trainer.progress import Progress
from tamiz.trainer.ranks import Ranks, check_ranks, current
from tamiz.trainer.schedule import learning_rate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.signals import Stopped, StopSignals
from tamiz.trainer.steps import Steps
from tamiz.trainer.trained import Card, Metrics, Trained

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

    Within `ranks.joined()`, each of the processes calls this with the same arguments, and takes its share of every
    batch. The first one alone reads and writes OUT and says lines.

    Raises BadArgument if shards, tokenizer and model don't belong together, StaleOutput for checkpoints of another
    training, DamagedFile for damaged inputs, TamizError if the loss is no longer finite or the disk is full.
    """
    ranks = current()
    check_ranks(settings.batch_size, ranks.world_size)
    inputs = check_inputs(shards, tokenizer, model, settings.span_corruption)
    if ranks.first:
        files.remove_temporary(out)
    with repeatable(settings):
        run = _Run(inputs, out, model, settings, report if ranks.first else lambda _line: None, ranks)
        run.resume()
        run.to_the_end(done)
        metrics = run.metrics()
        trained = run.trained_model()
        if trained is not None:
            export(trained, Trained(inputs, model, settings, metrics), out, card)
    return metrics


class _Run:
    """The state of one training: model, optimizer, position in the data, random state, losses so far."""

    def __init__(
        self,
        inputs: Inputs,
        out: Path,
        family: ModelSettings,
        settings: TrainSettings,
        report: Report,
        ranks: Ranks,
    ) -> None:
        device = choose_device(settings)
        self._inputs, self._out, self._settings, self._report, self._device = inputs, out, settings, report, device
        self._family, self._ranks = family, ranks
        self._parallel = parallel(settings.parallel, self._new_model(), family, ranks, device)
        micro_rows = micro_batch_rows(settings, device, ranks.world_size)
        bfloat16 = uses_bfloat16(settings, device)
        self.steps = Steps(
            self._parallel.model, family, settings, device, micro_rows=micro_rows, bfloat16=bfloat16,
            pad_id=inputs.facts.pad_id, parallel=self._parallel,
        )  # fmt: skip
        noise = settings.span_corruption
        self._data = ShardDataset(
            inputs.shards, batch_size=settings.batch_size, seed=settings.seed, span_corruption=noise, rank=ranks.rank,
            world_size=ranks.world_size,
        )  # fmt: skip
        self._validation: ShardDataset | None = None
        held_out = inputs.facts.rows.get("validation")
        if held_out:
            rows = min(settings.batch_size, held_out)
            self._validation = ShardDataset(inputs.shards, "validation", batch_size=rows, span_corruption=noise)
        self._made_from = _made_from(inputs, family, settings)
        self._step, self._seconds, self._history = 0, 0.0, History(settings)
        self._saved, self._saved_at = 0, time.monotonic()
        self._progress = Progress(report, settings.steps)
        self._say_plan(micro_rows, bfloat16)

    def _new_model(self) -> Any:
        """A model with its initial weights, on the CPU."""
        facts, seed = self._inputs.facts, self._settings.seed
        return self._family.build(seed=seed, pad_id=facts.pad_id, eos_id=facts.eos_id, bos_id=self._inputs.bos_id)

    def _say_plan(self, micro_rows: int, bfloat16: bool) -> None:
        settings, device, facts = self._settings, self._device, self._inputs.facts
        precision = "bfloat16 autocast" if bfloat16 else "float32"
        parameters, size = num_parameters(self._parallel.model), self._ranks.world_size
        many = (
            "" if size == 1 else f", {settings.batch_size // size} in each of {size} processes ({settings.parallel})"
        )
        self._report(
            f"{parameters:,} parameters on {device} in {precision}; "
            f"{self._data.rows:,} rows, {settings.batch_size} per step{many}, {micro_rows} at a time"
        )
        if not self._ranks.first:
            return
        for line in plan_lines(self._out, parameters, self._family, settings, facts, self._data.steps_per_epoch):
            self._report(line)
        if idle := threads_line(settings, device):
            _LOG.warning("%s", idle)

    def resume(self) -> None:
        """Resumes from the newest checkpoint, if there is one."""
        first = self._ranks.first
        found = self._ranks.together(lambda: checkpoint.load_latest(self._out, self._made_from) if first else None)
        saved = state.told(self._ranks, found)
        if saved is None:
            return
        state.restore(self._parallel, self.steps.optimizer, saved)
        self._data.load_state_dict(saved["data"])
        if self._ranks.alone:
            torch.set_rng_state(saved["random"])
            if self._device.type == "cuda":
                torch.cuda.set_rng_state(saved["random_cuda"])
        self._step, self._seconds = saved["step"], saved["seconds"]
        self._saved = self._step
        self._history.resume(saved["history"])
        self._report(f"continued from step {self._step:,} of {self._settings.steps:,}")

    def _save(self) -> None:
        kept = {
            "made_from": self._made_from,
            **state.whole(self._parallel, self.steps.optimizer),
            "data": self._data.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self._device.type == "cuda" else None,
            "step": self._step,
            "seconds": self._seconds,
            "history": self._history.points,
        }
        self._ranks.together(lambda: checkpoint.save(self._out, self._step, kept) if self._ranks.first else None)
        self._saved, self._saved_at = self._step, time.monotonic()

    def trained_model(self) -> Any:
        """The model on the CPU, in the first process; None in the others."""
        return self._parallel.plain(self._new_model)

    def to_the_end(self, done: Callable[[int, int], None]) -> None:
        """Trains and validates until the last step, or a signal: then raises Stopped."""
        settings, before, began = self._settings, self._seconds, time.monotonic()
        self._energy, self._resumed_at = EnergyMeter(), before
        if self._ranks.first:  # it measures its whole machine
            self._energy.start()
        with StopSignals(self._ranks) as signals, contextlib.closing(iter(self._data)) as batches:
            while True:
                self._validate_if_due(signals)
                self._seconds = before + time.monotonic() - began
                signal, due = self._ranks.most(signals.received or 0, int(self._checkpoint_is_due()))
                if signal:
                    raise self._stopped(signal)
                if self._step == settings.steps:
                    break
                if due:
                    self._save()
                self._one_step(self._ranks.together(lambda: next(batches)))
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
        if not self._ranks.alone:  # then what is random depends on this process's place in the step, and on no past
            torch.manual_seed(digest(settings.seed, "step", step, self._ranks.rank) % 2**63)
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
        if not self._stops(signals):
            self._history.validation(step, loss)
            self._report(f"step {step:,}: validation loss {loss:.4f}")

    def _validation_batches(self, data: ShardDataset, signals: StopSignals) -> Iterator[Batch]:
        """Yields the same rows in every call, each of them once; ends early at a signal."""
        for step in range(min(self._settings.validation_batches, data.steps_per_epoch)):
            if self._stops(signals):
                return
            yield self._ranks.together(partial(data.batch, 0, step))

    def _stops(self, signals: StopSignals) -> bool:
        """Whether any process has received a signal."""
        return self._ranks.most(signals.received or 0) != (0,)

    def _tokens_per_step(self) -> int:
        """Number of ids that the model reads in a step, including those of a decoder."""
        return self._settings.batch_size * self._family.ids_per_row(self._inputs.facts)

    def metrics(self) -> Metrics:
        """The content of metrics.json. Losses are in nats per target id; `tokens` includes the ids of a decoder."""
        validation = self._history.validation_losses()
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
            "history": self._history.points,
        }


def _made_from(inputs: Inputs, model: ModelSettings, settings: TrainSettings) -> dict[str, Any]:
    """A flat dict of everything that decides the model's bytes: a checkpoint must have the same."""
    plain = {f"model.{name}": value for name, value in msgspec.to_builtins(model).items()}
    plain |= {f"train.{name}": value for name, value in settings.identity().items()}
    return plain | {
        "shards": inputs.fingerprint,
        "tokenizer": inputs.facts.tokenizer_sha256,
    }
