"""Flink whose workers share no folder with the driver: `python -m benchmarks.engine_store --out DIR`.

The driver and the worker pool each have a disk of their own in place of DIR/apart (a mount namespace: needs root).
The text, the language model and all output are on an S3 server on the loopback. The chain: undisturbed; killed
half-way, command by command (driver and a TaskManager in turn), and run again; while the store refuses 30% of its
requests. --moto PYTHON: an interpreter with moto[server], which is the store instead, and refuses nothing. Prints
whether the objects are the files of a local run.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_kills import SIZE
from corpora.home import Home
from tests.conftest import SHARED, digests, is_data
from tests.engines import alone, chain
from tests.engines.flink import Cluster, flink_cluster
from tests.engines.installed import jar
from tests.engines.pool import worker_pool
from tests.engines.processes import Running, answers, free_ports, running
from tests.loopback_store import Faults, loopback_store

MOST_SECONDS = 900.0


@dataclass(frozen=True)
class Apart:
    """Runs commands on a disk of their own. flags: of the runner."""

    folder: Path
    log: Path
    flags: Sequence[str]

    def run(self, command: list[str], disturb: Callable[[Running], None] = lambda _driver: None) -> int | None:
        line = [*alone.apart(self.folder), sys.executable, "-m", "tamiz", *command]
        if chain.runs_on_beam(command):
            line += self.flags
        with running(line, self.log, variables=alone.own_folders(self.folder)) as driver:
            disturb(driver)
            return driver.wait(MOST_SECONDS)


def objects(address: str) -> dict[str, str]:
    """sha256 of every data file below an address."""
    home = Home.of(address)
    names = [name for name in home.entries() if is_data(name)]
    return {name: hashlib.sha256(home.read_bytes(name)).hexdigest() for name in sorted(names)}


def undisturbed(apart: Apart, inputs: Sequence[str], address: str) -> dict[str, float]:
    """The seconds of each command."""
    seconds = {}
    for command in chain.commands(inputs, address, SIZE):
        begun = time.monotonic()
        code = apart.run(command)
        if code != 0:
            sys.exit(f"{chain.name(command)}: exit code {code}, see {apart.log}")
        seconds[chain.name(command)] = time.monotonic() - begun
    return seconds


def killed(apart: Apart, inputs: Sequence[str], address: str, seconds: dict[str, float], cluster: Cluster) -> str:
    """Kills half-way through each command, then gives it again; what was killed, and the exit codes."""
    said = []
    for number, command in enumerate(chain.commands(inputs, address, SIZE)):
        name = chain.name(command)

        def disturb(driver: Running, half: float = seconds[name] / 2, number: int = number) -> None:
            if driver.wait(half) is None:
                (driver if number % 2 else cluster.task_managers[-1]).process.kill()
                cluster.add_task_managers(1 - number % 2)

        code = apart.run(command, disturb)
        again = apart.run(command) if code else code
        if again != 0:
            sys.exit(f"{name}: exit code {again} after {code}, see {apart.log}")
        said.append(f"{name}: {'driver' if number % 2 else 'TaskManager'}, {code}")
    return "; ".join(said)


@contextmanager
def moto(python: str, log: Path) -> Iterator[str]:
    """The address of a bucket on moto's server; this process's variables name it meanwhile."""
    (port,) = free_ports(1)
    endpoint = {
        "AWS_ENDPOINT_URL": f"http://localhost:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    before = {name: os.environ.get(name) for name in endpoint}
    with running([python, "-m", "moto.server", "-p", str(port)], log, lambda: answers(port)):
        os.environ.update(endpoint)
        try:
            _make_bucket(endpoint["AWS_ENDPOINT_URL"])
            yield "s3://tests"
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def _make_bucket(endpoint: str) -> None:
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/tests", method="PUT"), timeout=30).close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--moto", metavar="PYTHON")
    given = parser.parse_args()
    if reason := alone.missing():
        sys.exit(reason)
    source = sorted((SHARED / "corpora" / "es").glob("*.jsonl.zst"))[0]
    chain.small_inputs(source, given.out / "in", given.files, documents=150)
    (given.out / "apart").mkdir()
    with ExitStack() as stack:
        faults: Faults | None = None
        if given.moto:
            bucket = stack.enter_context(moto(given.moto, given.out / "moto.log"))
        else:
            store = stack.enter_context(loopback_store())
            bucket, faults = store.address("").rstrip("/"), store.faults
        Home.of(f"{bucket}/in").publish(given.out / "in")
        inputs = [f"{bucket}/in/*.jsonl"]
        local = Apart(given.out / "apart", given.out / "local.log", ())
        for command in chain.commands(inputs, str(given.out / "local"), SIZE):
            if not _in_place(command, local):
                sys.exit(f"{chain.name(command)} failed, see {local.log}")
        name = "moto" if given.moto else "localbucket"
        wrong = on_store(name, bucket, given.out, inputs, digests(given.out / "local"), faults)
    sys.exit(min(wrong, 1))


def _in_place(command: list[str], local: Apart) -> bool:
    """A local run, in a folder that others see."""
    with running([sys.executable, "-m", "tamiz", *command], local.log) as driver:
        return driver.wait(MOST_SECONDS) == 0


def on_store(
    name: str,
    bucket: str,
    out: Path,
    inputs: Sequence[str],
    first: dict[str, str],
    faults: Faults | None,
) -> int:
    """How many of the chains differ."""
    wrong, apart, own = 0, out / "apart", alone.own_folders(out / "apart")
    with (
        flink_cluster(out / f"flink-{name}", task_managers=2) as cluster,
        worker_pool(out / f"pool-{name}.log", alone.apart(apart), **own) as pool,
    ):
        flags = ["--runner=FlinkRunner", "--flink_version=1.19", f"--flink_master={cluster.master}"]
        flags += [f"--flink_job_server_jar={jar('flink')}", "--parallelism=2", *pool.flags]
        driver = Apart(apart, out / f"driver-{name}.log", flags)
        seconds = undisturbed(driver, inputs, f"{bucket}/calm")
        took = ", ".join(f"{key} {value:.0f} s" for key, value in seconds.items())
        wrong += _said(f"{name}, undisturbed ({took})", objects(f"{bucket}/calm"), first)
        codes = killed(driver, inputs, f"{bucket}/killed", seconds, cluster)
        wrong += _said(f"{name}, killed half-way ({codes})", objects(f"{bucket}/killed"), first)
        if faults is not None:
            faults.refuse = 0.3
            seconds = undisturbed(driver, inputs, f"{bucket}/refused")
            faults.refuse = 0.0
            took = f"{sum(seconds.values()):.0f} s"
            wrong += _said(f"{name}, 503 to 30% of the requests ({took})", objects(f"{bucket}/refused"), first)
    return wrong


def _said(what: str, found: dict[str, str], first: dict[str, str]) -> int:
    print(f"* {what}: {f'{len(found)} data files, the same' if found == first else 'DIFFERENT'}", flush=True)
    return found != first


if __name__ == "__main__":
    main()
