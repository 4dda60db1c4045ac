"""When a training ends before its last step, and which of its weights are the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from corpora.errors import StaleOutput
from tamiz.trainer.history import Point
from tamiz.trainer.parallel import Parallel
from tamiz.trainer.settings import TrainSettings

Validation = tuple[int, float]  # the step and its loss


def validations(points: Sequence[Point]) -> list[Validation]:
    return [(int(point["step"]), point["validation_loss"]) for point in points if "validation_loss" in point]


def best(found: Sequence[Validation]) -> Validation:
    """The lowest loss, and of equal ones the first. One that is no number is above all others."""
    return min(found, key=lambda one: math.inf if math.isnan(one[1]) else one[1])


def ends_at(found: Sequence[Validation], settings: TrainSettings) -> int | None:
    """The step after whose validation the training ends early; None if it goes on."""
    if not settings.early_stopping:
        return None
    lowest, since = math.inf, 0
    for step, loss in found:
        is_new = loss < lowest - settings.early_stopping_delta
        lowest, since = (loss, 0) if is_new else (lowest, since + 1)
        if since >= settings.early_stopping:
            return step
    return None


def require_unended(points: Sequence[Point], step: int, settings: TrainSettings) -> None:
    """Raises StaleOutput if a checkpoint is of a step that a training with these settings doesn't reach."""
    end = ends_at(validations(points), settings)
    if end is not None and end < step:
        raise StaleOutput(
            f"this training has done {step:,} steps, but with train.early_stopping {settings.early_stopping} it "
            f"would have ended after step {end:,}: raise early_stopping, or pass --rebuild to train anew"
        )


def kept_points(points: Sequence[Point], settings: TrainSettings) -> list[Point]:
    """Those up to the weights that the finished model has."""
    found = validations(points)
    last = best(found)[0] if settings.keep == "best" and found else math.inf
    return [point for point in points if point["step"] <= last]


def validation_metrics(points: Sequence[Point], step: int, settings: TrainSettings) -> dict[str, Any]:
    """For metrics.json. validation_loss: of the finished model, whose weights are those after kept_step."""
    found, kept = validations(points), validations(kept_points(points, settings))
    metrics: dict[str, Any] = {
        "initial_validation_loss": found[0][1] if found else None,
        "validation_loss": kept[-1][1] if kept else None,
    }
    if not found or not (settings.early_stopping or settings.keep == "best"):
        return metrics
    where, loss = best(found)
    return metrics | {
        "best_validation_loss": loss,
        "best_validation_step": where,
        "kept_step": where if settings.keep == "best" else step,
        "ended_early": step < settings.steps,
    }


def ended_line(found: Sequence[Validation], settings: TrainSettings) -> str:
    """Why a training ended early, for people."""
    step, (where, loss) = found[-1][0], best(found)
    delta = settings.early_stopping_delta
    by = f" by more than {delta:g}" if delta else ""
    return (
        f"ended early, after step {step:,} of {settings.steps:,}: {settings.early_stopping:,} "
        f"{'validation' if settings.early_stopping == 1 else 'validations'} in a row didn't lower the loss{by} "
        f"(train.early_stopping); the lowest, {loss:.4f}, was at step {where:,}"
    )


class BestWeights:
    """The weights with the lowest validation loss, in the memory of the first process; nothing unless wanted."""

    def __init__(self, parallel: Parallel, settings: TrainSettings) -> None:
        self._parallel, self._wanted = parallel, settings.keep == "best"
        self._model: dict[str, torch.Tensor] | None = None

    def after(self, found: Sequence[Validation]) -> None:
        """Call after each validation, in all processes: takes the weights if it has the lowest loss."""
        if self._wanted and found and best(found) == found[-1]:
            self._model = _copied(self._parallel.whole_model())

    def state(self) -> dict[str, Any]:
        """For a checkpoint: the same tensors, or nothing."""
        return {"best_model": self._model} if self._wanted else {}

    def resume(self, state: dict[str, Any]) -> None:
        if self._wanted and self._parallel.ranks.first:
            self._model = _copied(state["best_model"])

    def into(self, model: Any) -> Any:
        """Puts the best weights, if they are wanted and known, into a model that may be None."""
        if model is not None and self._model is not None:
            model.load_state_dict(self._model)
        return model


def _copied(model: dict[str, torch.Tensor] | None) -> dict[str, torch.Tensor] | None:
    """On the CPU; tied weights once."""
    if model is None:
        return None
    copies: dict[tuple[int, torch.Size], torch.Tensor] = {}
    for tensor in model.values():
        if _place(tensor) not in copies:
            copies[_place(tensor)] = tensor.detach().to("cpu", copy=True)
    return {name: copies[_place(tensor)] for name, tensor in model.items()}


def _place(tensor: torch.Tensor) -> tuple[int, torch.Size]:
    return tensor.data_ptr(), tensor.shape
