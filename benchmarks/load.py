"""Loads packed rows with tamiz, `datasets` and mosaicml-streaming: python -m benchmarks.load

Rows of 2,048 uint16 ids are read from files in shuffled order into int64 tensors [batch, 2048]. The loaders run in
turn, --rounds times, each in its own process on one core. All read the same rows: tamiz and `datasets` from the
shards, mosaicml-streaming from uncompressed MDS shards, and a memory map from one flat file. The memory map is the
upper bound, because nothing must be decompressed or looked up. `datasets` is used as in its guide, and in the fastest
way found.

Prints ids/s by CPU time and by wall time over the second half of an epoch, when prefetching is in a steady state; how
many times faster tamiz is by CPU time; memory beyond that of the imports; the time to the first batch; how many files
a batch mixes; whether every row came exactly once. Then it prints how long it takes to resume in the middle of an
epoch, and how many rows of the epoch come twice or never.

`datasets` sleeps 5 s at the end of a shuffled epoch. This is set to 0 here, because it says nothing about speed;
--sleep keeps it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load_worker import MARK, WIDTH
from corpora import manifest
from corpora.manifest import MadeFrom
from corpora.tokens.shards import ShardWriter

GROUP_ROWS = 128
VOCABULARY = 32_000
NO_THREAD = "ours, no thread"
ROOT = Path(__file__).resolve().parents[1]


def write_rows(folder: Path, files: int, groups: int) -> int:
    """Writes shards, and the same rows to a flat file. Ids follow Zipf's law: like real ids, they take 1.5 bytes."""
    generator = np.random.default_rng(0)
    share = 1.0 / np.arange(10, VOCABULARY + 10)
    pool = generator.choice(VOCABULARY, (16 * GROUP_ROWS, WIDTH), p=share / share.sum()).astype(np.uint16)
    made = MadeFrom(stage="shards", algorithm=1, settings={}, inputs=[])
    manifest.begin(folder / "shards", made)
    records, rows = [], 0
    with (folder / "flat").open("wb") as flat:
        for file in range(files):
            path = folder / "shards" / "train" / f"part-{file:05d}.parquet"
            with ShardWriter(path, {"input_ids": (WIDTH, np.uint16)}) as writer:
                for _ in range(groups):
                    ids = pool[generator.choice(len(pool), GROUP_ROWS, replace=False)]
                    numbers = np.arange(rows, rows + GROUP_ROWS)
                    ids[:, 0], ids[:, 1] = numbers // MARK, numbers % MARK
                    writer.write({"input_ids": ids})
                    flat.write(ids.tobytes())
                    rows += GROUP_ROWS
            records.append(manifest.record(folder / "shards", path, rows=writer.rows))
    facts: dict[str, Any] = {"tokenizer_sha256": "0" * 64, "vocab_size": VOCABULARY, "objective": "causal",
                             "sequence_length": WIDTH, "pad_id": 0, "eos_id": 1, "rows": {"train": rows}}  # fmt: skip
    manifest.finish(folder / "shards", records=records, facts=facts)
    return rows


class Bench:
    """Runs loaders on one folder of rows."""

    def __init__(self, folder: Path, rows: int, options: argparse.Namespace) -> None:
        self._folder, self._rows, self._options = folder, rows, options

    def run(self, loader: str, **more: Any) -> dict[str, Any]:
        """Returns the measurements of one worker; checks the number of its rows."""
        options, folder = self._options, self._folder
        request = {
            "loader": "ours" if loader == NO_THREAD else loader,
            "prefetch": 0 if loader == NO_THREAD else 2,
            "sleep": options.sleep,
            "shards": str(folder / "shards"),
            "flat": str(folder / "flat"),
            "mds": str(folder / "mds"),
            "batch_size": options.batch_size,
            "buffer_size": options.buffer_size,
            "take": self._rows,
            "state": None,
            "result": str(folder / "result.json"),
        }
        (folder / "request.json").write_text(json.dumps(request | more))
        python = options.mds_python if request["loader"] in ("mosaicml", "write mds") else sys.executable
        command = [python, "-m", "benchmarks.load_worker", str(folder / "request.json")]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        answer: dict[str, Any] = {}
        if request["loader"] != "write mds":
            answer = json.loads((folder / "result.json").read_text())
        return answer

    def files_in_a_batch(self, rows: list[int]) -> float:
        """The mean number of files in a batch, over an epoch."""
        files = np.array(rows) // (self._options.groups * GROUP_ROWS)
        batches = np.array_split(files, max(1, len(files) // self._options.batch_size))
        return float(np.mean([len(np.unique(batch)) for batch in batches]))

    def resumed(self, loader: str) -> tuple[float, int, int]:
        """Seconds to the first batch after half an epoch, and how many rows of the epoch come twice or never."""
        half = self.run(loader, take=self._rows // 2)
        rest = self.run(loader, take=self._rows - len(half["rows"]), state=half["state"])
        times = np.bincount(half["rows"] + rest["rows"], minlength=self._rows)
        return rest["first"], int((times > 1).sum()), int((times == 0).sum())


def loaders(options: argparse.Namespace) -> list[str]:
    found = ["ours", NO_THREAD, "datasets", "datasets, arrow", "mosaicml", "memory map"]
    tried = subprocess.run([options.mds_python, "-c", "import streaming"], capture_output=True, check=False)
    if tried.returncode:
        print(f"mosaicml-streaming: {options.mds_python} can't import it; left out (--mds-python names one that can)")
        found.remove("mosaicml")
    return found


def report(bench: Bench, names: list[str], rows: int, rounds: int) -> None:
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(bench.run(name))
    cpu = {name: statistics.median(r["cpu"] for r in found) for name, found in results.items()}
    print(f"{'':16} M ids/s: CPU    wall  ours is   MB  first batch  files/batch    every row once")
    for name, found in results.items():
        whole = all(sorted(r["rows"]) == list(range(rows)) for r in found)
        ids, wall = found[0]["measured"] * WIDTH / 1e6, statistics.median(r["seconds"] for r in found)
        print(f"{name:16}{ids / cpu[name]:13.0f}{ids / wall:8.0f}{cpu[name] / cpu['ours']:8.1f}x"
              f"{max(r['memory'] for r in found) / 1e6:5.0f}{statistics.median(r['first'] for r in found):11.2f} s"
              f"{bench.files_in_a_batch(found[0]['rows']):15.1f}"
              f"  {'yes' if whole else 'NO'}", flush=True)  # fmt: skip
    for name in names:
        if name in ("ours", "datasets", "mosaicml"):
            seconds, twice, never = bench.resumed(name)
            print(f"resumed in mid-epoch: {name:10} {seconds:6.2f} s to a batch; {twice} rows twice, {never} never")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--groups", type=int, default=16, help="row groups of 128 rows in a file")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--buffer-size", type=int, default=1000, help="size of datasets' shuffle buffer")
    parser.add_argument("--sleep", action="store_true", help="keep datasets' sleep of 5 s at the end of an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--mds-python", default=sys.executable, help="a Python with mosaicml-streaming (needs numpy<2.2)"
    )
    parser.add_argument("--folder", help="folder for the files [default: a temporary folder]")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        rows = write_rows(folder, options.files, options.groups)
        shards = sum(p.stat().st_size for p in (folder / "shards").rglob("*.parquet"))
        print(f"{rows:,} rows of {WIDTH:,} ids in {options.files} shards, {shards / rows / WIDTH:.2f} bytes per id")
        names, bench = loaders(options), Bench(folder, rows, options)
        if "mosaicml" in names:
            bench.run("write mds")
        report(bench, names, rows, options.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
