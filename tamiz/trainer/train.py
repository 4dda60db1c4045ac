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

import torch

from corpora import files
from corpora.errors import TamizError
from corpora.randomness import digest
from corpora.rows.blend import Blend, opened
from tamiz.trainer import checkpoint, self_test, state
from tamiz.trainer.awaited import Awaited, Taken
from tamiz.trainer.bad_batches import BadBatches, TooManyBad, began_at
from tamiz.trainer.before import machine_line, plan_lines, threads_line
from tamiz.trainer.dataset import Batch, ShardDataset
from tamiz.trainer.device import (
    calm_garbage,
    choose_device,
    gpu_uuids,
    micro_batch_rows,
    peak_memory_bytes,
    repeatable,
    uses_bfloat16,
)
from tamiz.trainer.early_stopping import (
    BestWeights,
    Validation,
    ended_line,
    ends_at,
    kept_points,
    require_unended,
    validation_metrics,
    validations,
)
from tamiz.trainer.energy_meter import EnergyMeter
from tamiz.trainer.export import export
from tamiz.trainer.families.base import TARGETS, ModelSettings
from tamiz.trainer.first_batch import check_first_loss, eos_line
from tamiz.trainer.fitting import Fitted, prepare
from tamiz.trainer.history import History
from tamiz.trainer.inputs import Inputs, check_inputs, require_validation
from tamiz.trainer.made_from import made_from
from tamiz.trainer.mixing import held_out, mixture_metrics, validation_point
from tamiz.trainer.new_model import finished, new_model
from tamiz.trainer.outcome import NotFinite
from tamiz.trainer.parallel import parallel
from tamiz.trainer.ranks import Ranks, check_ranks, current
from tamiz.trainer.schedule import learning_rate
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.signals import Paused, Stopped, StopSignals
from tamiz.trainer.steps import Steps
from tamiz.trainer.trained import Card, Metrics, Trained
from tamiz.trainer.watching import Watching

_LOG = logging.getLogger(__name__)
Report = Callable[[str], None]


