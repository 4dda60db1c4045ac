"""The worker processes that the FnApiRunner starts. It says nothing of one that died, and waits for it for ever."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

_WORKER = (  # it sends its log to the run; without a handler, a library's first warning begins a second log on stderr
    "import logging; logging.getLogger().addHandler(logging.NullHandler()); "
    "from apache_beam.runners.worker.sdk_worker_main import main; main([])"
)


class BeamWorkers:
    """Those that are started from now on, and how they end."""

    def __init__(self) -> None:
        from apache_beam.runners.portability import local_job_service

        self._started: list[subprocess.Popen[bytes]] = []
        vars(local_job_service)["subprocess"] = _Starter(self._started)

    def died(self) -> int | None:
        """The id of one that didn't end by itself, with code 0: so they all do at the end of a pipeline, one after
        the other, which may take a while."""
        return next((process.pid for process in self._started if process.poll() not in (None, 0)), None)


class _Starter:
    """The module `subprocess` for Beam's starter of workers."""

    def __init__(self, started: list[subprocess.Popen[bytes]]) -> None:
        self._started = started

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: str, *, shell: bool, env: dict[str, str]) -> subprocess.Popen[bytes]:  # noqa: ARG002
        """Starts the worker that `command`, for a shell, starts: without a shell, and quietly."""
        self._started.append(subprocess.Popen([sys.executable, "-c", _WORKER], env=env))
        return self._started[-1]
