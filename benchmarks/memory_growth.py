"""Peak memory of every stage on a corpus and on a larger one: python -m benchmarks.memory_growth [--times 10]

The text is that of `--texts` (JSON lines, .zst too): all of it is the large corpus, every tenth document the small
one, so no text comes twice and the larger one has more distinct words and n-grams, as in earnest: caches of words and
tables of n-grams fill up to their bounds. `--copies`: all of it is the small corpus, and the large one has each of
its files several times: then only the numbers of files and documents grow. Both are cut into
files of `--file-bytes`, each a work item: choose them so that the small one has more than 64
(`pipelines.merging.FEW`). Each command runs in a process of its own, the driver and its worker threads together;
what it starts is added. Before the figures, a part of the small corpus goes through, to compile kernels. Prints
seconds of CPU, the peak of anonymous memory (RssAnon: pages of mapped models are not counted) for both sizes, and
their ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

SECONDS_BETWEEN_SAMPLES = 0.05


@dataclass(frozen=True)
class Peak:
    """cpu: seconds. bytes: the most RssAnon at any time, of the command and of what it started."""

    cpu: float
    bytes: int


def measured(command: Sequence[object]) -> Peak:
    """Runs a command of tamiz; exits if it fails."""
    told = [sys.executable, "-m", "tamiz", *map(str, command)]
    peak, before = 0, os.times()
    with tempfile.TemporaryFile() as said, subprocess.Popen(told, stdout=said, stderr=said) as process:
        while process.poll() is None:
            peak = max(peak, anonymous(process.pid))
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(told)}\nfailed:\n{said.read().decode(errors='replace')[-2000:]}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Peak(used, peak)


def anonymous(pid: int | str = "self") -> int:
    """Of a process and all below it."""
    total = 0
    with contextlib.suppress(OSError):  # it ended meanwhile
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                total += sum(map(anonymous, (task / "children").read_text().split()))
    return total


def documents(sources: Sequence[Path]) -> Iterator[bytes]:
    for source in sources:
        with source.open("rb") as stored:
            compressed = source.suffix == ".zst"
            yield from io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(stored)) if compressed else stored


def write_corpus(sources: Sequence[Path], folder: Path, every: int, file_bytes: int) -> int:
    """Every so many documents; returns the number of files."""
    folder.mkdir(parents=True)
    number, pending = 0, bytearray()
    for place, line in enumerate(documents(sources)):
        if place % every == 0:
            pending += line
        if len(pending) > file_bytes:
            (folder / f"es-{number:05d}.jsonl").write_bytes(pending)
            number, pending = number + 1, bytearray()
    (folder / f"es-{number:05d}.jsonl").write_bytes(pending)
    return number + 1


def copy_corpus(small: Path, folder: Path, times: int) -> int:
    """Every file so many times, without its bytes; returns the number of files."""
    folder.mkdir(parents=True)
    files = sorted(small.iterdir())
    for path in files:
        for number in range(times):
            os.link(path, folder / f"{number}-{path.name}")
    return times * len(files)


def stages(home: Path, tokenizer: Path, workers: int) -> dict[str, list[object]]:
    """The commands, each of which reads what those before it left in `home`."""
    given: list[object] = ["--input", home / "texts" / "*.jsonl", "--workers", workers]
    lm, scores, sample = home / "lm" / "lm.bin", home / "scores", home / "sampled"
    return {
        "lm": ["lm", "train", *given, "--tokenizer", tokenizer, "--order", 3, "--memory", "64M", "--out", lm],
        "score": ["score", *given, "--lm", lm, "--out", scores],
        "calibrate": ["calibrate", scores],
        "sample": ["sample", *given, "--scores", scores, "--keep", 0.5, "--out", sample],
        "tokenizer": ["tokenizer", "train", *given, "--kind", "unigram", "--vocab-size", 4000, "--most-words", 20_000,
                      "--out", home / "tokenizer"],
        "evaluate": ["tokenizer", "eval", home / "tokenizer", *given, "--documents", 500, "--language", "es", "--out",
                     home / "eval"],
        "shards": ["shards", "build", *given, "--tokenizer", home / "tokenizer", "--objective", "causal",
                   "--sequence-length", 512, "--out", home / "shards"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, nargs="+", help="JSON lines with a field `text`")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a spiece.model, for lm train")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--copies", action="store_true")
    parser.add_argument("--file-bytes", type=int, default=256 << 10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="the stages to run; with --home, on what others left")
    parser.add_argument("--home", type=Path, help="keeps the corpora and the outputs here, for another call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.home or Path(temporary)
        homes = [folder / "warm", folder / "small", folder / "large"]
        parts = (40, 1, None) if options.copies else (4 * options.times, options.times, 1)
        for home, every in zip(homes, parts, strict=True):
            if (home / "texts").exists():
                continue
            if every is None:
                files = copy_corpus(homes[1] / "texts", home / "texts", options.times)
            else:
                files = write_corpus(options.texts, home / "texts", every, options.file_bytes)
            print(f"{home.name}: {files} files")
        print("\n| stage | 1x CPU s | 1x MB |" + f" {options.times}x CPU s | {options.times}x MB | ratio |")
        print("|---|---|---|---|---|---|", flush=True)
        for name in stages(folder, options.tokenizer, options.workers):
            if options.only and name not in options.only:
                continue
            _, small, large = (measured(stages(home, options.tokenizer, options.workers)[name]) for home in homes)
            print(
                f"| {name} | {small.cpu:.1f} | {small.bytes / 1e6:.0f} | {large.cpu:.1f} | {large.bytes / 1e6:.0f} "
                f"| {large.bytes / max(small.bytes, 1):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
