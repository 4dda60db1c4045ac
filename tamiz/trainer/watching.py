"""What people watch while a model trains: lines of its progress, and curves for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tamiz.console import line_width
from tamiz.trainer.dataset import ShardDataset
from tamiz.trainer.energy_meter import EnergyMeter
from tamiz.trainer.families.base import ModelSettings
from tamiz.trainer.history import Point
from tamiz.trainer.inputs import Inputs
from tamiz.trainer.mixing import read_shares
from tamiz.trainer.progress import Due, Progress, Shown
from tamiz.trainer.ranks import Ranks
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps
from tamiz.trainer.tensorboard import Curves
from tamiz.trainer.utilisation import Utilisation


class Watching:
    """Reports each step and validation. In all processes but the first, nothing is seen of it."""

    def __init__(
        self,
        inputs: Inputs,
        out: Path,
        family: ModelSettings,
        settings: TrainSettings,
        ranks: Ranks,
        report: Callable[[str], None],
    ) -> None:
        self._inputs, self._family, self._settings, self._ranks = inputs, family, settings, ranks
        self._progress = Progress(report, settings.steps, width=line_width())
        self._curves = Curves(out, writes=settings.tensorboard and ranks.first)
        self.flush, self.close = self._curves.flush, self._curves.close

    def begin(self, step: int, data: ShardDataset, steps: Steps, energy: EnergyMeter, device: torch.device) -> None:
        """Call before the first step of this process, with the number of the last one before."""
        self._data, self._steps, self._energy = data, steps, energy
        self._utilisation = Utilisation(
            self._family, self._inputs.facts, device, bfloat16=steps.bfloat16, processes=self._ranks.world_size
        )
        self._curves.begin(step)

    def step(self, step: int, loss: float, rate: float, tokens: int) -> None:
        shown = self._progress.step(step, loss, rate, tokens, self._steps.step_size, self._due(step))
        if self._curves.writes:
            points = {"loss": loss, "learning_rate": rate, "gradient_norm": self._steps.norm}
            self._curves.add(step, points | ({} if shown is None else self._measured(step, shown)))

    def validation(self, step: int, losses: Point) -> None:
        self._curves.add(step, losses)

    def _measured(self, step: int, shown: Shown) -> dict[str, float | None]:
        """What takes a while to find out, so that only steps that have a line have it."""
        shares = read_shares(self._inputs.shards, self._data, step)
        return {
            "learning_rate_in_effect": shown.rate,
            "tokens_per_second": shown.speed,
            "mfu": self._utilisation.of(shown.speed),
            "energy_kwh": self._energy.read().kwh,
            **{f"share/{name}": share for name, share in shares.items()},
        }

    def _due(self, step: int) -> Due:
        """What comes next: a validation, a checkpoint or the end."""
        settings, validates = self._settings, bool(self._inputs.facts.rows.get("validation", 0))
        every = {"validation": settings.validate_every * validates, "checkpoint": settings.checkpoint_every}
        comes = [Due(name, step + n - step % n) for name, n in every.items() if n]
        return min(comes, key=lambda due: due.step, default=Due("end", settings.steps))
