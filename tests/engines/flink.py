"""Flink: a job server for all pipelines of a test, and a standalone cluster on the loopback."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.installed import engines, jar
from tests.engines.processes import Running, answers, free_ports, running, wait_for

# packages that Java 17 hides and the engines reach into, as in shared/engines/unpack.py
OPENED = (
    *("java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs", "sun.security.action"),
    "sun.util.calendar",
)
SLOTS = 2
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

CONFIG = """
jobmanager.rpc.address: {host}
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: {host}
jobmanager.memory.process.size: 700m
rest.address: {host}
rest.bind-address: {host}
rest.port: {rest}
taskmanager.numberOfTaskSlots: {slots}
parallelism.default: 2
classloader.resolve-order: parent-first
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 1s
heartbeat.interval: 1000
heartbeat.timeout: 6000
"""
# what Flink's start script would compute; without them a TaskManager refuses to start
MEMORY = {
    "cpu.cores": SLOTS,
    "memory.task.heap.size": "256m",
    "memory.task.off-heap.size": "0m",
    "memory.managed.size": "128m",
    "memory.network.min": "64m",
    "memory.network.max": "64m",
    "memory.framework.heap.size": "128m",
    "memory.framework.off-heap.size": "128m",
    "memory.jvm-metaspace.size": "128m",
    "memory.jvm-overhead.min": "64m",
    "memory.jvm-overhead.max": "64m",
}


@dataclass
class Cluster:
    """A JobManager and its TaskManagers. stack: ends them all."""

    folder: Path
    rest: int
    stack: ExitStack
    host: str = "localhost"
    task_managers: list[Running] = field(default_factory=list)

    @property
    def master(self) -> str:
        return f"{self.host}:{self.rest}"

    def get(self, path: str) -> Any:
        """An answer of Flink's REST interface."""
        with urllib.request.urlopen(f"http://{self.master}/{path}", timeout=5) as answer:
            return json.load(answer)

    def slots(self) -> int:
        """The slots that registered; 0 while nobody answers."""
        with contextlib.suppress(OSError):
            return int(self.get("overview")["slots-total"])
        return 0

    def add_task_manager(self, host: str = "localhost", within: tuple[str, ...] = ()) -> Running:
        """Starts one more, and waits until its slots are there."""
        before = self.slots()
        own = {f"taskmanager.{key}": str(value) for key, value in MEMORY.items()}
        own |= {"taskmanager.host": host, "taskmanager.bind-host": host}
        command = [
            *within,
            *_java(TASK_MANAGER, self.folder, "-XX:MaxDirectMemorySize=300m"),
            *(part for key, value in own.items() for part in ("-D", f"{key}={value}")),
        ]  # fmt: skip
        log = self.folder / f"task-manager-{len(self.task_managers)}.log"
        ready = lambda: self.slots() >= before + SLOTS  # noqa: E731
        self.task_managers.append(self.stack.enter_context(running(command, log, ready, self._variables())))
        return self.task_managers[-1]

    def jobs(self) -> list[dict[str, str]]:
        """id and status of every job."""
        return list(self.get("jobs")["jobs"])

    def start(self) -> None:
        command = [
            *_java(JOB_MANAGER, self.folder),
            "--executionMode",
            "cluster",
        ]
        log = self.folder / "job-manager.log"
        ready = lambda: answers(self.rest, self.host)  # noqa: E731
        manager = self.stack.enter_context(running(command, log, ready, self._variables()))
        wait_for(self._answers, lambda: manager.alive, "the JobManager", log)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.get("overview"))
        return False

    def _variables(self) -> dict[str, str]:
        return {"FLINK_CONF_DIR": str(self.folder)}


def _java(main: str, folder: Path, *more: str) -> list[str]:
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    classes = f"{engines()}/common/*:{engines()}/flink/*"
    return ["java", "-Xmx400m", *more, *opens, "-cp", classes, main, "--configDir", str(folder)]


@contextmanager
def flink_cluster(folder: Path, task_managers: int = 1, host: str = "localhost") -> Iterator[Cluster]:
    """A cluster with restart strategy, on free ports; `folder` has its configuration and logs."""
    folder.mkdir(parents=True, exist_ok=True)
    rpc, rest = free_ports(2)
    (folder / "config.yaml").write_text(CONFIG.format(rpc=rpc, rest=rest, slots=SLOTS, host=host))
    with ExitStack() as stack:
        cluster = Cluster(folder, rest, stack, host)
        cluster.start()
        for _ in range(task_managers):
            cluster.add_task_manager()
        yield cluster


@contextmanager
def job_server(engine: str, log: Path, *arguments: str) -> Iterator[tuple[Running, str]]:
    """(process, endpoint) of a job server for many pipelines: without it, each pipeline starts one of its own."""
    job, artifact, expansion = free_ports(3)
    command = ["java", "-Xmx500m", "-jar", str(jar(engine)), *arguments]
    command += [f"--job-port={job}", f"--artifact-port={artifact}", f"--expansion-port={expansion}"]
    command += ["--job-host=localhost", f"--artifacts-dir={log.parent / 'artifacts'}"]
    with running(command, log, lambda: answers(job)) as process:
        yield process, f"localhost:{job}"
