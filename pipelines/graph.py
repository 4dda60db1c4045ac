"""The one pipeline of all passes: an address -> the units listed there -> spread -> work, each once."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam

from corpora.errors import TamizError, Unreachable, by_name
from corpora.manifest import PROGRESS
from corpora.stopping import Stopped, working
from pipelines.notes import MOST_BLOCKS, BlockPlace, Desk, Unit
from pipelines.once import ItemResult, ItemWork
from pipelines.settings import STALL_MINUTES
from pipelines.standing import end_process, free_stdout, is_worker, watch
from pipelines.tries import attempt

_MARK = re.compile(r"<<tamiz:(\w+):(.*?)>>", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """A run inside this process. Its units leave their errors here, as Beam's threads print a traceback of what they
    raise, and stop when `stop` is set. standing: what a unit that makes no progress is told of with. units: those
    that no thread has taken yet, in order; None where an engine deals them out."""

    stop: threading.Event
    units: deque[Unit] | None = None
    failures: list[Exception] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)


runs: dict[str, Run] = {}  # by a name of their own; an interrupted run stays, for threads that outlive it
_failed: set[str] = set()  # in a worker process: the runs of which a unit has failed


class UnitFailed(Exception):
    """Carries a TamizError through engines that keep only an exception's text."""


def marked(error: Exception) -> UnitFailed:
    return UnitFailed(f"<<tamiz:{type(error).__name__}:{error}>>")


def unmarked(text: str) -> TamizError | None:
    """The TamizError that an engine's message carries."""
    found = _MARK.search(text)
    return by_name(found[1])(found[2]) if found else None


class WorkOnUnits(beam.PTransform):
    """PCollection[Unit] -> PCollection[ItemResult]: reshuffles descriptors, works on each unit once.

    notes: where the results are recorded, see `pipelines.notes`. run: the name of a run of ours, which learns of
    failures from its desk; without one, what a unit raises is raised.
    """

    def __init__(
        self,
        work: ItemWork,
        desk: Desk | None = None,
        label: str | None = None,
        run: str = "",
        stall: float = 60.0 * STALL_MINUTES,
    ) -> None:
        super().__init__(label)
        self._worker, self._run = _WorkOnUnit(work, desk or Desk(str(work.out)), run, stall), run
        self._label = type(work).__name__

    def expand(self, units: Any) -> Any:
        return units | "Spread" >> beam.Reshuffle() | self._label >> beam.ParDo(self._worker)

    def on_blocks(self, places: Any, desk: Desk) -> Any:
        """PCollection of places of blocks in the desk's list -> PCollection[ItemResult]: a block goes to one worker.

        An engine copies what it shuffles a dozen times (FnApiRunner, measured), so it gets no more than two numbers.
        """
        units = places | "Spread" >> beam.Reshuffle() | "Units" >> beam.FlatMap(_blocks, desk, self._run)
        return units | self._label >> beam.ParDo(self._worker)


def work_on_list(pipeline: Any, name: str, worker: WorkOnUnits, desk: Desk, most: int = MOST_BLOCKS) -> None:
    """Adds the work on the units that are listed under a name of the desk's home: the graph holds but the name. most:
    the number of elements that the engine may hold."""
    places = pipeline | "List" >> beam.Create([name]) | "Blocks" >> beam.FlatMap(desk.places, most)
    worker.on_blocks(places, desk)


def _blocks(place: BlockPlace, desk: Desk, run: str) -> Iterator[Unit]:
    """The units of a block. In the run's own process, a thread takes one unit after the other, whatever it was
    given: FnApiRunner deals the elements out before the first begins, so one thread would wait for another."""
    here = runs.get(run)
    if here is None or here.units is None:
        yield from _block(place, desk)
        return
    while True:
        try:
            unit = here.units.popleft()
        except IndexError:
            return
        yield unit


def _block(place: BlockPlace, desk: Desk) -> list[Unit]:
    try:
        return desk.block(place)
    except FileNotFoundError as error:
        if desk.is_over:  # another run of the same work has finished it
            return []
        raise marked(error) from error
    except (TamizError, OSError) as error:
        raise marked(error) from error


class _WorkOnUnit(beam.DoFn):
    def __init__(self, work: ItemWork, desk: Desk, run: str, stall: float) -> None:
        super().__init__()
        self._work, self._desk, self._run, self._stall = work, desk, run, stall

    def setup(self) -> None:
        free_stdout()

    def process(self, unit: Unit) -> Iterator[ItemResult]:
        run = runs.get(self._run)
        if run is not None:
            yield from self._here(run, unit)
        elif self._run not in _failed:
            yield from self._elsewhere(unit)

    def _here(self, run: Run, unit: Unit) -> Iterator[ItemResult]:
        """In the process of the run: what is raised is left there, and the other units stop."""
        if run.failures or run.stop.is_set():
            return
        try:
            with watch.over(unit.path, self._stall, run.standing.append) as alive, working(run.stop, alive):
                result = attempt(self._work, unit, self._desk, self._stall, alive)
        except Stopped:
            return
        except (TamizError, OSError) as error:
            run.failures.append(error)
            return
        yield result

    def _elsewhere(self, unit: Unit) -> Iterator[ItemResult]:
        """In a process of Beam. What will fail again is told to the run, if there is one of ours, not to the engine,
        which would try it again. A worker that comes, or ends, after its run leaves nothing."""
        if self._run and self._desk.is_over:
            return
        stands, desk = (end_process, self._desk) if is_worker() else (_say, None)
        try:
            with watch.over(unit.path, self._stall, stands, desk) as alive, working(threading.Event(), alive):
                result = attempt(self._work, unit, self._desk, self._stall, alive)
        except (Unreachable, OSError) as error:
            raise marked(error) from error
        except TamizError as error:
            if not self._run:
                raise marked(error) from error
            _failed.add(self._run)
            self._desk.fail(unit, type(error).__name__, str(error))
            return
        finally:
            if self._run and self._desk.is_over:
                self._desk.home.remove_all(PROGRESS)
        yield result


def _say(said: str) -> None:
    import logging

    logging.getLogger(__name__).warning("%s", said)
