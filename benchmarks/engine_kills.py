"""SIGKILL at random points of the whole chain: `python -m benchmarks.engine_kills 20 --out DIR`.

As many on a standalone Flink cluster with two TaskManagers and a worker pool (in turn a worker, a TaskManager, the
job server, the driver) as in-process (the driver). First a chain that nobody disturbs; each round then is one of its
commands, in a folder with what the commands before left: the process is killed at a random point of it, and if the
command fails it is given again, as a user would. Prints per round what was killed and when, the exit codes, the
longest time without any change in the output folder, and whether all data files are those of the undisturbed chain.
Ends with exit code 1 if a round differs or a command takes longer than MOST_SECONDS.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.conftest import SHARED, digests
from tests.engines import chain
from tests.engines.flink import Cluster, flink_cluster
from tests.engines.installed import jar
from tests.engines.pool import Pool, worker_pool
from tests.engines.processes import Running, running

SIZE = chain.Size(order=3, lm_pieces=2000, vocab_size=2000, sequence_length=256)
MOST_SECONDS = 900.0  # of a command
MOST_TRIES = 4
TARGETS = ("worker", "task manager", "job server", "driver")

Kill = Callable[[Running], str]
"""Kills something, given the driver; says what, or that it wasn't there."""


@dataclass
class Chain:
    """A chain in a folder, or one command of it: each is given until it has ended well."""

    inputs: Sequence[str]
    folder: Path
    flags: Sequence[str]
    seconds: dict[str, float] = field(default_factory=dict)
    codes: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def run(self) -> None:
        """Does it all."""
        for command in chain.commands(self.inputs, str(self.out), SIZE):
            self._run(command)

    def run_killed(self, name: str, kill: Kill, moment: float) -> str:
        """Does the command of a name; returns what `kill` says, which is called so many seconds after its start."""
        (command,) = (c for c in chain.commands(self.inputs, str(self.out), SIZE) if chain.name(c) == name)
        return self._run(command, kill, moment)

    def _run(self, command: list[str], kill: Kill | None = None, moment: float = 0.0) -> str:
        name, said = chain.name(command), "nothing"
        flags = self.flags if chain.runs_on_beam(command) else ()
        for _ in range(MOST_TRIES):
            begun = time.monotonic()
            with self._driver([*command, *flags]) as driver:
                if kill:
                    said, kill = "too late" if driver.wait(moment) is not None else kill(driver), None
                code = driver.wait(MOST_SECONDS)
            self.seconds[name] = time.monotonic() - begun
            if code == 0:
                return said
            if code is None:
                raise RuntimeError(f"{name} hangs: {self.folder / 'commands.log'}")
            self.codes.append(str(code))
        raise RuntimeError(f"{name} failed {MOST_TRIES} times: {self.folder / 'commands.log'}")

    @contextmanager
    def _driver(self, command: Sequence[str]) -> Iterator[Running]:
        self.folder.mkdir(parents=True, exist_ok=True)
        line = [sys.executable, "-m", "tamiz", *command]
        with running(line, self.folder / "commands.log") as process:
            yield process


@contextmanager
def longest_pause(folder: Path) -> Iterator[list[float]]:
    """The longest time without a change below `folder`, once the block has ended."""
    longest, stop = [0.0], threading.Event()

    def watch() -> None:
        seen, since = _state(folder), time.monotonic()
        while not stop.wait(0.25):
            now = _state(folder)
            if now != seen:
                longest[0] = max(longest[0], time.monotonic() - since)
                seen, since = now, time.monotonic()
        longest[0] = max(longest[0], time.monotonic() - since)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield longest
    finally:
        stop.set()
        thread.join()


def _state(folder: Path) -> set[tuple[str, int]]:
    found = set()
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            found.add((str(path), path.stat().st_mtime_ns))
    return found


def kill_in(cluster: Cluster, pool: Pool, target: str, chance: random.Random) -> Kill:
    """Kills one of the target's processes, once there is one; a TaskManager is replaced, as a supervisor would."""

    def there(driver: Running) -> list[psutil.Process]:
        if target == "driver":
            return [driver.process]
        if target == "job server":
            return [each for each in driver.process.children(recursive=True) if each.name() == "java"]
        if target == "worker":
            return pool.workers()
        return [each.process for each in cluster.task_managers if each.alive]

    def kill(driver: Running) -> str:
        found = there(driver)
        while not found and driver.wait(0.1) is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                found = there(driver)
        if not found:
            return f"{target}: not there"
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(found).kill()
        if target == "task manager":
            cluster.add_task_managers()
        return target

    return kill


