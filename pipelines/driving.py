"""Runs a pipeline in a thread, so that the process that waits for it can look around, stop it, or leave it behind."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import apache_beam as beam

from corpora.stopping import leave_behind
from pipelines.processes import Process, descendants, kill

_LOOK = 0.5  # seconds between two looks
_PATIENCE = 5.0  # for a pipeline that was told to end
_CANCEL = 10.0  # for an engine to cancel a job
_SAMPLING = 10  # milliseconds


def drive(options: Any, runner: Any, build: Callable[[Any], None], look: Callable[[], None]) -> None:
    """Runs the pipeline that `build` makes. look: called twice a second; what it raises ends the run, as ^C does.

    Raises what the pipeline raises. After an exception, none of the processes that Beam started for it are left; a
    thread may be, see `corpora.stopping.leave_behind`.
    """
    before, pipelines, errors, ended = descendants(), list[Any](), list[BaseException](), threading.Event()

    def run() -> None:
        try:
            with beam.Pipeline(runner=runner, options=options) as pipeline:
                pipelines.append(pipeline)
                build(pipeline)
        except BaseException as error:
            errors.append(error)
        finally:
            ended.set()

    _leave_signals_alone()
    _sample_often()
    threading.Thread(target=copy_context().run, args=(run,), name="tamiz-pipeline", daemon=True).start()
    try:
        while not ended.wait(_LOOK):
            look()
    except BaseException:
        _end(pipelines, ended, before)
        raise
    if errors:
        _kill_new(before)
        raise errors[0]


def _end(pipelines: list[Any], ended: threading.Event, before: dict[tuple[int, int], Process]) -> None:
    result = getattr(pipelines[0], "result", None) if pipelines else None
    if result is not None:
        canceller = threading.Thread(target=_cancel, args=(result,), daemon=True)
        canceller.start()
        canceller.join(_CANCEL)
    gone = ended.wait(_PATIENCE)
    _kill_new(before)
    if not gone and not ended.wait(1):
        leave_behind()


def _cancel(result: Any) -> None:
    with contextlib.suppress(Exception):  # whatever an engine says to it: what it runs is killed, or not ours
        result.cancel()


def _kill_new(before: dict[tuple[int, int], Process]) -> None:
    kill({key: process for key, process in descendants().items() if key not in before})


class _MainThreadOnly:
    """The module `signal` for Beam's job servers, which set a handler of ^C: only the main thread can, and only there
    does it keep ours from seeing it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(signal, name)

    def signal(self, number: int, handler: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return signal.signal(number, handler)
        return signal.getsignal(number)


def _leave_signals_alone() -> None:
    from apache_beam.runners.portability import job_server

    vars(job_server)["signal"] = _MainThreadOnly()


def _sample_often() -> None:
    """A pipeline in this process waits at its end for the thread that samples Beam's states, which sleeps for up to a
    fifth of the time so far, at most 200 ms."""
    from apache_beam.runners.worker.statesampler import DEFAULT_SAMPLING_PERIOD_MS, StateSampler

    if StateSampler.__init__.__defaults__ == (DEFAULT_SAMPLING_PERIOD_MS,):
        StateSampler.__init__.__defaults__ = (_SAMPLING,)
