"""Loading packed rows against `datasets` and mosaicml-streaming: python -m benchmarks.load

Rows of 2,048 uint16 ids, in shuffled order, from files into int64 tensors [batch, 2048], each loader in a process of
its own on one core, in turn, --rounds times. Each reads the same rows: ours and `datasets` from the shards, mosaicml-
streaming from MDS shards of its own, a memory map (the bound: no compression, nothing to find) from one flat file.
Prints tokens/s by CPU time and by wall time, the ratio to `datasets`, peak memory, whether every row came exactly
once, and the time to the first batch, at the start and in the middle of an epoch, with how many rows a resumed epoch
repeats and loses.
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
ROOT = Path(__file__).resolve().parents[1]


def write_rows(folder: Path, files: int, groups: int) -> int:
    """Shards, and the same rows flat; ids drawn by Zipf's law take 1.5 bytes in Parquet, as real ones do."""
    generator = np.random.default_rng(0)
    share = 1.0 / np.arange(10, VOCABULARY + 10)
    edges = np.cumsum(share / share.sum())
    made = MadeFrom(stage="shards", algorithm=1, settings={}, inputs=[])
    manifest.begin(folder / "shards", made)
    records, rows = [], 0
    with (folder / "flat").open("wb") as flat:
        for file in range(files):
            path = folder / "shards" / "train" / f"part-{file:05d}.parquet"
            with ShardWriter(path, {"input_ids": (WIDTH, np.uint16)}) as writer:
                for _ in range(groups):
                    ids = np.searchsorted(edges, generator.random((GROUP_ROWS, WIDTH))).astype(np.uint16)
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
        """One worker's answer; its rows are counted."""
        options, folder = self._options, self._folder
        request = {
            "loader": loader.split(",")[0],
            "prefetch": 0 if loader.endswith("no thread") else 2,
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
        python = options.mds_python if request["loader"] in ("mosaic", "write mds") else sys.executable
        command = [python, "-m", "benchmarks.load_worker", str(folder / "request.json")]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        answer: dict[str, Any] = {}
        if request["loader"] != "write mds":
            answer = json.loads((folder / "result.json").read_text())
        return answer

    def resumed(self, loader: str) -> tuple[float, int, int]:
        """Seconds to the first batch after half an epoch, and rows of the epoch that come twice and never."""
        half = self.run(loader, take=self._rows // 2)
        rest = self.run(loader, take=self._rows - len(half["rows"]), state=half["state"])
        times = np.bincount(half["rows"] + rest["rows"], minlength=self._rows)
        return rest["first"], int((times > 1).sum()), int((times == 0).sum())


def loaders(options: argparse.Namespace) -> list[str]:
    found = ["ours", "ours, no thread", "datasets", "mosaic", "memory map"]
    tried = subprocess.run([options.mds_python, "-c", "import streaming"], capture_output=True, check=False)
    if tried.returncode:
        print(f"mosaicml-streaming: {options.mds_python} can't import it; left out (--mds-python names one that can)")
        found.remove("mosaic")
    return found


def report(bench: Bench, names: list[str], rows: int, rounds: int) -> None:
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            results[name].append(bench.run(name))
    cpu = {name: statistics.median(r["cpu"] for r in found) for name, found in results.items()}
    print(
        f"{'':16}{'M ids/s: CPU':>14}{'wall':>8}{'x datasets':>12}{'peak MB':>9}{'first batch':>13}  every row once"
    )
    for name, found in results.items():
        wall = statistics.median(r["seconds"] for r in found)
        whole = all(sorted(r["rows"]) == list(range(rows)) for r in found)
        first = statistics.median(r["first"] for r in found)
        memory = max(r["memory"] for r in found) / 1e6
        ids = rows * WIDTH / 1e6
        print(f"{name:16}{ids / cpu[name]:14.1f}{ids / wall:8.1f}{cpu['datasets'] / cpu[name]:12.1f}{memory:9.0f}"
              f"{first:11.2f} s  {'yes' if whole else 'NO'}", flush=True)  # fmt: skip
    for name in names:
        if name in ("ours", "datasets", "mosaic"):
            seconds, twice, never = bench.resumed(name)
            print(f"resumed in mid-epoch: {name:10} {seconds:6.2f} s to a batch; {twice} rows twice, {never} never")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--groups", type=int, default=8, help="row groups of 128 rows in a file")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--buffer-size", type=int, default=1000, help="of datasets' shuffle")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--mds-python", default=sys.executable, help="a Python with mosaicml-streaming (needs numpy<2.2)"
    )
    parser.add_argument("--folder", help="for the files written [default: a temporary one]")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        rows = write_rows(folder, options.files, options.groups)
        shards = sum(p.stat().st_size for p in (folder / "shards").rglob("*.parquet"))
        print(f"{rows:,} rows of {WIDTH:,} ids in {options.files} shards, {shards / rows / WIDTH:.2f} bytes an id")
        names, bench = loaders(options), Bench(folder, rows, options)
        if "mosaic" in names:
            bench.run("write mds")
        report(bench, names, rows, options.rounds)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
