"""Flink: a job server for all pipelines of a test, and a standalone cluster on the loopback."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engines.installed import engines, jar
from tests.engines.processes import Running, answers, free_ports, running

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
jobmanager.rpc.address: localhost
jobmanager.rpc.port: {rpc}
jobmanager.bind-host: localhost
jobmanager.memory.process.size: 700m
rest.address: localhost
rest.bind-address: localhost
rest.port: {rest}
taskmanager.numberOfTaskSlots: {slots}
parallelism.default: 2
classloader.resolve-order: parent-first
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 1s
heartbeat.interval: 1000
heartbeat.timeout: 6000
io.tmp.dirs: {folder}
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
    task_managers: list[Running] = field(default_factory=list)

    @property
    def master(self) -> str:
        return f"localhost:{self.rest}"

    def get(self, path: str) -> Any:
        """An answer of Flink's REST interface. Raises OSError while nobody answers."""
        with urllib.request.urlopen(f"http://{self.master}/{path}", timeout=5) as answer:
            return json.load(answer)

    def slots(self) -> int:
        """The slots that registered; -1 while nobody answers."""
        with contextlib.suppress(OSError):
            return int(self.get("overview")["slots-total"])
        return -1

    def living(self) -> int:
        """The TaskManagers that run."""
        return sum(each.alive for each in self.task_managers)

    def start(self) -> None:
        """Starts the JobManager, and waits until it answers."""
        command = [*_java(JOB_MANAGER, self.folder), "--executionMode", "cluster"]
        self._running("job-manager", command, lambda: self.slots() >= 0)

    def add_task_managers(self, number: int = 1) -> None:
        """Starts some, and waits until the slots are those of all that live: of one that was killed, Flink counts
        them until its heartbeat has been missed."""
        own = {f"taskmanager.{key}": str(value) for key, value in MEMORY.items()}
        own |= {"taskmanager.host": "localhost", "taskmanager.bind-host": "localhost"}
        settings = [part for key, value in own.items() for part in ("-D", f"{key}={value}")]
        command = [*_java(TASK_MANAGER, self.folder, "-XX:MaxDirectMemorySize=300m"), *settings]
        for each in range(number):
            last = each == number - 1
            ready = (lambda: self.slots() == SLOTS * (self.living() + 1)) if last else (lambda: True)
            name = f"task-manager-{len(self.task_managers)}"
            self.task_managers.append(self._running(name, command, ready))

    def _running(self, name: str, command: list[str], ready: Callable[[], bool]) -> Running:
        variables = {"FLINK_CONF_DIR": str(self.folder)}
        return self.stack.enter_context(running(command, self.folder / f"{name}.log", ready, variables))


def _java(main: str, folder: Path, *more: str) -> list[str]:
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    classes = f"{engines()}/common/*:{engines()}/flink/*"
    start = ["java", "-Xmx400m", f"-Djava.io.tmpdir={folder}", *more, *opens]
    return [*start, "-cp", classes, main, "--configDir", str(folder)]


@contextmanager
def flink_cluster(folder: Path, task_managers: int = 1) -> Iterator[Cluster]:
    """A cluster with restart strategy, on free ports; `folder` has its configuration and logs."""
    folder.mkdir(parents=True, exist_ok=True)
    rpc, rest = free_ports(2)
    (folder / "config.yaml").write_text(CONFIG.format(rpc=rpc, rest=rest, slots=SLOTS, folder=folder))
    with ExitStack() as stack:
        cluster = Cluster(folder, rest, stack)
        cluster.start()
        cluster.add_task_managers(task_managers)
        yield cluster


@contextmanager
def job_server(engine: str, log: Path, *arguments: str) -> Iterator[tuple[Running, str]]:
    """(process, endpoint) of a job server for many pipelines: without it, each pipeline starts one of its own."""
    job, artifact, expansion = free_ports(3)
    command = ["java", "-Xmx500m", f"-Djava.io.tmpdir={log.parent}", "-jar", str(jar(engine)), *arguments]
    command += [f"--job-port={job}", f"--artifact-port={artifact}", f"--expansion-port={expansion}"]
    command += ["--job-host=localhost", f"--artifacts-dir={log.parent / 'artifacts'}"]
    with running(command, log, lambda: answers(job)) as process:
        yield process, f"localhost:{job}"
