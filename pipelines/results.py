"""The results of a pass, read from its notes: in the order of the units, a thousand in memory at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import IO, overload

import msgspec

from corpora.home import Home
from pipelines.notes import GROUP, Unit
from pipelines.once import ItemResult, ItemWork, read_note

_READERS = 16  # threads that read notes from a store


class Results(Sequence[ItemResult]):
    """A sequence kept in a temporary file, 1,000 results a block."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the results)
        self._blocks: list[tuple[int, int]] = []
        self._length = 0
        self._cached: tuple[int, list[ItemResult]] = -1, []

    def add(self, results: Sequence[ItemResult]) -> None:
        """Adds a block: GROUP results, fewer in the last one."""
        data = msgspec.msgpack.encode(list(results))
        self._blocks.append((self._file.seek(0, 2), len(data)))
        self._file.write(data)
        self._length += len(results)

    def _block(self, number: int) -> list[ItemResult]:
        if self._cached[0] != number:
            start, length = self._blocks[number]
            self._file.seek(start)
            self._cached = number, msgspec.msgpack.decode(self._file.read(length), type=list[ItemResult])
        return self._cached[1]

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[ItemResult]:
        for number in range(len(self._blocks)):
            yield from self._block(number)

    @overload
    def __getitem__(self, index: int) -> ItemResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[ItemResult]: ...
    def __getitem__(self, index: int | slice) -> ItemResult | list[ItemResult]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self._length))]
        place = range(self._length)[index]
        return self._block(place // GROUP)[place % GROUP]


def collect(work: ItemWork, units: Sequence[Unit], notes: str = "") -> tuple[Results, list[Unit]]:
    """The recorded results in the order of the units, and the units that have none."""
    results, missing, remaining = Results(), list[Unit](), iter(units)
    with ThreadPoolExecutor(_READERS) as pool:
        while block := list(islice(remaining, GROUP)):
            local = Home.of(work.out).is_local
            read = map if local else pool.map
            found = list(read(lambda unit: read_note(work, unit, notes), block))
            missing += [unit for unit, result in zip(block, found, strict=True) if result is None]
            results.add([result for result in found if result is not None])
    return results, missing
