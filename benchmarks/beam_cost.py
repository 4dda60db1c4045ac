"""Beam's own cost, and what two workers gain: `python -m benchmarks.beam_cost --out DIR`.

Scores and shards of real text, in one process with warm kernels, in turns: the function called in a loop over the
work items; a command's pipeline with one worker; with two. A run of one small item says what its start costs. Prints
the best of the rounds: seconds and CPU seconds. Targets: one worker at most 10% above the loop plus the start; two
workers at least 1.8 times one, on a quiet machine with two cores. What the machine itself allows: two processes, each
with its own caches, which take one item after the other (`two loops`), and their gain over one loop.
"""

from __future__ import annotations

import argparse
import io
import itertools
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from corpora.documents.item import WorkItem
from corpora.documents.items import work_items
from corpora.machine import use_one_heap
from corpora.perplexity.routing import LmChoice
from corpora.tokens.objectives import OBJECTIVES
from tests.command import exit_code
from tests.conftest import SHARED

MOST_OVER = 1.10
LEAST_GAIN = 1.8

Work = Callable[[WorkItem], object]


@dataclass
class Measured:
    """The rounds of one way to do the work: (seconds, CPU seconds)."""

    rounds: list[tuple[float, float]] = field(default_factory=list)

    def time(self, do: Callable[[], object]) -> None:
        begun, used = time.monotonic(), time.process_time()
        do()
        self.rounds.append((time.monotonic() - begun, time.process_time() - used))

    @property
    def seconds(self) -> float:
        return min(seconds for seconds, _ in self.rounds)

    @property
    def cpu(self) -> float:
        return min(cpu for _, cpu in self.rounds)

    def __str__(self) -> str:
        return f"{self.seconds:.2f} ({self.cpu:.2f})"


def prepared(folder: Path, sources: Sequence[Path]) -> tuple[str, str, str]:
    """(pattern, language model, tokenizer), made once in the folder."""
    text = folder / "text"
    if not text.exists():
        text.mkdir(parents=True)
        for path in sources:
            (text / path.name.removesuffix(".zst")).write_bytes(_whole(path))
    pattern, lm, tokenizer = str(text / "*.jsonl"), str(folder / "lm" / "es.bin"), str(folder / "tokenizer")
    first = str(sorted(text.iterdir())[0])
    _do("lm", "train", "--input", first, "--train-tokenizer", "8000", "--out", lm)
    _do("tokenizer", "train", "--input", first, "--kind", "unigram", "--vocab-size", "8000", "--extra-ids", "100",
        "--out", tokenizer)  # fmt: skip
    return pattern, lm, tokenizer


def _whole(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(path.read_bytes())).read()


def _do(*command: str) -> None:
    if code := exit_code(*command):
        sys.exit(f"{' '.join(command)}: exit code {code}")


def in_a_run(work: Any, items: Sequence[WorkItem], workers: int) -> None:
    """As the commands do it: the FnApiRunner, with threads."""
    from pipelines.runners import run_units
    from pipelines.settings import RunnerSettings

    run_units(work, items, RunnerSettings(workers=workers))


def _loop(work: Work, items: Sequence[WorkItem]) -> None:
    for item in items:
        work(item)


_next: Any = None  # in each of two processes: the number of the next item


def _take_from(number: Any) -> None:
    global _next
    _next = number


def _loop_of_two(work: Work, items: Sequence[WorkItem]) -> None:
    while True:
        with _next.get_lock():
            place, _next.value = _next.value, _next.value + 1
        if place >= len(items):
            return
        work(items[place])


class TwoProcesses:
    """Each takes the next item when it has done one; they are warm after the first time."""

    def __init__(self, items: Sequence[WorkItem]) -> None:
        spawned = multiprocessing.get_context("spawn")
        self._number = spawned.Value("q", 0)
        # one each, so that its caches stay warm
        self._pools = [ProcessPoolExecutor(1, spawned, _take_from, (self._number,)) for _ in range(2)]
        self._items = items

    def __call__(self, work: Work) -> None:
        self._number.value = 0
        for future in [pool.submit(_loop_of_two, work, self._items) for pool in self._pools]:
            future.result()

    def close(self) -> None:
        for pool in self._pools:
            pool.shutdown()


def measure(new_work: Callable[[str], Work], items: list[WorkItem], folder: Path, rounds: int) -> list[Measured]:
    """[loop, one worker, two workers, a single small item, two loops], in turns, each round in folders of its own."""
    numbers, two_loops = itertools.count(), TwoProcesses(items)

    def fresh() -> Work:
        shutil.rmtree(folder, ignore_errors=True)
        os.sync()  # the other way's writes
        return new_work(str(folder / str(next(numbers))))

    ways: list[Callable[[Work], None]] = [
        lambda work: _loop(work, items),
        lambda work: in_a_run(work, items, 1),
        lambda work: in_a_run(work, items, 2),
        lambda work: in_a_run(work, items[:1], 1),
        two_loops,
    ]
    _loop(fresh(), items)  # warm: kernels, the model, the files
    two_loops(fresh())
    measured = [Measured() for _ in ways]
    for number in range(rounds):
        turn = list(zip(ways, measured, strict=True))
        for way, result in turn if number % 2 else reversed(turn):
            work = fresh()
            result.time(lambda way=way, work=work: way(work))  # type: ignore[misc]
    two_loops.close()
    return measured


def main() -> None:
    from pipelines import ScoreWork
    from pipelines.shards import ShardWork

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--files", type=int, default=4, help="so many files of each language, 4 to 12 MB each")
    parser.add_argument("--languages", default=["es"], nargs="*")
    parser.add_argument("--item-bytes", type=int, default=[1 << 20, 100_000], nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    use_one_heap()  # as a command does
    folders = [SHARED / "corpora" / language for language in given.languages]
    sources = [path for folder in folders for path in sorted(folder.glob("*.jsonl.zst"))[: given.files]]
    pattern, lm, tokenizer = prepared(given.out, sources)
    settings = OBJECTIVES.get("span-corruption")(sequence_length=512)
    stages: dict[str, Callable[[str], Work]] = {
        "score": lambda out: ScoreWork(out=out, fingerprint="f", models=(LmChoice(lm),)),
        "shards": lambda out: ShardWork(out, "f", tokenizer, settings),
    }
    print("seconds (CPU seconds), the best of the rounds\n")
    print(
        "| stage | items | loop | Beam, 1 worker | Beam, 2 workers | start | over the loop | 2 workers | two loops |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for size in given.item_bytes:
        items = list(work_items([pattern], size))
        for name, new_work in stages.items():
            loop, one, two, start, both = measure(new_work, items, given.out / "work", given.rounds)
            over, gain = (one.seconds - start.seconds) / loop.seconds, one.seconds / two.seconds
            said = f"{over - 1:+.0%} {'ok' if over <= MOST_OVER else 'TOO MUCH'}"
            print(
                f"| {name} | {len(items)} | {loop} | {one} | {two} | {start.seconds:.2f} | {said} "
                f"| {gain:.2f}x {'ok' if gain >= LEAST_GAIN else 'TOO LITTLE'} "
                f"| {both.seconds:.2f}, {loop.seconds / both.seconds:.2f}x |",
                flush=True,
            )


if __name__ == "__main__":
    main()
