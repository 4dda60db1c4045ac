"""Optimizers as their papers and first programs write them, one number at a time: slow, for comparison."""

from __future__ import annotations

import math
from typing import Any

Matrix = list[list[float]]


class AdamWScaleTwin:
    """nanoT5's AdamWScale for one parameter, a matrix of Python floats."""

    def __init__(self, weights: Matrix, *, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
        self.weights = [list(row) for row in weights]
        self._betas, self._eps, self._decay, self._step = betas, eps, weight_decay, 0
        self._means = [[0.0] * len(row) for row in weights]
        self._squares = [[0.0] * len(row) for row in weights]

    def step(self, gradient: Matrix, rate: float) -> None:
        """One update."""
        self._step += 1
        beta1, beta2 = self._betas
        size = rate * math.sqrt(1 - beta2**self._step) / (1 - beta1**self._step)
        size *= max(1e-3, rms(self.weights))
        for i, row in enumerate(gradient):
            for j, g in enumerate(row):
                self._means[i][j] = beta1 * self._means[i][j] + (1 - beta1) * g
                self._squares[i][j] = beta2 * self._squares[i][j] + (1 - beta2) * g * g
                self.weights[i][j] -= size * self._means[i][j] / (math.sqrt(self._squares[i][j]) + self._eps)
                self.weights[i][j] -= rate * self._decay * self.weights[i][j]


class AdafactorTwin:
    """Adafactor without momentum for one factored matrix of Python floats. arXiv:1804.04235, Algorithms 4 and 5."""

    def __init__(self, weights: Matrix, *, weight_decay: float = 0.0) -> None:
        self.weights = [list(row) for row in weights]
        self._decay, self._step = weight_decay, 0
        self._rows: list[float] = [0.0] * len(weights)
        self._columns: list[float] = [0.0] * len(weights[0])

    def step(self, gradient: Matrix, rate: float) -> None:
        """One update."""
        self._step += 1
        beta = 1 - self._step**-0.8
        squares = [[g * g + 1e-30 for g in row] for row in gradient]
        for i, row in enumerate(squares):
            self._rows[i] = beta * self._rows[i] + (1 - beta) * sum(row) / len(row)
        for j in range(len(self._columns)):
            column = [row[j] for row in squares]
            self._columns[j] = beta * self._columns[j] + (1 - beta) * sum(column) / len(column)
        mean = sum(self._rows) / len(self._rows)
        update = [
            [g / math.sqrt(self._rows[i] * self._columns[j] / mean) for j, g in enumerate(row)]
            for i, row in enumerate(gradient)
        ]
        clipped, size = max(1.0, rms(update)), rate * max(1e-3, rms(self.weights))
        for i, row in enumerate(update):
            for j, value in enumerate(row):
                self.weights[i][j] -= size * (value / clipped + self._decay * self.weights[i][j])


def rms(values: Matrix) -> float:
    """The root mean square of all numbers."""
    flat = [value for row in values for value in row]
    return math.sqrt(sum(value * value for value in flat) / len(flat))


def matrix(tensor: Any) -> Matrix:
    """The values of a torch matrix."""
    return [[float(value) for value in row] for row in tensor]