def kill_driver(driver: Running) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        driver.process.kill()
    return "driver"


class Rounds:
    """Rounds of one kind, compared with an undisturbed chain."""

    def __init__(self, inputs: Sequence[str], folder: Path, flags: Sequence[str], kind: str) -> None:
        self.inputs, self.folder, self.flags, self.kind = inputs, folder, flags, kind
        self.wrong, self.longest = 0, 0.0
        calm = Chain(inputs, folder / "calm", flags)
        with longest_pause(calm.folder) as pause:
            calm.run()
        self.seconds, self.first = calm.seconds, digests(calm.out)
        took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        print(f"\n{kind}, undisturbed: {took}; longest pause {pause[0]:.0f} s\n", flush=True)
        print("| killed | at | exit codes, before 0 | longest pause | data files |")
        print("|---|---|---|---|---|", flush=True)

    def _copy_before(self, name: str, out: Path) -> list[str]:
        """Copies what the commands before that of a name left; returns their folders and its own."""
        folders = []
        for command in chain.commands(self.inputs, "out", SIZE):
            folders.append(Path(command[-1]).parts[1])
            if chain.name(command) == name:
                out.mkdir(parents=True, exist_ok=True)
                return folders
            shutil.copytree(self.folder / "calm" / "out" / folders[-1], out / folders[-1])
        raise AssertionError(name)

    def round(self, number: int, kill: Kill, chance: random.Random) -> None:
        commands = [c for c in chain.commands(self.inputs, "", SIZE) if self.kind != "Flink" or chain.runs_on_beam(c)]
        names = [chain.name(command) for command in commands]
        (name,) = chance.choices(names, [self.seconds[name] for name in names])
        moment = chance.uniform(0.05, 0.95) * self.seconds[name]
        each = Chain(self.inputs, self.folder / f"{number}", self.flags)
        folders = self._copy_before(name, each.out)
        try:
            with longest_pause(each.folder) as pause:
                said = each.run_killed(name, kill, moment)
            same = digests(each.out) == {f: d for f, d in self.first.items() if f.split("/")[0] in folders}
        except RuntimeError as error:
            said, same, pause = f"FAILED: {error}", False, [0.0]
        self.wrong += not same
        self.longest = max(self.longest, pause[0])
        codes = ", ".join(each.codes) or "-"
        row = f"{said} | {name}, {moment:.0f} s | {codes} | {pause[0]:.0f} s | {'the same' if same else 'DIFFERENT'}"
        print(f"| {row} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("number", type=int, nargs="?", default=20)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--documents", type=int, default=150, help="in each file")
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--only", choices=["flink", "in-process"])
    given = parser.parse_args()
    source = sorted((SHARED / "corpora" / "es").glob("*.jsonl.zst"))[0]
    inputs = chain.small_inputs(source, given.out / "in", given.files, given.documents)
    chance, done = random.Random(given.seed), list[Rounds]()
    if given.only != "flink":
        rounds = Rounds(inputs, given.out / "in-process", ("--workers=2",), "In-process")
        for number in range(given.number):
            rounds.round(number, kill_driver, chance)
        done.append(rounds)
    if given.only != "in-process":
        done.append(on_flink(inputs, given.out, given.number, chance))
    for rounds in done:
        print(f"\n{rounds.kind}: {rounds.wrong} of {given.number} differ; longest pause {rounds.longest:.0f} s")
    sys.exit(min(sum(rounds.wrong for rounds in done), 1))


def on_flink(inputs: Sequence[str], out: Path, number: int, chance: random.Random) -> Rounds:
    with flink_cluster(out / "flink", task_managers=2) as cluster, worker_pool(out / "pool.log") as pool:
        flags = [
            "--runner=FlinkRunner",
            "--flink_version=1.19",
            f"--flink_master={cluster.master}",
            "--parallelism=2",
            "--stall-minutes=2",  # Flink waits for ever for a worker that was killed before it reported
        ]
        flags += [f"--flink_job_server_jar={jar('flink')}", *pool.flags]
        rounds = Rounds(inputs, out / "on-flink", flags, "Flink")
        for each in range(number):
            target = TARGETS[each % len(TARGETS)]
            rounds.round(each, kill_in(cluster, pool, target, chance), chance)
        return rounds


if __name__ == "__main__":
    main()
