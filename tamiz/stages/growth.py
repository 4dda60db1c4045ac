"""How the cost of some work grows: what is measured twice, at two sizes, tells what a third size costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

STEEPEST = 1.2  # the exponent of sorting a corpus is below that
Point = tuple[float, float]  # size, cost


@dataclass(frozen=True)
class Growth:
    """How a cost grows.

    of         what it grows with: text (bytes of the documents that the stage reads), item (those of one work item),
               flops and parameters (of a training), or a quantity that the stage counts
    law        linear: a fixed part and a rate; power: a straight line on logarithms
    most       the size beyond which it doesn't grow
    shared     whether the cores share the part that grows
    """

    of: str = "text"
    law: Literal["linear", "power"] = "linear"
    most: float = math.inf
    shared: bool = False

    def at(self, size: float, small: Point, large: Point, cores: float = 1) -> float:
        """The cost at a size. small, large: measured."""
        fixed, growing = self.parts(size, small, large)
        return fixed + growing / (cores if self.shared else 1)

    def parts(self, size: float, small: Point, large: Point) -> Point:
        """The fixed part of a cost, and the part that grows, at a size."""
        (x0, y0), (x1, y1) = sorted((min(x, self.most), y) for x, y in (small, large))
        x = min(size, self.most)
        if x1 <= 0:
            return y1, 0.0
        if x0 <= 0 or x0 == x1 or y0 >= y1:  # one size, or noise: the larger one says more
            return 0.0, y1 * x / x1
        if self.law == "power":
            exponent = min(math.log(y1 / y0) / math.log(x1 / x0), STEEPEST) if y0 > 0 else 1.0
            return 0.0, y1 * (x / x1) ** exponent
        rate = min((y1 - y0) / (x1 - x0), y1 / x1)
        return y1 - rate * x1, rate * x


TEXT, ONE_ITEM = Growth(), Growth("item", shared=True)
