"""Compares tamiz's Parquet writer for rows of ids with Arrow's: python -m benchmarks.write --tokenizers byt5 DIR ...

Both writers write rows of ids of real text, in row groups of about 2^18 ids as in shards, to files in memory. They
take turns, --rounds times. Prints the best CPU time of each on one core, and checks that both files have the same
rows.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.score import CORPORA, documents, shards, split
from corpora.encoding.encoder import load_encoder
from corpora.texts import utf8
from corpora.tokens.rows import group_rows
from corpora.tokens.shards import Column, ColumnSpec, ShardWriter
from tests.reference import arrow_shards


def row_groups(ids: np.ndarray, width: int) -> list[dict[str, Column]]:
    rows = ids[: ids.size // width * width].reshape(-1, width)
    step = group_rows(width)
    return [{"input_ids": rows[first : first + step]} for first in range(0, len(rows), step)]


def write(path: Path, columns: dict[str, ColumnSpec], groups: list[dict[str, Column]]) -> None:
    with ShardWriter(path, columns) as writer:
        for group in groups:
            writer.write(group)


def compare(folder: Path, ids: np.ndarray, width: int, rounds: int) -> str:
    groups = row_groups(ids, width)
    columns: dict[str, ColumnSpec] = {"input_ids": (width, ids.dtype)}
    best = {"ours": float("inf"), "arrow": float("inf")}
    for _ in range(rounds + 1):  # the first round, which compiles the kernels, is never the best
        for name, writes in (("ours", write), ("arrow", arrow_shards.write)):
            begin = time.process_time()
            writes(folder / name, columns, groups)
            best[name] = min(best[name], time.process_time() - begin)
    equal = pq.read_table(folder / "ours").equals(pq.read_table(folder / "arrow"))
    ours, arrow = (ids.size / best[name] / 1e6 for name in ("ours", "arrow"))
    bytes_ours, bytes_arrow = ((folder / name).stat().st_size / ids.size for name in ("ours", "arrow"))
    return (
        f"{ours:5.0f} M ids/s, arrow {arrow:5.0f}, {ours / arrow:.2f} times as fast; "
        f"{bytes_ours:.3f} bytes an id, arrow {bytes_arrow:.3f}; {'equal' if equal else 'DIFFERENT'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizers", nargs="+", default=["byt5"])
    parser.add_argument("--widths", nargs="+", type=int, default=[568, 2048])
    parser.add_argument("--corpora", type=Path, default=CORPORA)
    parser.add_argument("--language", default="es")
    parser.add_argument("--megabytes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts, _ = split(documents(shards(asked.corpora, asked.language)), int(asked.megabytes * 1e6))
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        for tokenizer in asked.tokenizers:
            ids = load_encoder(tokenizer).encode_flat(utf8(texts)).ids
            for width in asked.widths:
                print(f"{tokenizer}, {ids.dtype}, rows of {width}: {compare(Path(folder), ids, width, asked.rounds)}")


if __name__ == "__main__":
    main()
