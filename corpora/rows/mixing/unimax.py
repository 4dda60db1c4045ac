"""UniMax (Chung et al. 2023, arXiv:2304.09151): all sources equal, but none is read more than max_epochs times."""

from __future__ import annotations

import math
from collections.abc import Mapping

from corpora.errors import BadArgument
from corpora.rows.mixing.base import Available, MixtureSettings, normalised


class UniMaxSettings(MixtureSettings, frozen=True, kw_only=True, tag="unimax"):
    """Even shares, as far as max_epochs allows: what a small source can't fill is shared among the larger ones."""

    def shares(self, available: Mapping[str, Available], rows: int) -> dict[str, float]:
        most = self.max_epochs * sum(source.rows for source in available.values())
        if rows > most:
            raise BadArgument(
                f"the training reads {rows:,} rows, but {self.max_epochs:g} epochs of all sources are {int(most):,}: "
                f"lower train.steps, or set mixture.max_epochs to {_at_least(rows * self.max_epochs / most)}"
            )
        amounts = {name: float(source.amount) for name, source in available.items()}
        costs = {name: source.rows / source.amount for name, source in available.items()}
        return normalised(unimax(amounts, rows, self.max_epochs, costs))


def unimax(
    amounts: Mapping[str, float], budget: float, max_epochs: float, costs: Mapping[str, float] | None = None
) -> dict[str, float]:
    """How much of each source is read: Algorithm 1. The shares are these by their sum.

    amounts: what the sources have. budget: what is read in all. costs: what one unit takes of the budget, if it is in
    another unit (None: 1, as in the paper). Raises BadArgument if max_epochs of all sources don't fill the budget.
    """
    spent = {name: 1.0 if costs is None else costs[name] for name in amounts}
    most = max_epochs * math.fsum(amounts[name] * spent[name] for name in amounts)
    if budget > most * (1 + 1e-9):
        raise BadArgument(f"the budget is {budget:g}, but {max_epochs:g} epochs of all sources are {most:g}")
    left, waiting = float(budget), math.fsum(spent.values())
    taken = {}
    for name in sorted(amounts, key=lambda name: (amounts[name], name)):
        taken[name] = min(left / waiting, max_epochs * amounts[name])
        left -= taken[name] * spent[name]
        waiting -= spent[name]
    return {name: taken[name] for name in amounts}


def _at_least(epochs: float) -> str:
    """Rounded up to a hundredth."""
    return f"{math.ceil(epochs * 100) / 100:g}"
