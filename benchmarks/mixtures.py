"""Loads the same rows from one folder and as mixtures: python -m benchmarks.mixtures

Rows of 2,048 uint16 ids are written to one folder, and in equal parts to 4 and to 10 folders. ShardRows reads each in
batches of int64, in turn, --rounds times, on one core. The peer is ShardRows on the one folder.

Prints rows/s by CPU time and by wall time, medians over the rounds, and the ratio of each mixture's CPU time speed to
that of the one folder.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.load import GROUP_ROWS, write_rows
from benchmarks.load_worker import WIDTH
from corpora.rows import ShardRows
from corpora.rows.blend import Given

SOURCES = (1, 4, 10)


def shards(home: Path, sources: int, groups: int) -> Given:
    """Folders with `groups` row groups in all, in files of 10; weights by rows."""
    each = groups // sources
    folders = [home / f"{sources}-{number}" for number in range(sources)]
    rows = [write_rows(folder, max(1, each // 10), min(each, 10)) for folder in folders]
    return {folder / "shards": float(count) for folder, count in zip(folders, rows, strict=True)}


def measured(given: Given, batch_size: int, steps: int) -> tuple[float, float]:
    """Rows/s by CPU time and by wall time, from the second batch on."""
    batches = iter(ShardRows(given, batch_size=batch_size))
    next(batches)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in itertools.islice(batches, steps):
        pass
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    batches.close()
    return steps * batch_size / cpu, steps * batch_size / wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=400, help=f"row groups of {GROUP_ROWS} rows [400]")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as home:
        given = {sources: shards(Path(home), sources, options.groups) for sources in SOURCES}
        steps = options.groups * GROUP_ROWS // options.batch_size - 1
        found: dict[int, list[tuple[float, float]]] = {sources: [] for sources in SOURCES}
        for _ in range(options.rounds):
            for sources in SOURCES:
                found[sources].append(measured(given[sources], options.batch_size, steps))
    base = statistics.median(cpu for cpu, _ in found[1])
    print(f"rows of {WIDTH} ids, batches of {options.batch_size}, {options.rounds} rounds")
    for sources, rounds in found.items():
        cpu, wall = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(
            f"{sources:2} sources: {cpu:9,.0f} rows/s by CPU, {wall:9,.0f} by wall; {cpu / base:.2f} of one folder's"
        )


if __name__ == "__main__":
    main()
