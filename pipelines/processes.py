"""The processes that a run started: Beam's workers and job servers. Known from /proc; elsewhere there are none."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """state: R, S, D, T (stopped), Z (ended)... started: in ticks; with the id it names one process for ever."""

    id: int
    parent: int
    started: int
    state: str = ""

    @property
    def key(self) -> tuple[int, int]:
        return self.id, self.started

    @property
    def command(self) -> str:
        try:
            return (_PROC / str(self.id) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""


def descendants() -> dict[tuple[int, int], Process]:
    """All processes below this one."""
    below: dict[int, list[Process]] = {}
    for process in _all():
        below.setdefault(process.parent, []).append(process)
    found, pending = {}, [os.getpid()]
    while pending:
        for child in below.get(pending.pop(), ()):
            found[child.key] = child
            pending.append(child.id)
    return found


def _all() -> list[Process]:
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(_PROC):
            if entry.name.isdigit() and (process := _read(entry.path)) is not None:
                found.append(process)
    return found


def _read(path: str) -> Process | None:
    try:
        text = Path(path, "stat").read_text(errors="replace")
    except OSError:  # it has just ended
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return Process(int(Path(path).name), int(fields[1]), int(fields[19]), fields[0])


def kill(processes: dict[tuple[int, int], Process]) -> None:
    """Kills those that still run."""
    for process in processes.values():
        now = _read(f"{_PROC}/{process.id}")
        if now is not None and now.key == process.key:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.id, signal.SIGKILL)
