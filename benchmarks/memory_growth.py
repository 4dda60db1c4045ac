"""Peak memory of every stage on a corpus and on a larger one: python -m benchmarks.memory_growth [--times 10]

The text is that of `--texts` (JSON lines), repeated with a word of each changed, cut into files of `--file-bytes`.
Each command runs in a process of its own, the driver and its worker threads together, after a first run that compiles
kernels. Prints the seconds of CPU and the peak of anonymous memory (RssAnon: pages of mapped models are not counted)
for both sizes, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS_BETWEEN_SAMPLES = 0.05


@dataclass(frozen=True)
class Peak:
    """cpu: seconds. bytes: the most RssAnon at any time."""

    cpu: float
    bytes: int


def measured(command: Sequence[object]) -> Peak:
    """Runs a command of tamiz; exits if it fails."""
    told = [sys.executable, "-m", "tamiz", *map(str, command)]
    peak, before = 0, os.times()
    with tempfile.TemporaryFile() as said, subprocess.Popen(told, stdout=said, stderr=said) as process:
        while process.poll() is None:
            peak = max(peak, _anonymous(process.pid))
            time.sleep(SECONDS_BETWEEN_SAMPLES)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(told)}\nfailed:\n{said.read().decode(errors='replace')[-2000:]}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return Peak(used, peak)


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0  # it ended meanwhile
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


def texts(source: Path, times: int) -> Iterator[str]:
    """Lines of JSON: the documents, then again with a word of each changed, so that no text comes twice."""
    given = [json.loads(line)["text"] for line in source.read_text().splitlines()]
    for time_ in range(times):
        for text in given:
            first, _, rest = text.partition(" ")
            yield json.dumps({"text": f"{first}{time_ or ''} {rest}"}, ensure_ascii=False) + "\n"


def write_corpus(source: Path, folder: Path, times: int, file_bytes: int) -> None:
    folder.mkdir(parents=True)
    number, size, file = 0, 0, open(folder / "es-00000.jsonl", "w")  # noqa: SIM115 - closed below
    for line in texts(source, times):
        if size > file_bytes:
            file.close()
            number, size = number + 1, 0
            file = open(folder / f"es-{number:05d}.jsonl", "w")  # noqa: SIM115
        size += file.write(line)
    file.close()


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
    parser.add_argument("--texts", type=Path, required=True, help="JSON lines with a field `text`")
    parser.add_argument("--tokenizer", type=Path, required=True, help="a spiece.model, for lm train")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--file-bytes", type=int, default=2 << 20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="the last stage to run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / str(times) for times in (1, options.times)]
        for home, times in zip(homes, (1, options.times), strict=True):
            write_corpus(options.texts, home / "texts", times, options.file_bytes)
        print(
            f"{'stage':12}{'1x CPU s':>10}{'MB':>8}{f'{options.times}x CPU s':>12}{'MB':>8}{'ratio':>8}", flush=True
        )
        for name in stages(homes[0], options.tokenizer, options.workers):
            small, large = (measured(stages(home, options.tokenizer, options.workers)[name]) for home in homes)
            print(
                f"{name:12}{small.cpu:10.1f}{small.bytes / 1e6:8.0f}{large.cpu:12.1f}{large.bytes / 1e6:8.0f}"
                f"{large.bytes / max(small.bytes, 1):8.2f}",
                flush=True,
            )
            if name == options.only:
                break


if __name__ == "__main__":
    main()
