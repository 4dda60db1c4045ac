"""One loader, in a process of its own on one core: python -m benchmarks.load_worker REQUEST (see benchmarks.load)."""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 2048
MARK = 30_000  # a row begins with its number: n // MARK, n % MARK
Batches = Iterator[Any]
Open = Callable[[dict[str, Any]], tuple[Batches, Callable[[int], Any]]]


def ours(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    from trainer import ShardDataset

    dataset = ShardDataset(request["shards"], batch_size=request["batch_size"], prefetch=request["prefetch"])
    if request["state"]:
        dataset.load_state_dict(request["state"])
    return (batch["input_ids"] for batch in dataset), lambda _: dataset.state_dict()


def hugging_face(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    """numpy rows, stacked: the fastest of its formats here."""
    import torch
    from datasets import load_dataset

    files = sorted(str(p) for p in Path(request["shards"]).glob("train/*.parquet"))
    dataset = load_dataset("parquet", data_files=files, split="train", streaming=True)
    dataset = dataset.shuffle(seed=0, buffer_size=request["buffer_size"]).with_format("numpy")
    if request["state"]:
        dataset.load_state_dict(request["state"])

    def batches() -> Batches:
        rows = iter(dataset)
        while taken := [row["input_ids"] for row in itertools.islice(rows, request["batch_size"])]:
            yield torch.from_numpy(np.stack(taken).astype(np.int64))

    return batches(), lambda _: dataset.state_dict()


def mosaic(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    import torch
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    dataset = StreamingDataset(
        local=request["mds"], shuffle=True, batch_size=request["batch_size"], num_canonical_nodes=1
    )
    if request["state"]:
        dataset.load_state_dict(request["state"])

    def collate(rows: list[dict[str, Any]]) -> Any:
        return torch.from_numpy(np.stack([row["input_ids"] for row in rows]).astype(np.int64))

    loader = DataLoader(dataset, batch_size=request["batch_size"], collate_fn=collate)
    return iter(loader), lambda taken: dataset.state_dict(taken, True)


def memory_map(request: dict[str, Any]) -> tuple[Batches, Callable[[int], Any]]:
    """The bound: rows of one flat file, in a random order."""
    import torch

    rows = np.memmap(request["flat"], np.uint16, "r").reshape(-1, WIDTH)
    order, size = np.random.default_rng(0).permutation(len(rows)), request["batch_size"]
    places = (order[i : i + size] for i in range(0, len(order), size))
    return (torch.from_numpy(rows[place].astype(np.int64)) for place in places), lambda _: None


def write_mds(request: dict[str, Any]) -> None:
    from streaming import MDSWriter

    rows = np.memmap(request["flat"], np.uint16, "r").reshape(-1, WIDTH)
    with MDSWriter(out=request["mds"], columns={"input_ids": f"ndarray:uint16:{WIDTH}"}) as writer:
        for row in rows:
            writer.write({"input_ids": np.asarray(row)})


LOADERS: dict[str, Open] = {"ours": ours, "datasets": hugging_face, "mosaic": mosaic, "memory map": memory_map}


def epoch(request: dict[str, Any]) -> dict[str, Any]:
    """Reads `take` rows, or an epoch; says what that took and which rows came."""
    opened, used = time.monotonic(), time.process_time()
    batches, state_of = LOADERS[request["loader"]](request)
    found: list[Any] = []
    first = None
    for batch in batches:
        first = first or time.monotonic() - opened
        found.append(batch[:, :2].clone())
        if len(found) * request["batch_size"] >= request["take"]:
            break
    seconds, cpu = time.monotonic() - opened, time.process_time() - used
    marks = np.concatenate([part.numpy() for part in found])
    assert found[0].dtype.itemsize == 8
    return {
        "first": first,
        "seconds": seconds,
        "cpu": cpu,
        "rows": (marks[:, 0] * MARK + marks[:, 1]).tolist(),
        "state": state_of(len(marks)),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])
    request = json.loads(Path(sys.argv[1]).read_text())
    if request["loader"] == "write mds":
        return write_mds(request)
    import torch

    torch.set_num_threads(1)
    result = epoch(request)
    Path(request["result"]).write_text(json.dumps(result))
    os._exit(0)  # mosaicml-streaming's threads and shared memory take their time


if __name__ == "__main__":
    main()
