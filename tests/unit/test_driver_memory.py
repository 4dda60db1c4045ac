"""What the process that drives a run holds doesn't grow with what single items leave."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence

import msgspec

from pipelines.evaluate import summed
from pipelines.once import ItemResult
from pipelines.sample_facts import null_in_the_first_part
from tokenizer_train.evaluation.tally import Tally

ITEMS = 200
BYTES = 40_000  # that an item's facts hold


class Made(Sequence[ItemResult]):
    """Results that are made when they are asked for, as those of a run are read."""

    def __init__(self, make: Callable[[int], ItemResult]) -> None:
        self._make = make

    def __len__(self) -> int:
        return ITEMS

    def __getitem__(self, index):
        return self._make(range(ITEMS)[index])

    def __iter__(self) -> Iterator[ItemResult]:
        return map(self._make, range(ITEMS))


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_tallies_are_summed_one_item_after_the_other():
    def made(number: int) -> ItemResult:
        tally = Tally(documents=1, used=bytes(BYTES - 1) + bytes([1 << number % 8]))
        return ItemResult(name="a", number=number, facts={"tallies": [[0, "es", "a", msgspec.to_builtins(tally)]]})

    total = summed(Made(made))
    assert total == {(0, "es", "a"): Tally(documents=ITEMS, used=bytes(BYTES - 1) + b"\xff")}
    assert peak(lambda: summed(Made(made))) < 20 * BYTES


def test_what_parts_hold_is_looked_at_one_item_after_the_other():
    def made(number: int) -> ItemResult:
        given = ["url"] if number else []
        return ItemResult(name="a", number=number, kept=1, facts={"given": given, "more": "x" * BYTES + str(number)})

    assert null_in_the_first_part(Made(made)) == ["url"]
    assert peak(lambda: null_in_the_first_part(Made(made))) < 20 * BYTES
