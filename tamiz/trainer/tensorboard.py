"""The curves of a training for TensorBoard, in event files."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from corpora import extras
from corpora.errors import BadArgument
from corpora.manifest import CURVES

_LOG = logging.getLogger(__name__)
_START = "events.out.tfevents."  # TensorBoard knows event files by it, and reads them in the order of their names
_SYNC_SECONDS = 10.0


def require_tensorboard() -> None:
    """Raises BadArgument if the package isn't installed."""
    if find_spec("tensorboard") is None:
        raise BadArgument(
            f"train.tensorboard needs tensorboard, which is not installed: run {extras.line('tensorboard')}"
        )


class Curves:
    """Appends to the curves in OUT/tensorboard; does nothing unless `writes`. A disk that is full costs the curves,
    not the training.

    Each process that trains writes a file of its own, which takes back what earlier ones wrote of the steps that this
    process does again.
    """

    def __init__(self, out: Path, *, writes: bool) -> None:
        self._folder, self.writes, self._flushed = out / CURVES, writes, 0.0
        self._file: IO[bytes] | None = None
        self._records: Any = None

    def begin(self, step: int) -> None:
        """Call before any points, with the step from which the training continues, or 0."""
        if not self.writes:
            return
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._guarded(self._open)
        self._event(file_version="brain.Event:2")
        again = step + 1 if step else 0
        self._event(step=again, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    def add(self, step: int, points: Mapping[str, float | None]) -> None:
        """A point on each curve; None: not known."""
        known = {name: value for name, value in points.items() if value is not None}
        if self._records is None or not known:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=value) for name, value in known.items()]
        self._event(step=step, summary=Summary(value=values))
        if time.monotonic() - self._flushed >= _SYNC_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Call before a checkpoint is written, so that no point before it is lost with this process."""
        self._flushed = time.monotonic()
        file = self._file
        if file is not None:
            self._guarded(file.flush)

    def close(self) -> None:
        file, self._file, self._records = self._file, None, None
        if file is not None:
            self._guarded(file.close)

    def _open(self) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder.mkdir(parents=True, exist_ok=True)
        last = max((path.name for path in self._folder.glob(f"{_START}*")), default=f"{_START}000000")
        number = int(last.removeprefix(_START)[:6]) + 1
        self._file = (self._folder / f"{_START}{number:06d}").open("xb")
        self._records = RecordWriter(self._file)

    def _event(self, **content: Any) -> None:
        if self._records is None:
            return
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), **content)
        self._guarded(lambda: self._records.write(event.SerializeToString()))

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            _LOG.warning("%s gets no more curves: %s", self._folder, error.strerror or error)
            self._file = self._records = None
