"""How fast tamiz trains, and transformers' Trainer on the same work: python -m benchmarks.train [--all] [--out DIR]

On a CPU: a T5 of 7 million parameters and a Llama of 3 million, product and peer in turn, --rounds times, and the
ratio of their speeds with its spread. On a GPU, or with --all: the shapes of the recipes and GPT-J-6B, within
--minutes; what doesn't fit any more is left out, and listed. Rows are random ids of the right shape, made on the
spot: for product and peer the same ones in the same order. Both begin with the same weights, and use AdamW and the
same precision.

Before that, the losses of both are compared over a few steps on smaller models: tamiz as it trains here, the peer in
float32 with eager attention.

Prints for each block tokens/s (the median of the timed steps), MFU by four formulas, peak memory, J/token where
something measures energy, and the share of time that waited for data. After each block DIR has train.json and
train.md. --profile also writes a table of the operations that took the time. On a GPU, a block fails if its attention
ran another kernel than it should have. Ends with exit code 1 if a block failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.train_figures import checked, markdown
from benchmarks.train_shapes import Block, check_blocks, cpu_blocks, gpu_blocks, tiny_blocks
from corpora import files

ROOT = Path(__file__).resolve().parents[1]
WORKER = ("-m", "benchmarks.train_worker")
RESULT = "RESULT "
Found = dict[str, Any]
Run = Callable[[Sequence[str], float], tuple[int | None, str]]


def in_a_process(arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """The exit code of `python -m benchmarks.train_worker ARGUMENTS`, None if it took too long, and what it said."""
    command = [sys.executable, *WORKER, *arguments]
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "PYTORCH_ALLOC_CONF": "expandable_segments:True", **os.environ}
    with tempfile.TemporaryFile() as said:  # not a pipe: compilers that outlive their process would hold it open
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # and its compilers
                process.wait()
        said.seek(0)
        return code, said.read().decode(errors="replace")


class Bench:
    """Runs blocks one after the other, and writes what is found after each. clock: seconds, ever rising."""

    def __init__(
        self, out: Path, minutes: float, run: Run = in_a_process, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.out, self._run, self._clock = out, run, clock
        self._until = clock() + 60 * minutes
        self.found: Found = {"machine": {}, "checks": [], "blocks": [], "left_out": []}

    @property
    def failed(self) -> bool:
        """Whether anything but the lack of time kept a block from its figures, or a check from agreeing."""
        return any("problem" in one for one in (*self.found["blocks"], *self.found["checks"]))

    def limit(self, begun: float, minutes: float) -> None:
        """No block begins so many minutes after `begun`, on the clock."""
        self._until = begun + 60 * minutes

    def machine(self) -> None:
        """What the figures were measured on."""
        self.found["machine"] = self._figures(["--machine"], 120)
        self.write()

    def check(self, pair: tuple[Block, Block]) -> None:
        """The losses of product and peer over the same steps."""
        both = [self._block(block, None) for block in pair]
        self.found["checks"].append(checked(pair[0], *both))
        self.write()

    def block(self, block: Block, profile: bool = False) -> None:
        """A measurement; one that doesn't fit the time is left out."""
        if self._clock() >= self._until:
            self.found["left_out"].append(block.name)
        else:
            table = self.out / f"profile-{len(self.found['blocks'])}.txt" if profile else None
            self.found["blocks"].append(self._block(block, table))
        self.write()

    def _block(self, block: Block, table: Path | None) -> Found:
        print(f"== {block.name}", flush=True)
        more = [] if table is None else ["--profile", str(table.resolve())]
        seconds = max(1.0, min(block.seconds, self._until - self._clock()))
        found = self._figures([json.dumps(block.asdict()), *more], seconds)
        found = {"name": block.name, "block": block.asdict(), **found}
        wanted, ran = set(block.kernels), set(found.get("kernels", ()))
        if "problem" not in found and found["device"] != "cpu" and wanted and not wanted & ran:
            asked = " or ".join(block.kernels)
            found["problem"] = f"attention ran {', '.join(sorted(ran)) or 'no fused kernel'}, not {asked}"
        return found

    def _figures(self, arguments: Sequence[str], seconds: float) -> Found:
        """What a process found, or its `problem`."""
        code, said = self._run(arguments, seconds)
        lines = said.strip().split("\n")
        result = next((line for line in reversed(lines) if line.startswith(RESULT)), None)
        if code is None:
            return {"problem": f"it took more than {seconds:.0f} s; the last line: {lines[-1]}"}
        if code or result is None:
            return {"problem": f"exit code {code}: {lines[-1]}", "said": lines[-40:]}
        plain: Found = json.loads(result.removeprefix(RESULT))
        return plain

    def write(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        files.write_bytes(self.out / "train.json", msgspec.json.format(msgspec.json.encode(self.found), indent=1))
        files.write_bytes(self.out / "train.md", markdown(self.found).encode())


def chosen(given: argparse.Namespace, machine: Found) -> tuple[list[tuple[Block, Block]], list[Block]]:
    """(checks, blocks) that the options ask for."""
    on_gpu = machine.get("device", "cpu") != "cpu"
    if given.tiny:
        return check_blocks("tiny"), tiny_blocks()
    blocks = gpu_blocks() if given.all or on_gpu else cpu_blocks(given.rounds, machine.get("auto_is_float32", True))
    blocks = [block for block in blocks if given.only.lower() in block.name.lower()]
    return check_blocks("gpu" if on_gpu else "cpu"), blocks


def main(arguments: Sequence[str] | None = None, run: Run = in_a_process) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="the shapes for a GPU, as on a machine that has one")
    parser.add_argument("--tiny", action="store_true", help="each part once, too small to show anything")
    parser.add_argument("--only", default="", metavar="TEXT", help="blocks with this in their name")
    parser.add_argument("--rounds", type=int, default=3, help="on a CPU: times that product and peer take turns [3]")
    parser.add_argument("--minutes", type=float, default=0, help="no block begins later [a GPU: 9.5, a CPU: 60]")
    parser.add_argument("--profile", action="store_true", help="write a table of operations for each block")
    parser.add_argument("--no-checks", action="store_true", help="don't compare losses before")
    parser.add_argument("--out", type=Path, default=Path("runs/train"), help="folder of the figures [runs/train]")
    given = parser.parse_args(arguments)
    if given.rounds < 1:
        parser.error(f"--rounds is {given.rounds}; it must be at least 1")
    if given.minutes < 0:
        parser.error(f"--minutes is {given.minutes:g}; it must be at least 0 (0: 9.5 on a GPU, 60 on a CPU)")
    begun = time.monotonic()
    bench = Bench(given.out, 60, run)
    bench.machine()
    on_gpu = bench.found["machine"].get("device", "cpu") != "cpu"
    checks, blocks = chosen(given, bench.found["machine"])
    if not blocks:
        parser.error(f"no block has {given.only!r} in its name")
    bench.limit(begun, given.minutes or (9.5 if on_gpu else 60))
    for pair in () if given.no_checks else checks:
        bench.check(pair)
    for block in blocks:
        bench.block(block, given.profile)
    print((given.out / "train.md").read_text(encoding="utf-8"))
    if bench.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
