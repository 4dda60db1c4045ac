"""Job arrays: n independent runs on one output, each with its share of the units; whichever ends last finishes.

A share works on its units of the first pass that isn't complete. Then it looks, alone in the folder, whether all
results of that pass are there: if so it goes on with all further passes and finishes, as a plain run does. A store
has no locks: two shares that end at once may both finish, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpora.errors import ShareDone
from corpora.locks import InUse
from pipelines.notes import Unit


def of_share(units: Sequence[Unit], share: tuple[int, int]) -> list[Unit]:
    """Every n-th unit: neighbours, which are alike, go to different shares."""
    return [unit for unit in units if unit.number % share[1] == share[0] - 1]


def others_missing(share: tuple[int, int], units: Sequence[Unit], missing: Sequence[Unit]) -> ShareDone:
    first, number = missing[0], missing[0].number % share[1] + 1
    return ShareDone(
        f"share {share[0]}/{share[1]} is done; {len(missing):,} of {len(units):,} units have no result yet, the "
        f"first is {first.name} of share {number}/{share[1]}: the share that ends last finishes, or the same command "
        "without --share"
    )


def others_at_work(share: tuple[int, int], why: InUse) -> ShareDone:
    return ShareDone(f"share {share[0]}/{share[1]} is done; the share that ends last finishes ({why.fact})")
