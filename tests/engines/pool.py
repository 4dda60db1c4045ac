"""Beam's worker pool, which starts a worker process for each that an engine asks for: --environment_type=EXTERNAL."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.engines.processes import Running, answers, free_ports, running


class Pool:
    def __init__(self, running: Running, port: int) -> None:
        self.running, self.port = running, port

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--environment_type=EXTERNAL", f"--environment_config=localhost:{self.port}")

    def workers(self) -> list[psutil.Process]:
        """The worker processes of now."""
        return self.running.process.children()


@contextmanager
def worker_pool(log: Path, apart: Sequence[str] = (), **variables: str) -> Iterator[Pool]:
    """A pool on a port of its own. apart: starts the rest of its line elsewhere, see `tests.engines.alone`."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    with running([*apart, *command], log, lambda: answers(port), variables) as process:
        yield Pool(process, port)
