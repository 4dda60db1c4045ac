"""The whole chain on real text under every runner: `python -m benchmarks.engines --out DIR`.

lm, score, sample, tokenizer, shards: real commands, one after the other, with the flags of tests.engines.runners;
then as four shares. Prints a table for benchmarks/results: seconds and CPU seconds of each command, and whether all
data files have the sha256 of the FnApiRunner with one worker. Ends with exit code 1 if one differs. Needs
shared/engines, shared/corpora and Java.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import SHARED, digests
from tests.engines import chain
from tests.engines.processes import environment
from tests.engines.runners import RUNNERS

SIZE = chain.Size(order=5, lm_pieces=2000, vocab_size=2000, sequence_length=512)  # as much as 1 MB supports
SHARES = 4


class Failed(Exception):
    """A command ended with another exit code than 0; its output is in the log."""


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command: list[str], log: Path) -> tuple[float, float]:
    """(seconds, CPU seconds of the driver and what it started) of `tamiz COMMAND`. Raises Failed."""
    begun, used = time.monotonic(), _cpu_seconds()
    with log.open("ab") as output:
        line = [sys.executable, "-m", "tamiz", *command]
        code = subprocess.run(line, stdout=output, stderr=output, env=environment()).returncode
    if code:
        raise Failed(f"{chain.name(command)}: exit code {code}, see {log}")
    return time.monotonic() - begun, _cpu_seconds() - used


def one_runner(name: str, inputs: Sequence[str], folder: Path) -> list[str]:
    """The cells of the runner's row: what each command took."""
    cells, spent = [], 0.0
    with RUNNERS[name](folder) as flags:
        for command in chain.commands(inputs, str(folder / "out"), SIZE):
            used = flags if chain.runs_on_beam(command) else ()
            seconds, cpu = timed([*command, *used], folder / "commands.log")
            spent += seconds
            cells.append(f"{seconds:.0f} ({cpu:.0f})" if used == flags else f"{seconds:.0f} ({cpu:.0f})*")
    return [*cells, f"{spent:.0f}"]


def shares(inputs: Sequence[str], folder: Path) -> list[str]:
    """The same, as `--share 1/4` to `4/4` of each command, all at once."""
    cells, spent = [], 0.0
    for command in chain.commands(inputs, str(folder / "out"), SIZE):
        begun, log = time.monotonic(), folder / "commands.log"
        if not chain.runs_on_beam(command):
            timed(command, log)
        else:
            _at_once([[*command, f"--share={n}/{SHARES}"] for n in range(1, SHARES + 1)], log)
        cells.append(f"{time.monotonic() - begun:.0f}")
        spent += time.monotonic() - begun
    return [*cells, f"{spent:.0f}"]


def _at_once(commands: Sequence[list[str]], log: Path) -> None:
    with log.open("ab") as output, ExitStack() as stack:
        lines = [[sys.executable, "-m", "tamiz", *command] for command in commands]
        started = [
            stack.enter_context(subprocess.Popen(line, stdout=output, stderr=output, env=environment()))
            for line in lines
        ]
        codes = [process.wait() for process in started]
    if any(codes):
        raise Failed(f"{chain.name(commands[0])}: exit codes {codes}, see {log}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=4, help="so many files of --documents each")
    parser.add_argument("--documents", type=int, default=100)
    parser.add_argument("--whole", action="store_true", help="all of es, as it is: 16 files, 146 MB")
    parser.add_argument("--only", nargs="*", default=[*RUNNERS, "four shares"], metavar="RUNNER")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    sources = sorted((SHARED / "corpora" / "es").glob("*.jsonl.zst"))
    if given.whole:
        inputs = [str(SHARED / "corpora" / "es" / "*.jsonl.zst")]
    else:
        inputs = chain.small_inputs(sources[0], given.out / "in", given.files, given.documents)
        sources = sorted((given.out / "in").iterdir())
    size = sum(path.stat().st_size for path in sources)
    print(
        f"{len(sources)} files, {size / 1e6:.1f} MB; seconds (CPU seconds of the driver's processes); *: no pipeline"
    )
    print("\n| runner | lm | score | sample | tokenizer | shards | in all | data files |")
    print("|---|---|---|---|---|---|---|---|")
    first, wrong = None, 0
    for number, name in enumerate(given.only):
        folder = given.out / f"{number}"
        folder.mkdir(parents=True)
        try:
            cells = shares(inputs, folder) if name == "four shares" else one_runner(name, inputs, folder)
            found = digests(folder / "out")
            first = first or found
            wrong += found != first
            same = f"{len(found)}, the same" if found == first else "DIFFERENT"
        except Failed as error:
            cells, same, wrong = [""] * 6, str(error), wrong + 1
        print(f"| {name} | {' | '.join(cells)} | {same} |", flush=True)
    sys.exit(min(wrong, 1))


if __name__ == "__main__":
    main()