def train(
    shards: Path | Blend,
    tokenizer: Path,
    out: Path,
    model: ModelSettings,
    settings: TrainSettings,
    *,
    card: Card | None = None,
    report: Report = print,
    done: Callable[[int, int], None] = lambda _step, _steps: None,
    stop_at: float | None = None,
) -> Metrics:
    """Trains for settings.steps steps, resuming from OUT/checkpoints/ if it has any; returns the metrics.

    On a CPU, equal shards, tokenizer and settings give a byte-identical model.safetensors, interrupted or not. Losses
    are in nats per target id; validation_loss is None if the shards have no validation rows. card: returns the text
    of README.md; None: no README.md. done: called after each step with its number and the number of steps. stop_at:
    on time.monotonic()'s clock; the first step that ends later is saved, and Paused is raised, unless it is the last.

    SIGINT, SIGTERM or SIGHUP: the step ends, the state is saved, and Stopped is raised. A checkpoint of fewer steps
    is continued if the schedule doesn't depend on the number of steps.

    Within `ranks.joined()`, each process calls this with the same arguments; only the first one writes OUT.

    Raises BadArgument if shards, tokenizer and model don't belong together, StaleOutput for checkpoints of another
    training, DamagedFile for damaged inputs, TamizError if more steps in a row than settings.max_skipped_steps aren't
    finite, if the first loss is far above that of a model that knows nothing, or if the disk is full.
    """
    ranks = current()
    check_ranks(settings.batch_size, ranks.world_size)
    inputs = check_inputs(shards, tokenizer, model, settings.span_corruption, settings.init)
    require_validation(settings, inputs.facts)
    if ranks.first:
        files.remove_temporary(out)
    with repeatable(settings):
        said = report if ranks.first else lambda _line: None
        run = _Run(inputs, out, model, settings, said, ranks, stop_at)
        return run.whole(done, card)


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
        stop_at: float | None,
    ) -> None:
        device = choose_device(settings)
        self._inputs, self._out, self._settings, self._report, self._device = inputs, out, settings, report, device
        self._family, self._ranks, self._parameters = family, ranks, family.num_parameters()
        starts = ranks.told((not checkpoint.found(out),))[0]
        built = new_model(inputs, family, settings, warm=starts)
        if starts and settings.init is not None:
            report(f"starts from the weights of {settings.init}")
        self._sample = self_test.sample_of(built) if device.type == "cuda" else None
        self._parallel = parallel(settings.parallel, built, family, ranks, device)
        micro_rows = micro_batch_rows(settings, device, ranks.world_size)
        self.steps = Steps(
            self._parallel.model, family, settings, device, micro_rows=micro_rows, parallel=self._parallel,
            bfloat16=uses_bfloat16(settings, device), pad_id=inputs.facts.pad_id,
        )  # fmt: skip
        self._awaited = Awaited(self._record)
        self._data = _rows(inputs, family, settings, ranks)
        self._held_out = held_out(inputs.shards, settings, with_documents=family.reads_documents)
        self._made_from = made_from(inputs, family, settings)
        self._step, self._began, self._seconds, self._stop_at = 0, 0, 0.0, stop_at
        self._history, self._best = History(settings), BestWeights(self._parallel, settings)
        self._saved, self._saved_at = 0, time.monotonic()
        self._fitted: Fitted | None = None
        self.watching = Watching(inputs, out, family, settings, ranks, report)
        self._energy = EnergyMeter(settings.country, gpu_uuids(device))
        most = settings.max_skipped_steps
        self._bad = BadBatches(out, opened(inputs.shards), settings.seed, most, writes=ranks.first)
        self._say_plan(micro_rows)

    def _say_plan(self, micro_rows: int) -> None:
        settings, device, facts, data = self._settings, self._device, self._inputs.facts, self._data
        self._report(machine_line(self._parameters, device, data.rows, micro_rows, settings, self._ranks.world_size))
        if not self._ranks.first:
            return
        for line in plan_lines(self._out, self._parameters, self._family, settings, facts, data.steps_per_epoch):
            self._report(line)
        if idle := threads_line(settings, device):
            _LOG.warning("%s", idle)

    def whole(self, done: Callable[[int, int], None], card: Card | None) -> Metrics:
        """All of the training that isn't done yet, up to the folder that it writes."""
        self_test.choose(
            self._sample, self._parallel, self._family, self._data, self._inputs.facts.pad_id, self._device,
            bfloat16=self.steps.bfloat16, report=self._report,
        )  # fmt: skip
        self._sample = None
        self.resume()
        if self._step < self._settings.steps:
            first = partial(self._ranks.together, partial(self._data.batch, 0, 0))
            self._fitted = prepare(self.steps, first, self._fitted, self._ranks.world_size, self._report)
        with contextlib.closing(self.watching), calm_garbage(self._device):
            self.to_the_end(done)
        metrics = self.metrics()
        model = self.trained_model()
        if model is not None:
            export(model, Trained(self._inputs, self._family, self._settings, metrics), self._out, card)
        return metrics

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
            state.restore_random(saved, self._device, self._settings.seed)
        self._step, self._seconds = saved["step"], saved["seconds"]
        self._fitted = saved.get("fitted")
        self._saved = self._began = self._step
        self._history.resume(saved["history"])
        require_unended(self._history.points, self._step, self._settings)
        self._best.resume(saved)
        self._energy.resume(saved.get("energy"))
        if "bad_batches" in saved:
            self._bad.load_state_dict(saved["bad_batches"])
        self._report(f"continued from step {self._step:,} of {self._settings.steps:,}")

    def _save(self) -> None:
        self._awaited.read()
        kept = {
            "made_from": self._made_from,
            **state.whole(self._parallel, self.steps.optimizer),
            "data": self._data.state_dict(),
            **state.random_state(self._device),
            "step": self._step,
            "seconds": self._seconds,
            "history": self._history.points,
            "energy": self._energy.read().asdict(),
            "bad_batches": self._bad.state_dict(),
            "fitted": self._fitted,
            **self._best.state(),
        }
        self.watching.flush()
        keep = self._settings.keep_checkpoints
        self._ranks.together(
            lambda: checkpoint.save(self._out, self._step, kept, keep) if self._ranks.first else None
        )
        self._saved, self._saved_at = self._step, time.monotonic()

    def trained_model(self) -> Any:
        """The finished model, in the first process; None in the others."""
        fresh = partial(new_model, self._inputs, self._family, self._settings, warm=False)
        model = self._best.into(self._parallel.plain(fresh))
        return None if model is None else finished(model, self._family, self._settings)

    def to_the_end(self, done: Callable[[int, int], None]) -> None:
        """Trains and validates until the last step, or until it ends early; or until a signal, which raises Stopped,
        or the time for this run is used up, which raises Paused."""
        settings, before, began = self._settings, self._seconds, time.monotonic()
        self._energy.start()
        self.watching.begin(self._step, self._data, self.steps, self._energy, self._device)
        with StopSignals(self._ranks) as signals, contextlib.closing(iter(self._data)) as batches:
            while True:
                self._validate_if_due(signals)
                self._seconds = before + time.monotonic() - began
                signal, late, due = self._ranks.most(*self._stops(signals), int(self._checkpoint_is_due()))
                if signal:
                    raise self._stopped(signal)
                if self._step == settings.steps or ends_at(self._validations(), settings) is not None:
                    break
                if late:
                    raise self._paused()
                if due:
                    self._save()
                self._one_step(self._ranks.together(lambda: next(batches)))
                done(self._step, settings.steps)
            self._awaited.read()
            if self._step < settings.steps:
                self._report(ended_line(self._validations(), settings))
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

    def _paused(self) -> Paused:
        """Saves the state; returns what says so."""
        if self._saved != self._step:
            self._save()
        return Paused(
            f"this run's time is over; kept: step {self._step:,} of {self._settings.steps:,}; the same command "
            "continues"
        )

    def _is_late(self) -> bool:
        """Whether the time for this run is used up; not before its first step, so that each run gets on."""
        at = self._stop_at
        return at is not None and time.monotonic() >= at and self._began < self._step < self._settings.steps

    def _one_step(self, batch: Batch) -> None:
        settings, step = self._settings, self._step + 1
        rate = learning_rate(step, settings)
        if not self._ranks.alone:  # then what is random depends on this process's place in the step, and on no past
            torch.manual_seed(digest(settings.seed, "step", step, self._ranks.rank) % 2**63)
        if step == 1:
            whole = self._ranks.whole_rows(batch)
            targets = self._family.prepare(whole, self._inputs.facts.pad_id)[TARGETS]
            self._report(eos_line(targets, self._inputs.facts.eos_id))
        outcome = self.steps.start(batch, rate)
        place = began_at(self._data.state_dict(), settings.batch_size, self._data.steps_per_epoch)
        self._step = step
        self._awaited.add(Taken(step, batch, place, rate, outcome), late=self.steps.late)

    def _record(self, done: Taken) -> None:
        """Records a step whose outcome can be known."""
        try:
            loss = self.steps.read(done.outcome)
        except NotFinite as error:
            self._skip(done, error)
            return
        if done.step == 1 and self._settings.init is None:
            self._report(check_first_loss(loss, self._family.vocab_size))
        self._bad.good()
        self._history.loss(done.step, loss, done.rate, self.steps.step_size)
        self.watching.step(done.step, loss, done.rate, self._tokens_per_step())

    def _skip(self, done: Taken, error: NotFinite) -> None:
        """Counts a step without an update; too many in a row end the training, after its state is saved."""
        whole = self._ranks.whole_rows(done.batch)
        message = self._ranks.together(lambda: self._bad.skip(done.step, whole, done.place, error))
        if message is not None:
            self._save()
            raise TooManyBad(message)

    def _validate_if_due(self, signals: StopSignals) -> None:
        """Records the validation loss of this step, if it has one, unless a signal comes first."""
        step, held = self._step, self._held_out
        if not held or not self._history.validates(step) or self._history.is_validated(step):
            return
        self._awaited.read()
        losses = [self.steps.validate(self._validation_batches(one.data, signals)) for one in held]
        if not self._is_stopped(signals):
            point = validation_point(held, losses)
            self._history.validation(step, point)
            self._best.after(self._validations())
            self.watching.validation(step, point)
            each = [f"{one.name} {loss:.4f}" for one, loss in zip(held, losses, strict=True) if one.name]
            more = f" ({', '.join(each)})" if each else ""
            self._report(f"step {step:,}: validation loss {point['validation_loss']:.4f}{more}")

    def _validation_batches(self, data: ShardDataset, signals: StopSignals) -> Iterator[Batch]:
        """Yields the same rows in every call, each of them once; ends early at a signal."""
        for step in range(min(self._settings.validation_batches, data.steps_per_epoch)):
            if self._is_stopped(signals):
                return
            yield self._ranks.together(partial(data.batch, 0, step))

    def _validations(self) -> list[Validation]:
        return validations(self._history.points)

    def _stops(self, signals: StopSignals) -> tuple[int, int]:
        """What stops this process: a signal, and whether its time is used up."""
        return signals.received or 0, int(self._is_late())

    def _is_stopped(self, signals: StopSignals) -> bool:
        """Whether anything stops any process."""
        return any(self._ranks.most(*self._stops(signals)))

    def _tokens_per_step(self) -> int:
        """Number of ids that the model reads in a step, including those of a decoder."""
        return self._settings.batch_size * self._family.ids_per_row(self._inputs.facts)

    def metrics(self) -> Metrics:
        """The content of metrics.json. Losses are in nats per target id; `tokens` includes the ids of a decoder."""
        return {
            **validation_metrics(self._history.points, self._step, self._settings),
            "target_unigram_entropy_nats": self._inputs.facts.target_unigram_entropy_nats,
            "parameters": self._parameters,
            "steps": self._step,
            "rows": self._step * self._settings.batch_size,
            "tokens": self._step * self._tokens_per_step(),
            "device": torch.cuda.get_device_name() if self._device.type == "cuda" else "cpu",
            "seconds": self._seconds,
            "peak_memory_bytes": peak_memory_bytes(self._device),
            "skipped_steps": self._bad.steps,
            **self._energy.stop().facts(self._step * self._tokens_per_step()),
            "country": self._settings.country,
            "history": self._history.points,
            **mixture_metrics(
                self._inputs.shards, self._data, self._step, kept_points(self._history.points, self._settings)
            ),
        }


def _rows(inputs: Inputs, family: ModelSettings, settings: TrainSettings, ranks: Ranks) -> ShardDataset:
    """The batches that this process trains on."""
    return ShardDataset(
        inputs.shards, batch_size=settings.batch_size, rank=ranks.rank, world_size=ranks.world_size,
        seed=settings.seed, span_corruption=settings.span_corruption, with_documents=family.reads_documents,
    )  # fmt: skip
