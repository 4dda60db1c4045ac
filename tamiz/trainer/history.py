"""The losses of a training, at the steps where they are recorded."""

from __future__ import annotations

from collections.abc import Callable

from tamiz.trainer.settings import TrainSettings

POINTS = 400  # maximum number of training losses, for the curve
Point = dict[str, float]


class History:
    """Points with `step` and either `loss` and `learning_rate` or `validation_loss`, in the order of steps. With an
    optimizer that scales rates by the size of the weights, `step_size` is the mean of those in effect."""

    def __init__(self, settings: TrainSettings) -> None:
        self.points: list[Point] = []
        self._steps, self._validate_every = settings.steps, settings.validate_every
        self._every = -(-settings.steps // POINTS)

    def resume(self, points: list[Point]) -> None:
        """Takes over the points of an interrupted run. If that had another number of steps, only those that this run
        would have recorded."""
        self.points = [
            point
            for point in points
            if (self.validates if "validation_loss" in point else self._records)(int(point["step"]))
        ]

    def loss(self, step: int, loss: float, rate: float, step_size: Callable[[], float | None] = lambda: None) -> None:
        """step_size: the rate in effect, which is only asked for where it is recorded; None if it is `rate`."""
        if self._records(step):
            self.points.append({"step": step, "loss": loss, "learning_rate": rate})
            if (size := step_size()) is not None:
                self.points[-1]["step_size"] = size

    def validation(self, step: int, losses: Point) -> None:
        """losses: `validation_loss`, and what else is known of it."""
        self.points.append({"step": step, **losses})

    def validates(self, step: int) -> bool:
        """Whether a run validates after this step: before the first, every validate_every, after the last."""
        return step in (0, self._steps) or bool(self._validate_every and step % self._validate_every == 0)

    def is_validated(self, step: int) -> bool:
        return any(point["step"] == step and "validation_loss" in point for point in self.points[-2:])

    def validation_losses(self) -> list[float]:
        return [point["validation_loss"] for point in self.points if "validation_loss" in point]

    def _records(self, step: int) -> bool:
        return step % self._every == 0 or step in (1, self._steps)
