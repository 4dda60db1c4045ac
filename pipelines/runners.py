"""Runs a pass over its units on a Beam runner until all have a result, and says in one line why it couldn't.

Engines differ in what they make of a worker that dies or stands still: Flink and Spark try again, others end or wait
for ever. So the run looks itself: at the notes that appear, at the beats of workers, at processes. Where something
ended but units have moved on, the pipeline is run again over what is missing.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, PortableOptions

from corpora.errors import TamizError, by_name, in_a_line
from corpora.stopping import interruptible
from pipelines.beam_workers import BeamWorkers
from pipelines.driving import drive
from pipelines.graph import Run, UnitFailed, WorkOnUnits, runs, unmarked, work_on_list
from pipelines.isolated import minutes
from pipelines.notes import MOST_BLOCKS, Desk, Unit
from pipelines.once import ItemWork
from pipelines.progress import Counted, Progress
from pipelines.results import Results, collect
from pipelines.settings import RunnerSettings
from pipelines.standing import watch

_LOG = logging.getLogger(__name__)
_START = 120.0  # seconds without a unit that begins, after which the likely causes are told
_GRACE = 5.0  # for a runner to notice itself that its worker has ended
_LOOK = 0.5
_TRACEBACK = "Traceback (most recent call last)"
_DETAILS = re.compile(r'^\s*details = "(.*?)"$', re.MULTILINE)  # of what gRPC raises
_WHILE = "[while running '"  # in what Beam makes of a function's exception
_FOR_A_THREAD, _FOR_PROCESSES = 4, 1024  # elements: FnApiRunner holds 13 KB for each; threads take units themselves
_ASIDE, _ASIDE_SHARE = 10, 0.01  # more units that are set aside aren't single bad inputs


class _EngineEnded(TamizError):
    """The engine, or a part of it, ended or stands still; the units that are done stay done."""


def run_units(
    work: ItemWork,
    units: Sequence[Unit],
    settings: RunnerSettings,
    progress: Progress | None = None,
    notes: str = "",
) -> Results:
    """Works on every unit; returns the results in the order of the units. progress: bytes done, total bytes.

    Raises the TamizError that a unit raised, even if the runner wrapped it; KeyboardInterrupt after ^C, even if the
    runner lost it; a TamizError that says what died or stands still.
    """
    desk = Desk(str(work.out), notes, settings.share or (1, 1))
    with _quiet(), interruptible() as stop:
        desk.clear()
        _until_done(lambda: _Pipeline(work, units, settings, desk, progress, stop), desk, units, stop)
        desk.clear()
    results, missing = collect(work, units, notes)
    if missing:
        raise TamizError(f"{missing[0].path} left no result in {work.out}: every worker must see that folder")
    if progress is not None:
        progress(1, 1)
    return results


def _until_done(new: Callable[[], _Pipeline], desk: Desk, units: Sequence[Unit], stop: threading.Event) -> None:
    """Runs the pipeline, and again after a worker or the engine ended if it has moved on, in results or in tries."""
    before = _moved(desk, units)
    while True:
        try:
            new().run()
            return
        except _EngineEnded as ended:
            now = _moved(desk, units)
            if now == before or stop.is_set():
                raise TamizError(f"{ended}; the same command continues (--debug shows all)") from ended
            _LOG.warning("%s: going on with the rest", ended)
            before = now


def _moved(desk: Desk, units: Sequence[Unit]) -> object:
    """What differs if a unit was done, begun or tried again meanwhile."""
    counted = Counted(desk, units)
    counted.look()
    return counted.done, desk.home.entries(f"{desk.folder}/tries")


class _Pipeline:
    """One run of the pipeline, and what is looked at meanwhile."""

    def __init__(
        self,
        work: ItemWork,
        units: Sequence[Unit],
        settings: RunnerSettings,
        desk: Desk,
        progress: Progress | None,
        stop: threading.Event,
    ) -> None:
        self._work, self._settings, self._desk, self._progress = work, settings, desk, progress
        self._runner, self._options = _runner(settings)
        self._stall = 60 * settings.stall_minutes
        self._counted, self._run = Counted(desk, units), Run(stop)
        self._units = units
        self._aside = max(_ASIDE, int(_ASIDE_SHARE * len(units)))
        self._state: object = None
        self._still = self._clock = 0.0  # seconds since anything moved; since the start
        self._begun = self._told = False
        self._last = time.monotonic()
        self._workers = BeamWorkers() if _in_processes(settings, self._options) else None
        self._died: float | None = None  # when a worker process was first seen to have died

    def run(self) -> None:
        listed, most = self._desk.write_units(self._units), MOST_BLOCKS
        if self._settings.runner == "FnApiRunner":
            threads = self._workers is None
            number = self._options.view_as(DirectOptions).direct_num_workers or os.cpu_count() or 1
            most = _FOR_A_THREAD * number if threads else _FOR_PROCESSES
            if threads:
                self._run = replace(self._run, units=deque(self._units))
        name = uuid.uuid4().hex
        runs[name] = self._run
        worker = WorkOnUnits(self._work, self._desk, run=name, stall=self._stall)
        try:
            drive(
                self._options,
                self._runner,
                lambda pipeline: work_on_list(pipeline, listed, worker, self._desk, most),
                self._look,
            )
        except (TamizError, MemoryError):
            raise
        except Exception as error:
            raise self._translated(error) from error
        del runs[name]
        self._raise_failures()

    def _raise_failures(self) -> None:
        if self._run.failures:
            raise self._run.failures[0]
        failure = self._desk.failure()
        if failure is not None:
            raise by_name(failure[0])(failure[1])

    def _look(self) -> None:
        now = time.monotonic()
        passed, self._last = min(now - self._last, 2 * _LOOK), now  # this process may have been stopped itself
        self._clock += passed
        self._still += passed
        if self._run.standing:
            raise TamizError(
                f"{self._run.standing[0]}; the same command continues, and tries it in a process of its own"
            )
        self._check_workers(now)
        if self._counted.look():
            if self._progress is not None:
                self._progress(self._counted.done, max(self._counted.total, 1))
            if not self._run.failures:
                self._raise_failures()
            self._check_aside()
            self._check_moves()

    def _check_aside(self) -> None:
        aside = self._desk.names("aside")
        if len(aside) > self._aside:
            reason = self._desk.home.read_bytes(next(iter(aside))).decode()
            raise TamizError(
                f"{len(aside)} inputs ended their processes, too many to be single bad inputs; the first: {reason}"
            )

    def _check_moves(self) -> None:
        state = self._counted.state, watch.moves
        if self._state is not None and state != self._state:
            self._begun, self._still = True, 0.0
        self._state = state
        bound = self._stall if self._begun else max(self._stall, _START)
        if self._still > bound:
            cause = "" if self._begun else f": no worker began a unit ({self._needs})"
            raise _EngineEnded(f"{self._settings.runner} made no progress for {minutes(bound)}{cause}")
        if not (self._begun or self._told) and self._clock > _START:
            self._told = True
            _LOG.warning("no worker has begun a unit for %s: %s", minutes(_START), self._needs)

    @property
    def _needs(self) -> str:
        """What workers need to begin."""
        portable = self._options.view_as(PortableOptions)
        if portable.environment_type == "EXTERNAL":
            return (
                f"check that a worker pool listens at {portable.environment_config} beside each part of the engine, "
                "and that the first `python` on its PATH has this tamiz"
            )
        return "check that the engine has free slots and that its workers can reach this machine"

    def _check_workers(self, now: float) -> None:
        """FnApiRunner waits for ever for a worker process that has died."""
        died = self._workers.died() if self._workers else None
        if died is None:
            return
        self._died = self._died or now
        if now - self._died > _GRACE:
            raise _EngineEnded(f"a worker process of {self._settings.runner} ended (pid {died})")

    def _translated(self, error: Exception) -> Exception:
        found = unmarked(str(error))
        if found is not None or isinstance(error, UnitFailed):
            return found or error
        failure = self._desk.failure()
        if failure is not None:
            return by_name(failure[0])(failure[1])
        said = f"the runner {self._settings.runner} failed: {_said(error)}"
        if _WHILE in str(error):  # a unit raised what will be raised again
            return TamizError(f"{said} (--debug shows all)")
        return _EngineEnded(f"{said}; {self._needs}" if _DETAILS.search(str(error)) else said)


def _said(error: Exception) -> str:
    """The point of what an engine raises."""
    import grpc  # type: ignore[import-untyped]

    if isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call):
        lost = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        said = "its job server ended or can't be reached" if lost else f"its job server says {error.code().name}"
        return f"{said} ({in_a_line(error.details() or 'no details', lines=1)})"
    text = str(error)
    details = _DETAILS.search(text)
    if details:  # of a connection, somewhere in the engine
        return f"a connection failed ({in_a_line(details[1], lines=1)})"
    if _TRACEBACK in text:  # of a worker: the point is the last line that isn't indented
        text = next(line for line in reversed(text.splitlines()) if line.strip() and not line.startswith((" ", "\t")))
        return in_a_line(text)
    return f"{type(error).__name__}: {in_a_line(text)}"


def _runner(settings: RunnerSettings) -> tuple[Any, PipelineOptions]:
    flags = list(settings.beam_flags)
    if settings.runner != "FnApiRunner":
        return settings.runner, PipelineOptions(flags)
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    if settings.workers > 1:  # Beam's own flags, if any, come last and count
        flags = ["--direct_running_mode=multi_threading", f"--direct_num_workers={settings.workers}", *flags]
    return FnApiRunner(), PipelineOptions(flags)


def _in_processes(settings: RunnerSettings, options: PipelineOptions) -> bool:
    mode = options.view_as(DirectOptions).direct_running_mode
    return bool(settings.runner == "FnApiRunner" and mode == "multi_processing")


class _quiet:
    """Within the block, neither the loggers of Beam and what it uses nor its threads print what they raise, as we
    raise each error once; --debug shows all."""

    _LOGGERS = (
        "apache_beam", "grpc", "concurrent.futures", "FlinkJarJobServer", "SparkJarJobServer", "PrismJobServer",
    )  # fmt: skip

    def __enter__(self) -> None:
        self._hook = threading.excepthook
        if logging.getLogger("pipelines").isEnabledFor(logging.DEBUG):
            return
        for name in self._LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
            logging.getLogger(name).addFilter(_nothing)  # Beam sets the level of its job servers' again
        logging.getLogger().addFilter(_nothing)  # of the root logger itself: Beam logs an engine's stack traces there
        threading.excepthook = lambda _: None

    def __exit__(self, *_: object) -> None:
        threading.excepthook = self._hook
        for name in ("", *self._LOGGERS):
            logging.getLogger(name).removeFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False
