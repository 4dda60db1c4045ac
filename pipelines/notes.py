"""What a pass leaves in `.progress` of its output's home while it runs, in a layout that a store can list.

    notes/00012/NAME.json   the result of a unit that is done, see `pipelines.once`; 1,000 units a folder
    tries/00012/NAME        a unit at work, or one that ended its process, see `pipelines.tries`
    run-1-of-1/             of one run: units.jsonl, the list that its pipeline reads; beats/, of worker processes;
                            failed/, what ended a unit for good; aside/, units that were set aside

A pass after the first has all that in a folder of its own.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

import msgspec

from corpora.documents.item import WorkItem
from corpora.documents.joined import JoinedPart
from corpora.errors import TamizError
from corpora.files import cannot_write
from corpora.home import Home
from corpora.manifest import PROGRESS, read
from corpora.parted import Part

T = TypeVar("T")
Unit = WorkItem | Part | JoinedPart
BlockPlace = tuple[int, int]  # of a block in a list of units: where it begins, and its bytes
GROUP = 1000  # units in a folder of notes
MOST_BLOCKS = 10_000  # so many elements an engine has to hold, however many units there are

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in get_args(Unit)}


@dataclass(frozen=True)
class Desk:
    """The names of the files of one run of a pass. out: the output's address; notes: the folder of a later pass;
    share: (i, n), the part of the units that the run works on. Small, picklable."""

    out: str
    notes: str = ""
    share: tuple[int, int] = (1, 1)

    @property
    def home(self) -> Home:
        return Home.of(self.out)

    @property
    def folder(self) -> str:
        return f"{PROGRESS}/{self.notes}" if self.notes else PROGRESS

    @property
    def run(self) -> str:
        """What only this run writes and reads."""
        return f"{self.folder}/run-{self.share[0]}-of-{self.share[1]}"

    @property
    def _list(self) -> str:
        return f"{self.run}/units.jsonl"

    @property
    def is_open(self) -> bool:
        """Whether the run is at work, as far as is seen here: it writes the list of its units and removes it."""
        return self.home.exists(self._list)

    @property
    def is_over(self) -> bool:
        """Whether the output is finished, so that a worker that an engine still lets work does so for nobody.

        A missing list alone doesn't say so: a network disk may show it late. Nor does a store that doesn't answer.
        """
        try:
            return not self.is_open and read(self.home).finished
        except (TamizError, OSError):
            return False

    def note(self, unit: Unit) -> str:
        return f"{self.group(unit.number // GROUP)}/{unit.name}.json"

    def tries(self, unit: Unit) -> str:
        return f"{self.folder}/tries/{unit.number // GROUP:05d}/{unit.name}"

    def group(self, number: int) -> str:
        return f"{self.folder}/notes/{number:05d}"

    def clear(self) -> None:
        """Removes what an earlier run of the same share left, but neither notes nor tries.

        In a store the list stays until the output is finished: a run of the same work, at the same time, reads it.
        """
        for kind in ("",) if self.home.is_local else ("/beats", "/failed", "/aside"):
            self.home.remove_all(f"{self.run}{kind}")

    def write_units(self, units: Sequence[Unit]) -> str:
        """Writes the list of the units, each in a line; returns its name. The pipeline's graph holds no more than
        that."""
        encode = msgspec.json.Encoder().encode
        name = self._list
        with self.home.writing(name) as written, open(written.path, "wb") as file:
            for unit in units:
                file.write(encode((type(unit).__name__, unit)) + b"\n")
        return name

    def places(self, name: str, most: int = MOST_BLOCKS) -> Iterator[BlockPlace]:
        """Where the blocks of a list begin, at most so many, and their bytes: what an engine holds of them."""
        with self.home.open(name) as file:
            sizes = [len(line) for line in file]
        start = 0
        for block in blocks(sizes, most):
            yield start, sum(block)
            start += sum(block)

    def block(self, place: BlockPlace) -> list[Unit]:
        """The units of a block of the run's list."""
        start, size = place
        with self.home.open(self._list) as file:
            file.seek(start)
            lines = file.read(size).splitlines()
        listed = [msgspec.json.decode(line, type=tuple[str, msgspec.Raw]) for line in lines]
        return [msgspec.json.decode(unit, type=_KINDS[kind]) for kind, unit in listed]

    def fail(self, unit: Unit, kind: str, message: str) -> None:
        """Tells the run that `unit` can't be done."""
        self.home.write_bytes(f"{self.run}/failed/{unit.name}", json.dumps([kind, message]).encode())

    def failure(self) -> tuple[str, str] | None:
        """The kind and the message of the first unit that can't be done, by name."""
        for name in self.names("failed"):
            with contextlib.suppress(FileNotFoundError):
                kind, message = json.loads(self.home.read_bytes(name))
                return kind, message
        return None

    def names(self, kind: str) -> dict[str, int]:
        """Names and sizes of the run's files of a kind: beats, failed, aside."""
        return self.home.entries(f"{self.run}/{kind}")


def blocks(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Items in their order, in at most so many blocks of as many; the last may have fewer. A worker takes the units
    of a block one after the other, so blocks of one unit spread best."""
    size = -(-len(items) // most) or 1
    return (items[start : start + size] for start in range(0, len(items), size))


def write_lightly(home: Home, name: str, data: bytes) -> None:
    """Writes a small file that must outlive processes. On a disk it isn't synced, which costs more than a small unit:
    one that is lost, or empty, after the machine itself went down means that its unit is done again."""
    if not home.is_local:
        home.write_bytes(name, data)
        return
    final = home.folder / name
    temporary = final.with_name(f"{final.name}.tmp-{uuid.uuid4().hex[:12]}")
    try:
        try:
            temporary.write_bytes(data)
        except FileNotFoundError:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
        temporary.replace(final)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise cannot_write(final, error, len(data)) from error
