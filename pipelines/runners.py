"""Runs a transform over work items on a Beam runner, and brings its errors back as they were."""

from __future__ import annotations

import argparse
import difflib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from corpora import manifest
from corpora.documents.item import WorkItem
from corpora.errors import BadArgument, DamagedFile, StaleOutput, TamizError
from pipelines.once import ItemResult, ItemWork, collect, once
from pipelines.settings import RunnerSettings

Progress = Callable[[int, int], None]  # bytes done, bytes in all

_MARK = re.compile(r"<<tamiz:(\w+):(.*?)>>", re.DOTALL)
_ERRORS = {e.__name__: e for e in (TamizError, BadArgument, DamagedFile, StaleOutput)}


# output folder -> errors of its items, for runs whose items are worked on in this very process: Beam's threads print
# a traceback of whatever they raise
_failures: dict[str, list[TamizError]] = {}


class _ItemFailed(Exception):
    """Carries a TamizError through engines that keep only an exception's text."""


class WorkOnItems(beam.PTransform):
    """PCollection[WorkItem] -> PCollection[ItemResult]: reshuffles descriptors, works on each item once."""

    def __init__(self, work: ItemWork) -> None:
        super().__init__()
        self._work = work

    def expand(self, items: Any) -> Any:
        label = type(self._work).__name__
        return items | "Spread" >> beam.Reshuffle() | label >> beam.ParDo(_WorkOnItem(self._work))


class _WorkOnItem(beam.DoFn):
    def __init__(self, work: ItemWork) -> None:
        super().__init__()
        self._work = work

    def process(self, item: WorkItem) -> Iterator[ItemResult]:
        failures = _failures.get(self._work.out)
        if failures:
            return  # the run has failed already
        try:
            yield once(self._work, item)
        except TamizError as error:
            if failures is not None:
                failures.append(error)
                return
            raise _ItemFailed(f"<<tamiz:{type(error).__name__}:{error}>>") from error


def run_items(
    work: ItemWork,
    transform: beam.PTransform,
    items: Sequence[WorkItem],
    settings: RunnerSettings,
    progress: Progress | None = None,
) -> list[ItemResult]:
    """Runs `transform` over `items`; returns their results in item order.

    Raises the TamizError that an item raised, whatever the runner made of it.
    """
    if not logging.getLogger("pipelines").isEnabledFor(logging.DEBUG):  # --debug shows Beam's own messages
        logging.getLogger("apache_beam").setLevel(logging.CRITICAL)  # errors are raised, once, as ours
    runner, options = _runner(settings)
    failures = _failures[work.out] = []
    try:
        with (
            _watched(Path(work.out), items, progress),
            beam.Pipeline(runner=runner, options=options) as pipeline,
        ):
            _ = pipeline | "Items" >> beam.Create(list(items)) | transform
    except Exception as error:
        raise _translated(error, settings) from error
    finally:
        del _failures[work.out]
    if failures:
        raise failures[0]
    return collect(work, list(items))


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
    if isinstance(error, _ItemFailed | MemoryError | KeyboardInterrupt):
        return error
    first = str(error).strip().split("\n")[0][:300]
    return TamizError(f"the runner {settings.runner} failed: {type(error).__name__}: {first} (--debug shows all)")


@contextmanager
def _watched(out: Path, items: Sequence[WorkItem], progress: Progress | None) -> Iterator[None]:
    """Reports, twice a second, the bytes of the items whose results are noted."""
    if progress is None:
        yield
        return
    sizes = {f"{item.name}.json": max(item.end - item.start, 1) for item in items}
    total, stop = sum(sizes.values()), threading.Event()

    def done() -> int:
        folder = out / manifest.PROGRESS
        return sum(sizes.get(p.name, 0) for p in folder.iterdir()) if folder.is_dir() else 0

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
    """Raises BadArgument for a runner that Beam can't make."""
    if name == "FnApiRunner":
        return
    from apache_beam.runners.runner import create_runner

    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError, TypeError) as error:
        raise BadArgument(f"--runner {name}: {str(error).splitlines()[0][:200]}") from None


def check_beam_flags(flags: Sequence[str], own: Sequence[str] = ()) -> tuple[str, ...]:
    """Passes on flags that some PipelineOptions class declares.

    Raises BadArgument for any other, naming the nearest: of the command's `own` options first, then of Beam's.
    """
    known = _known_flags()
    for flag in flags:
        name = flag.split("=", 1)[0]
        if name.startswith("-") and name not in known:
            near = difflib.get_close_matches(name, own, 1, 0.8) or difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadArgument(f"no such option: {name}{hint} (neither tamiz nor Beam knows it)")
    if flags and not flags[0].startswith("-"):
        raise BadArgument(f"unexpected argument {flags[0]!r}")
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
