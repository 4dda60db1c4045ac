"""What many small units cost: python -m benchmarks.many_units [10000 ...] [--lm lm.bin]

Through `run_units`, with work that does next to nothing: seconds, CPU seconds, and what the process that drives the
run holds at its peak (RssAnon). With a language model: a whole `tamiz score` of as many files of 40 words, in a
process of its own. The last column is microseconds of CPU a unit: it must not grow.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.memory_growth import Peak, anonymous, measured
from corpora.documents.item import WorkItem
from pipelines.once import ItemResult
from pipelines.runners import run_units
from pipelines.settings import RunnerSettings

PER_FOLDER = 1000
TEXT = " ".join(["el libro de la casa es rojo y"] * 5)


@dataclass(frozen=True)
class Nothing:
    """Work that reads no file."""

    out: str
    fingerprint: str = "f"

    def __call__(self, item: WorkItem) -> ItemResult:
        return ItemResult(name=item.name, number=item.number, read=1, kept=1)


def names(number: int) -> list[str]:
    return [f"{place // PER_FOLDER:04d}/part-{place:06d}.jsonl" for place in range(number)]


def units(number: int) -> list[WorkItem]:
    return [
        WorkItem(
            path=f"/none/{name}",
            format="jsonl",
            compression="",
            start=0,
            end=1,
            first_row=0,
            number=place,
            name=name,
            size=1,
        )
        for place, name in enumerate(names(number))
    ]


def run(number: int, folder: Path, workers: int) -> Peak:
    return here(lambda: run_units(Nothing(str(folder)), units(number), RunnerSettings(workers=workers)))


def here(work: Callable[[], object]) -> Peak:
    """Of this process, sampled while it works."""
    peak, ended = [0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.1):
            peak[0] = max(peak[0], anonymous())

    sampler = threading.Thread(target=sample)
    sampler.start()
    cpu = time.process_time()
    try:
        work()
    finally:
        ended.set()
        sampler.join()
    return Peak(time.process_time() - cpu, peak[0])


def score(number: int, folder: Path, lm: Path, workers: int) -> Peak:
    for name in names(number):
        (folder / "in" / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / "in" / name).write_text(f'{{"text": "{TEXT} {name}"}}\n')
    given = ["--input", folder / "in/**/*.jsonl", "--lm", lm, "--out", folder / "out", "--workers", workers]
    return measured(["score", *given, "--allow-unknown"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int, nargs="*", default=[1000, 10_000])
    parser.add_argument("--lm", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    print("| what | units | s | CPU s | peak MB | us of CPU a unit |\n|---|---|---|---|---|---|")
    for number in given.number:
        with tempfile.TemporaryDirectory() as folder:
            name = "run_units" if given.lm is None else "score"
            begun = time.monotonic()
            if given.lm is None:
                peak = run(number, Path(folder), given.workers)
            else:
                peak = score(number, Path(folder), given.lm, given.workers)
            seconds, each = time.monotonic() - begun, peak.cpu / number * 1e6
            print(
                f"| {name} | {number:,} | {seconds:.1f} | {peak.cpu:.1f} | {peak.bytes / 1e6:.0f} | {each:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
