"""Every runner that is tried here, with the flags that a user types.

Those of the FnApiRunner come first: they are what the others are compared with. A job server or a cluster is started
once for all commands of a block.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.engines import installed
from tests.engines.flink import flink_cluster, job_server
from tests.engines.pool import worker_pool
from tests.engines.processes import answers, free_ports, running

Flags = tuple[str, ...]

LOOPBACK = "--environment_type=LOOPBACK"
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=embed", LOOPBACK)


@contextmanager
def flink_embedded(folder: Path) -> Iterator[Flags]:
    """Flink inside Beam's job server; the work is done in threads of the driver."""
    with job_server("flink", folder / "job-server.log", "--flink-master=[local]") as (_, endpoint):
        yield ("--runner=FlinkRunner", f"--job_endpoint={endpoint}", LOOPBACK, "--parallelism=2")


@contextmanager
def flink_standalone(folder: Path, task_managers: int = 2) -> Iterator[Flags]:
    """A JobManager, TaskManagers and a worker pool; the job server submits to them."""
    with (
        flink_cluster(folder / "flink", task_managers) as cluster,
        worker_pool(folder / "pool.log") as pool,
        job_server("flink", folder / "job-server.log", f"--flink-master={cluster.master}") as (_, endpoint),
    ):
        yield ("--runner=FlinkRunner", f"--job_endpoint={endpoint}", *pool.flags, "--parallelism=2")


@contextmanager
def spark(folder: Path) -> Iterator[Flags]:
    """Spark inside Beam's job server: two threads, each task is tried four times."""
    with job_server("spark", folder / "job-server.log", "--spark-master-url=local[2,4]") as (_, endpoint):
        yield ("--runner=SparkRunner", f"--job_endpoint={endpoint}", LOOPBACK)


@contextmanager
def spark_with_pool(folder: Path) -> Iterator[Flags]:
    with (
        worker_pool(folder / "pool.log") as pool,
        job_server("spark", folder / "job-server.log", "--spark-master-url=local[2,4]") as (_, endpoint),
    ):
        yield ("--runner=SparkRunner", f"--job_endpoint={endpoint}", *pool.flags)


@contextmanager
def prism(folder: Path) -> Iterator[Flags]:
    """Beam's engine in Go, started here: Beam would keep its own until the test process ends."""
    (port,) = free_ports(1)
    command = [str(installed.prism()), f"--job_port={port}", "--serve_http=false"]
    with running(command, folder / "prism.log", lambda: answers(port)):
        yield ("--runner=PrismRunner", f"--job_endpoint=localhost:{port}", LOOPBACK)


@contextmanager
def portable_with_pool(folder: Path) -> Iterator[Flags]:
    with worker_pool(folder / "pool.log") as pool:
        yield ("--runner=PortableRunner", "--job_endpoint=embed", *pool.flags, "--sdk_worker_parallelism=2")


def always(*flags: str) -> Callable[[Path], AbstractContextManager[Flags]]:
    @contextmanager
    def same(folder: Path) -> Iterator[Flags]:  # noqa: ARG001 (every runner gets a folder)
        yield flags

    return same


RUNNERS: dict[str, Callable[[Path], AbstractContextManager[Flags]]] = {
    "FnApiRunner, 1 worker": always(),
    "FnApiRunner, 2 workers": always("--workers=2"),
    "multi-processing": always(*PROCESSES),
    "PortableRunner": always(*PORTABLE),
    "PortableRunner, worker pool": portable_with_pool,
    "Flink embedded": flink_embedded,
    "Flink cluster, worker pool": flink_standalone,
    "Spark": spark,
    "Spark, worker pool": spark_with_pool,
    "Prism": prism,
}
ENGINES: dict[str, Callable[[Path], AbstractContextManager[Flags]]] = {
    "Flink cluster, worker pool": functools.partial(flink_standalone, task_managers=1),
    "Spark": spark,
    "Prism": prism,
}
"""Those that need shared/engines and are in the tests, as small as they prove most."""
