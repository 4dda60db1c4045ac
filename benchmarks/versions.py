"""Compares the speed of two versions of tamiz, on one core: python -m benchmarks.versions --before DIR

DIR is a checkout of the earlier version. Scoring, shards and loading run in separate processes, alternating between
the versions in each round; the shortest CPU time of each version counts. Models and tokenizers are taken from the
output of `benchmarks.same_bytes --out MADE`. Prints a line per case: seconds of both versions, and their ratio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.same_bytes import HERE, files_of

SCORE = """
import json, sys, time
import zstandard
from corpora.perplexity import PerplexityModel
with zstandard.open(sys.argv[2], "rt", encoding="utf-8", newline="\\n") as file:
    texts = [json.loads(line)["text"] for line in file]
model = PerplexityModel(sys.argv[1])
model.score(texts[:50])
begun = time.process_time()
model.score(texts)
print(time.process_time() - begun)
"""

LOAD = """
import itertools, sys, time
try:
    from tamiz.trainer import ShardDataset
except ImportError:
    from trainer import ShardDataset
dataset = ShardDataset(sys.argv[1], batch_size=64)
batches = iter(dataset)
next(batches)
begun = time.process_time()
for _ in itertools.islice(batches, 4000):
    pass
print(time.process_time() - begun)
"""


def run(checkout: Path, command: list[str]) -> tuple[str, float]:
    """Standard output and CPU seconds of the process, which runs on the last core."""
    before = os.times()
    done = subprocess.run(
        ["taskset", "-c", str((os.cpu_count() or 1) - 1), sys.executable, *command],
        cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{checkout}: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, spent


def inside(checkout: Path, code: str, *arguments: str) -> float:
    """The seconds that the code itself prints."""
    return float(run(checkout, ["-c", code, *arguments])[0].split()[-1])


def build(checkout: Path, tokenizer: str, text: str, flags: list[str]) -> float:
    """CPU seconds of `tamiz shards build`."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "shards")
        command = ["-m", "tamiz", "shards", "build", "--input", text, "--tokenizer", tokenizer, *flags, "--out", out]
        return run(checkout, command)[1]


def cases(made: Path) -> dict[str, Callable[[Path], float]]:
    es, ko, pt = files_of("es", 9)[0], files_of("ko", 0)[0], files_of("pt", 1)[0]
    spans = ["--objective", "span-corruption", "--sequence-length", "512"]
    causal = ["--objective", "causal", "--sequence-length", "2049"]
    raw = ["--objective", "span-corruption", "--sequence-length", "1024", "--mean-noise-span-length", "20"]
    unigram, bpe = (str(made / "tokenizers" / kind) for kind in ("unigram", "bpe"))
    lm = str(made / "lm" / "lines.bin")
    return {
        "score, es, lines": lambda checkout: inside(checkout, SCORE, lm, es),
        "shards, es, unigram, span corruption": lambda checkout: build(checkout, unigram, es, spans),
        "shards, pt, bpe, causal": lambda checkout: build(checkout, bpe, pt, causal),
        "shards, ko, bytes, span corruption": lambda checkout: build(checkout, "byt5", ko, raw),
        "load, causal": lambda checkout: inside(checkout, LOAD, str(made / "shards" / "causal")),
        "load, span corruption": lambda checkout: inside(checkout, LOAD, str(made / "shards" / "span-corruption")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--before", type=Path, required=True, help="a checkout of the earlier version")
    parser.add_argument("--after", type=Path, default=HERE, help="checkout of the later version (default: this)")
    parser.add_argument("--made", type=Path, required=True, help="the output of `benchmarks.same_bytes --out`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    asked = parser.parse_args()
    for name, measure in cases(asked.made).items():
        if not name.startswith(asked.only):
            continue
        before, after = [], []
        for _ in range(asked.rounds + 1):  # the first compiles kernels
            before.append(measure(asked.before))
            after.append(measure(asked.after))
        best = min(before[1:]), min(after[1:])
        print(f"{name:40}{best[0]:8.3f} s{best[1]:8.3f} s   after/before {best[1] / best[0]:.3f}", flush=True)


if __name__ == "__main__":
    main()
