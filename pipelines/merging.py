"""What a pass leaves for a later step, merged in a fixed tree: one small file per item, then one per range of items.

The items of a small corpus are merged where they are needed. From FEW items on, a pass of its own merges ranges of
items on workers, so that the driver reads at most `corpora.parted.PARTS` files, whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from corpora.errors import TamizError
from corpora.home import Home
from corpora.manifest import PROGRESS, FileRecord
from corpora.parted import Part, parts
from pipelines.once import ItemResult
from pipelines.stage import Pass

FEW = 64
_IN_A_FOLDER = 1000  # files

Merge = Callable[[Iterable[bytes]], bytes]
"""A function of a module, or a partial of one. Merging what was merged, in order, gives the same as merging all."""


@dataclass(frozen=True)
class Left:
    """The files that the items of a pass leave in `<out>/.progress/<name>`, by the items' numbers."""

    out: str
    name: str

    def write(self, number: int, content: bytes) -> FileRecord:
        return self._write(self._of_item(number), content)

    def of_items(self, numbers: Iterable[int]) -> Iterator[bytes]:
        return (self._read(self._of_item(number)) for number in numbers)

    def write_merged(self, part: Part, content: bytes) -> FileRecord:
        return self._write(self._of_part(part), content)

    def of_parts(self, items: int) -> Iterator[bytes]:
        return (self._read(self._of_part(part)) for part in parts(items))

    def all(self, items: int) -> Iterator[bytes]:
        """What is left of all items, in order: merged by `merge_passes`, if there are many."""
        return self.of_items(range(items)) if items <= FEW else self.of_parts(items)

    def _of_item(self, number: int) -> str:
        return f"{PROGRESS}/{self.name}/{number // _IN_A_FOLDER:03d}/{number:06d}"

    def _of_part(self, part: Part) -> str:
        return f"{PROGRESS}/{self.name}/{part.name}"

    def _read(self, name: str) -> bytes:
        home = Home.of(self.out)
        try:
            return home.read_bytes(name)
        except FileNotFoundError:
            raise TamizError(f"{home.at(name)} is missing: every worker must have access to {home}") from None

    def _write(self, name: str, content: bytes) -> FileRecord:
        with Home.of(self.out).writing(name) as file:
            file.path.write_bytes(content)
        return file.record()


@dataclass(frozen=True)
class MergeWork:
    """Merges what a range of items left, in order. Memory: as `merge` takes, which reads one file after the other."""

    out: str
    fingerprint: str
    left: Left
    items: int
    merge: Merge

    def __call__(self, part: Part) -> ItemResult:
        numbers = range(part.number * self.items // part.of, (part.number + 1) * self.items // part.of)
        written = self.left.write_merged(part, self.merge(self.left.of_items(numbers)))
        return ItemResult(name=part.name, number=part.number, scratch=[written])


def merge_passes(left: Left, fingerprint: str, items: int, merge: Merge, *, looks: bool = False) -> list[Pass]:
    """The pass that merges, where there are more than FEW items. looks: see Pass."""
    if items <= FEW:
        return []
    return [Pass(MergeWork(left.out, fingerprint, left, items, merge), parts(items), looks=looks)]
