"""`tamiz lm train` against `lmplz | build_binary` on one file of pieces: python -m benchmarks.lm_train PIECES

Both read the same text (one sentence per line, words separated by spaces, no blank lines) and write a KenLM probing
binary, in turn, --runs times each. Prints wall and CPU times, the ratio of walls, the peak of anonymous memory
(RssAnon of all processes, sampled), and whether the files are equal. `--random N` instead compares them on N random
tiny corpora.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SECONDS_BETWEEN_SAMPLES = 0.02


@dataclass(frozen=True)
class Run:
    """seconds: wall time. cpu: CPU seconds of all processes. peak: maximum RssAnon of all processes, in bytes."""

    seconds: float
    cpu: float
    peak: int


@dataclass(frozen=True)
class Kenlm:
    """KenLM's two programs."""

    lmplz: str
    build_binary: str

    @classmethod
    def find(cls, folder: str | None) -> Kenlm:
        found = [shutil.which(name, path=folder) for name in ("lmplz", "build_binary")]
        if None in found:
            sys.exit(
                f"no lmplz and build_binary {'on PATH' if folder is None else f'in {folder}'}: --kenlm names one"
            )
        return cls(*map(str, found))

    def command(self, pieces: Path, order: int, memory: str, prune: Sequence[int], out: Path) -> list[str]:
        """A shell command, because the two programs are connected by a pipe."""
        pruning = f"--prune {' '.join(map(str, prune))}" if prune else ""
        estimate = f"{self.lmplz} -o {order} -S {memory} -T {out.parent}/ --discount_fallback {pruning} < {pieces}"
        return ["bash", "-c", f"set -o pipefail; {estimate} | {self.build_binary} /dev/stdin {out}"]


def tamiz_command(pieces: Path, order: int, memory: str, prune: Sequence[int], out: Path) -> list[str]:
    command = [sys.executable, "-m", "tamiz", "lm", "train", "--words", "--input", str(pieces), "--rebuild"]
    command += ["--order", str(order), "--memory", memory, "--out", str(out)]
    return [*command, "--prune", ",".join(map(str, prune))] if prune else command


def anonymous_memory(process: psutil.Process) -> int:
    """Bytes of RssAnon of a process and its descendants."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            status = Path(f"/proc/{member.pid}/status").read_text()
        except OSError:
            continue  # it ended meanwhile
        found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
        total += int(found[0]) << 10 if found else 0
    return total


def run(command: list[str]) -> Run:
    """Runs the command; exits if it fails."""
    begun, used, peak = time.monotonic(), _cpu_of_children(), 0
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                peak = max(peak, anonymous_memory(watched))
            except psutil.NoSuchProcess:
                break
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        seconds = time.monotonic() - begun
        if process.wait():
            said.seek(0)
            sys.exit(f"{' '.join(command)}\nfailed:\n{said.read().decode(errors='replace')[-2000:]}")
    return Run(seconds, _cpu_of_children() - used, peak)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(kenlm: Kenlm, options: argparse.Namespace, folder: Path) -> None:
    ours, theirs = folder / "ours.bin", folder / "theirs.bin"
    settings = (options.pieces, options.order, options.memory, options.prune)
    commands = {
        "lmplz | build_binary": kenlm.command(*settings, theirs),
        "tamiz lm train": tamiz_command(*settings, ours),
    }
    if not options.cold:
        run(commands["tamiz lm train"])  # compiles the kernels
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(options.runs):
        for name, command in commands.items():
            runs[name].append(run(command))
            print(f"run {number + 1}  {name:22}{runs[name][-1].seconds:8.1f} s", flush=True)
    medians = [statistics.median(one.seconds for one in found) for found in runs.values()]
    for name, found in runs.items():
        times = " ".join(f"{one.seconds:.1f}" for one in found)
        cpu = statistics.median(one.cpu for one in found)
        print(f"{name:22} {times} s; CPU {cpu:.1f} s; peak RssAnon {max(one.peak for one in found) / 1e6:.0f} MB")
    print(f"ratio of medians {medians[1] / medians[0]:.2f}")
    same = filecmp.cmp(ours, theirs, shallow=False)
    print(f"files of {ours.stat().st_size:,} bytes: {'equal byte for byte' if same else 'DIFFERENT'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pieces", type=Path, nargs="?", help="a text file of pieces, or of words")
    parser.add_argument("--kenlm", metavar="DIR", help="folder of lmplz and build_binary [default: on PATH]")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--memory", default="4G")
    parser.add_argument("--prune", type=lambda text: [int(part) for part in text.split(",")], default=[])
    parser.add_argument("--cores", type=int, help="cores to run both on [default: all]")
    parser.add_argument("--cold", action="store_true", help="measure without a warm-up run")
    parser.add_argument("--random", type=int, metavar="N", help="compare the files of N random tiny corpora instead")
    parser.add_argument("--folder", help="folder for the files [default: a temporary folder]")
    options = parser.parse_args()
    if options.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    kenlm = Kenlm.find(options.kenlm)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.random:
            from benchmarks.random_corpora import compare_random

            compare_random(kenlm, options.random, Path(folder))
        elif options.pieces is None:
            parser.error("name a file of pieces, or --random N")
        else:
            compare(kenlm, options, Path(folder))


if __name__ == "__main__":
    main()
