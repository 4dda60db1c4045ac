"""Runs a pass over its units on a Beam runner, and raises the workers' errors unchanged."""

from __future__ import annotations

import argparse
import difflib
import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from corpora.documents.item import WorkItem
from corpora.documents.joined import JoinedPart
from corpora.errors import BadArgument, DamagedFile, StaleOutput, TamizError, in_a_line
from corpora.home import Home
from corpora.stopping import Stopped, interruptible, working
from pipelines.once import ItemResult, ItemWork, Unit, collect, note_name, notes_folder, once
from pipelines.settings import RunnerSettings

Progress = Callable[[int, int], None]  # bytes done, total bytes

_MARK = re.compile(r"<<tamiz:(\w+):(.*?)>>", re.DOTALL)
_ERRORS = {e.__name__: e for e in (TamizError, BadArgument, DamagedFile, StaleOutput)}


@dataclass(frozen=True)
class _Run:
    """A run inside this process. Its units leave their errors here, as Beam's threads print a traceback of what they
    raise, and stop when `stop` is set."""

    stop: threading.Event
    failures: list[TamizError] = field(default_factory=list)


_runs: dict[str, _Run] = {}  # by a name of their own; an interrupted run stays, for threads that outlive it


class _UnitFailed(Exception):
    """Carries a TamizError through engines that keep only an exception's text."""


class WorkOnUnits(beam.PTransform):
    """PCollection[Unit] -> PCollection[ItemResult]: reshuffles descriptors, works on each unit once.

    notes: where the results are recorded, see `pipelines.once`. run: the name of the run, if it is in this process.
    """

    def __init__(self, work: ItemWork, notes: str = "", label: str | None = None, run: str = "") -> None:
        super().__init__(label)
        self._work, self._notes, self._run = work, notes, run

    def expand(self, units: Any) -> Any:
        label = type(self._work).__name__
        return (
            units
            | "Spread" >> beam.Reshuffle()
            | label >> beam.ParDo(_WorkOnUnit(self._work, self._notes, self._run))
        )


class _WorkOnUnit(beam.DoFn):
    def __init__(self, work: ItemWork, notes: str, run: str) -> None:
        super().__init__()
        self._work, self._notes, self._run = work, notes, run

    def process(self, unit: Unit) -> Iterator[ItemResult]:
        run = _runs.get(self._run)
        try:
            if run is None:  # in another process
                yield once(self._work, unit, self._notes)
            elif not (run.failures or run.stop.is_set()):
                with working(run.stop):
                    result = once(self._work, unit, self._notes)
                yield result
        except Stopped:
            return
        except TamizError as error:
            if run is None:
                raise _UnitFailed(f"<<tamiz:{type(error).__name__}:{error}>>") from error
            run.failures.append(error)


def run_units(
    work: ItemWork,
    units: Sequence[Unit],
    settings: RunnerSettings,
    progress: Progress | None = None,
    notes: str = "",
) -> list[ItemResult]:
    """Works on every unit; returns the results in the order of the units. progress: bytes done, total bytes.

    Raises the TamizError that a unit raised, even if the runner wrapped it; KeyboardInterrupt after ^C, even if the
    runner lost it.
    """
    if not logging.getLogger("pipelines").isEnabledFor(logging.DEBUG):  # --debug shows Beam's own messages
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # we raise each error once, as our own
    runner, options = _runner(settings)
    name = uuid.uuid4().hex
    with interruptible() as stop:
        run = _runs[name] = _Run(stop)
        try:
            with (
                _watched(notes_folder(work.out, notes), units, progress),
                beam.Pipeline(runner=runner, options=options) as pipeline,
            ):
                _ = pipeline | "Units" >> beam.Create(list(units)) | WorkOnUnits(work, notes, run=name)
        except Exception as error:
            raise _translated(error, settings) from error
    del _runs[name]
    if run.failures:
        raise run.failures[0]
    return collect(work, units, notes)


def _runner(settings: RunnerSettings) -> tuple[Any, PipelineOptions]:
    flags = list(settings.beam_flags)
    if settings.runner != "FnApiRunner":
        return settings.runner, PipelineOptions(flags)
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    if settings.workers > 1:
        flags += ["--direct_running_mode=multi_threading", f"--direct_num_workers={settings.workers}"]
    return FnApiRunner(), PipelineOptions(flags)


def _translated(error: Exception, settings: RunnerSettings) -> Exception:
    found = _MARK.search(str(error))
    if found:
        return _ERRORS.get(found[1], TamizError)(found[2])
    if isinstance(error, _UnitFailed | MemoryError):
        return error
    said = f"{type(error).__name__}: {in_a_line(error)}"
    return TamizError(f"the runner {settings.runner} failed: {said} (--debug shows all)")


def size_of(unit: Unit) -> int:
    """The weight of a unit in the progress: its bytes, or almost nothing for a part or a few row groups."""
    if isinstance(unit, JoinedPart):
        return max(unit.bytes, 1)
    return max(unit.end - unit.start, 1) if isinstance(unit, WorkItem) else 1


@contextmanager
def _watched(notes: Home, units: Sequence[Unit], progress: Progress | None) -> Iterator[None]:
    """Reports twice a second the sizes of the units whose results are recorded."""
    if progress is None:
        yield
        return
    sizes = {note_name(unit): size_of(unit) for unit in units}
    total, stop = sum(sizes.values()), threading.Event()

    def done() -> int:
        return sum(sizes.get(name, 0) for name in notes.entries())

    def watch() -> None:
        while not stop.wait(0.5):
            progress(done(), total)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
        progress(total, total)
    finally:
        stop.set()
        thread.join()


def check_runner(name: str) -> None:
    """Raises BadArgument for a runner that Beam can't create."""
    if name == "FnApiRunner":
        return
    from apache_beam.runners.runner import create_runner

    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise BadArgument(f"--runner {name}: {in_a_line(error)}") from None


def check_beam_flags(flags: Sequence[str], own: Sequence[str] = ()) -> tuple[str, ...]:
    """Returns the flags if each of them is declared by some PipelineOptions class.

    Raises BadArgument for any other flag, naming the closest option: first of the command (`own`), then of Beam.
    """
    known = _known_flags()
    for flag in flags:
        name = flag.split("=", 1)[0]
        if name.startswith("-") and name not in known:
            near = difflib.get_close_matches(name, own, 1, 0.8) or difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadArgument(f"no such option: {name}{hint} (neither tamiz nor Beam knows it)")
    if flags and not flags[0].startswith("-"):
        hint = f": each setting needs an option before it, such as --set {flags[0]}" if "=" in flags[0] else ""
        raise BadArgument(f"unexpected argument {flags[0]!r}{hint}")
    return tuple(flags)


def _known_flags() -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve", allow_abbrev=False)
    pending = list(PipelineOptions.__subclasses__())
    while pending:
        options = pending.pop()
        pending += options.__subclasses__()
        if "_add_argparse_args" in vars(options):
            options._add_argparse_args(parser)  # type: ignore[arg-type]  # any ArgumentParser will do
    return sorted(parser._option_string_actions)
